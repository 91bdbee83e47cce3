/** Pauses, kills and restarts what the soak runs on; one affliction at a time for each victim. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SeededRandom } from '../src/testing/index.js'
import type { ServerProcess } from '../test/support/server-process.js'
import type { Crew } from './crew.js'
import type { Restart } from './history.js'
import { nowMs } from './messages.js'

export interface Torments {
  serverPauses: number
  serverRestarts: number
  processPauses: number
  processKills: number
}

export class Tormentor {
  readonly torments: Torments = { serverPauses: 0, serverRestarts: 0, processPauses: 0, processKills: 0 }
  /** By server, in the order of their list. */
  readonly restarts: readonly Restart[][]
  private readonly busy = new Set<unknown>()
  private readonly under: Promise<void>[] = []
  private tormenting: Promise<void> = Promise.resolve()
  private resting = false
  private restartsFromMs = -Infinity

  constructor(
    private readonly servers: readonly ServerProcess[],
    private readonly crew: Crew,
    private readonly random: SeededRandom,
    /** Where each session is on several servers: puts them on a restarted one again. No other is restarted before it is done. */
    private readonly repair: (() => Promise<void>) | undefined,
  ) {
    this.restarts = servers.map(() => [])
  }

  begin(): void {
    this.tormenting = this.torment()
  }

  /** Ends what is under way; everything runs again after it, and nothing more is done: a worker that was started later would never be told to stop. */
  async rest(): Promise<void> {
    this.resting = true
    await this.tormenting
    await Promise.all(this.under)
  }

  private async torment(): Promise<void> {
    for (;;) {
      await sleep(200 + this.random.integer(1000))
      if (this.resting) return
      const affliction = this.choose()
      if (affliction !== undefined) this.under.push(affliction)
    }
  }

  private choose(): Promise<void> | undefined {
    const { random } = this
    const roll = random.integer(36)
    if (roll < 18 || this.servers.length === 0) {
      const worker = random.integer(this.crew.size)
      const lengthMs = random.integer(5500)
      return this.afflict(`worker ${String(worker)}`, () =>
        roll % 3 === 0 ? this.killWorker(worker) : this.pauseWorker(worker, 100 + lengthMs),
      )
    }
    const index = random.integer(this.servers.length)
    const server = this.servers[index]
    if (server === undefined) return undefined
    // Where each session is on several, as many are struck as the others can do without: then everybody is to be served.
    const struck = this.servers.filter((one) => this.busy.has(one)).length
    if (this.repair !== undefined && struck >= Math.floor((this.servers.length - 1) / 2)) return undefined
    // Rare, where what a restart takes along can prove nothing any more; else as often as it may be.
    const restarts = this.repair === undefined ? roll === 35 : roll >= 27 && nowMs() >= this.restartsFromMs
    const lengthMs = random.integer(restarts ? 1500 : 3000)
    return this.afflict(server, () => (restarts ? this.restart(server, index, lengthMs) : this.pause(server, 50 + lengthMs)))
  }

  private afflict(victim: unknown, affliction: () => Promise<void>): Promise<void> | undefined {
    if (this.busy.has(victim)) return undefined
    this.busy.add(victim)
    return affliction().finally(() => this.busy.delete(victim))
  }

  private async pause(server: ServerProcess, ms: number): Promise<void> {
    this.torments.serverPauses++
    await server.pause()
    await sleep(ms)
    server.resume()
  }

  private async restart(server: ServerProcess, index: number, downMs: number): Promise<void> {
    this.torments.serverRestarts++
    const restart: Restart = { fromMs: nowMs(), toMs: Infinity }
    this.restarts[index]?.push(restart)
    this.restartsFromMs = Infinity
    await server.kill()
    await sleep(downMs)
    await server.restart()
    restart.toMs = nowMs()
    await this.repair?.()
    this.restartsFromMs = nowMs()
  }

  private async pauseWorker(worker: number, ms: number): Promise<void> {
    this.torments.processPauses++
    this.crew.pause(worker)
    await sleep(ms)
    this.crew.resume(worker)
  }

  private async killWorker(worker: number): Promise<void> {
    this.torments.processKills++
    await this.crew.kill(worker)
    await this.crew.start(worker)
  }
}
