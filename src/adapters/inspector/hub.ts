import type { Clock, Timer } from '../../system/clock.js'
import { VERSION } from '../../system/version.js'
import type { Source } from './source.js'

/** Where a viewer's events go: a response that stays open. */
export interface Outlet {
  /** False where what was written before has not left yet. */
  readonly isReady: boolean
  write(text: string): void
  end(): void
}

const PACE_MS = 200
/** An idle stream says that it is alive. */
const HEARTBEAT_MS = 1000
export const MOST_VIEWERS = 8

interface Viewer {
  readonly outlet: Outlet
  /** Frames that it was too slow for, since the last one that it got. */
  skipped: number
}

/**
 * Sends to every viewer, a few times a second, what the sources have seen. While nobody looks there is no timer, and the
 * sources record nothing. A viewer that is slower than that is skipped, and not written ahead for: each frame says how it
 * is now, so that it needs none of those that it missed.
 */
export class Hub {
  private readonly viewers = new Set<Viewer>()
  private timer: Timer | undefined
  private sentAtMs = -Infinity
  /** The sources, as they were told last. */
  private told = ''

  constructor(
    private readonly sources: readonly Source[],
    private readonly clock: Clock,
    private readonly replay: string | undefined,
  ) {}

  get isFull(): boolean {
    return this.viewers.size >= MOST_VIEWERS
  }

  get size(): number {
    return this.viewers.size
  }

  /** Returns what ends it. */
  join(outlet: Outlet): () => void {
    const viewer: Viewer = { outlet, skipped: 0 }
    if (this.viewers.size === 0) this.begin()
    this.viewers.add(viewer)
    this.told = eventOf('hello', this.hello)
    outlet.write(this.told)
    this.sentAtMs = -Infinity
    return () => {
      if (!this.viewers.delete(viewer)) return
      if (this.viewers.size === 0) this.stop()
    }
  }

  /** Everybody is sent away. */
  close(): void {
    for (const { outlet } of [...this.viewers]) outlet.end()
    this.viewers.clear()
    this.stop()
  }

  private get hello(): object {
    return { version: VERSION, sources: this.sources.flatMap(({ infos }) => infos), replay: this.replay }
  }

  private begin(): void {
    for (const source of this.sources) source.start()
    this.tick()
  }

  private stop(): void {
    this.timer?.cancel()
    this.timer = undefined
    for (const source of this.sources) source.stop()
  }

  private tick(): void {
    this.timer = this.clock.setTimer(() => {
      this.send()
      this.tick()
    }, PACE_MS, { background: true })
  }

  private send(): void {
    this.tellNewSources()
    const nowMs = this.clock.nowMs()
    const isForced = nowMs - this.sentAtMs >= HEARTBEAT_MS
    const frames = this.sources.flatMap((source) => source.frames(isForced))
    if (frames.length === 0) return
    this.sentAtMs = nowMs
    const text = JSON.stringify(frames)
    for (const viewer of this.viewers) {
      if (!viewer.outlet.isReady) {
        viewer.skipped++
        continue
      }
      viewer.outlet.write(`event: frames\ndata: {"skipped":${String(viewer.skipped)},"frames":${text}}\n\n`)
      viewer.skipped = 0
    }
  }

  /** A process that is looked at from outside may come, go and come again. */
  private tellNewSources(): void {
    const hello = eventOf('hello', this.hello)
    if (hello === this.told) return
    this.told = hello
    for (const { outlet } of this.viewers) outlet.write(hello)
  }
}

const eventOf = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
