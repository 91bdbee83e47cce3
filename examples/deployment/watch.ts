import type { AppProcess } from './app-process.js'
import type { Nginx } from './nginx.js'
import { pause } from './pause.js'

const EVERY_MS = 500
/** A busy machine may miss one answer. */
const MISSES = 2

/**
 * Asks every process whether it is ready, again and again, and has nginx pass over those that are not; as Kubernetes does it
 * by itself. Between two looks it is nginx that finds a process away (max_fails), and asks the next one.
 */
export class Watch {
  private readonly misses = new Map<AppProcess, number>()
  private readonly drained = new Set<AppProcess>()
  private readonly stopping = new AbortController()
  private passed: ReadonlySet<number> = new Set()
  private readonly watching: Promise<void>

  constructor(
    private readonly nginx: Nginx,
    private readonly apps: readonly AppProcess[],
  ) {
    this.watching = this.run()
  }

  /** Resolves when every request that was sent there is answered, and no more are sent. */
  async drain(app: AppProcess): Promise<void> {
    this.drained.add(app)
    await this.tell()
  }

  /** It takes requests again. */
  async restore(app: AppProcess): Promise<void> {
    this.drained.delete(app)
    this.misses.delete(app)
    await this.tell()
  }

  async end(): Promise<void> {
    this.stopping.abort()
    await this.watching
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping
    while (!signal.aborted) {
      await Promise.all(this.apps.map((app) => this.look(app)))
      if (!signal.aborted) await this.tell().catch(() => undefined)
      await pause(EVERY_MS, signal)
    }
  }

  private async look(app: AppProcess): Promise<void> {
    if (await app.isReady()) this.misses.delete(app)
    else this.misses.set(app, (this.misses.get(app) ?? 0) + 1)
  }

  private async tell(): Promise<void> {
    const away = this.apps.filter((app) => this.drained.has(app) || (this.misses.get(app) ?? 0) >= MISSES)
    // nginx asks those that are there rather than none at all.
    const down = new Set(away.length === this.apps.length ? [] : away.map(({ port }) => port))
    if (down.size === this.passed.size && [...down].every((port) => this.passed.has(port))) return this.nginx.settled()
    this.passed = down
    await this.nginx.passOver(down)
  }
}
