import { performance } from 'node:perf_hooks'
import type { Installation } from './installation.js'
import { pause } from './pause.js'

const EVERY_MS = 500
/** As a Prometheus would, but more often. */
const SCRAPE_EVERY_MS = 5000

/** What was seen from outside while a scene was played. */
export interface Observed {
  /** Of the busiest memcached, in percent of one core. */
  readonly memcachedCpuPct: number
  /** To all memcached, at most at once. */
  readonly connections: number
  /** Of the process that plays the visitors, in percent: near 100 it is this that is slow. */
  readonly driverPct: number
  /** Of the metrics of the four processes: scrapes, requests that waited at once at the most, changes that were refused as too late. */
  readonly scrapes: number
  readonly waiting: number
  readonly fenced: number
}

/** Looks at memcached and at `/metrics` again and again, from its making to its end. */
export class Observation {
  private readonly stopping = new AbortController()
  private readonly beganMs = performance.now()
  private readonly load = performance.eventLoopUtilization()
  private readonly cpu: Growing[]
  private readonly fenced: Growing[]
  private connections = 0
  private waiting = 0
  private scrapes = 0
  private readonly looking: Promise<unknown>

  constructor(private readonly installation: Installation) {
    this.cpu = installation.servers.map(() => new Growing())
    this.fenced = installation.apps.map(() => new Growing())
    this.looking = Promise.all([this.every(EVERY_MS, () => this.lookAtServers()), this.every(SCRAPE_EVERY_MS, () => this.scrape())])
  }

  async end(): Promise<Observed> {
    this.stopping.abort()
    await this.looking
    await Promise.all([this.lookAtServers(), this.scrape()])
    const tookSec = (performance.now() - this.beganMs) / 1000
    const { utilization } = performance.eventLoopUtilization(this.load)
    return {
      memcachedCpuPct: (Math.max(...this.cpu.map(({ sum }) => sum)) / tookSec) * 100,
      connections: this.connections,
      driverPct: utilization * 100,
      scrapes: this.scrapes,
      waiting: this.waiting,
      fenced: this.fenced.reduce((sum, each) => sum + each.sum, 0),
    }
  }

  private async every(ms: number, look: () => Promise<void>): Promise<void> {
    const { signal } = this.stopping
    while (!signal.aborted) {
      await look()
      await pause(ms, signal)
    }
  }

  private async lookAtServers(): Promise<void> {
    // One that is being restarted tells nothing.
    const figures = await Promise.all(this.installation.servers.map((server) => server.figures().catch(() => undefined)))
    for (const [at, each] of figures.entries()) if (each !== undefined) this.cpu[at]?.see(each.cpuSec)
    this.connections = Math.max(this.connections, figures.reduce((sum, each) => sum + (each?.connections ?? 0), 0))
  }

  private async scrape(): Promise<void> {
    const told = await Promise.all(this.installation.apps.map((app) => app.metrics().catch(() => undefined)))
    this.scrapes += told.filter((text) => text !== undefined).length
    this.waiting = Math.max(this.waiting, told.reduce((sum, text) => sum + metricIn(text, 'latchkey_waiting'), 0))
    for (const [at, text] of told.entries()) if (text !== undefined) this.fenced[at]?.see(metricIn(text, 'latchkey_fenced_total'))
  }
}

const metricIn = (text: string | undefined, name: string): number => Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text ?? '')?.[1] ?? 0)

/** How much a number has grown that begins anew when its server does. */
class Growing {
  sum = 0
  private last: number | undefined

  see(now: number): void {
    if (this.last !== undefined) this.sum += now >= this.last ? now - this.last : now
    this.last = now
  }
}
