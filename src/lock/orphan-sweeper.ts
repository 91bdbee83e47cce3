import type { Timer } from '../system/clock.js'
import { fly, type LockContext, replyAt } from './lock-context.js'
import { readToken } from './lock-token.js'

const PER_PASS = 50
const MAX_WATCHED = 10_000

/**
 * Takes off the server what unanswered commands of ours may have left there, or may still leave: a stopped server
 * carries out, seconds later, what was sent to it on connections that are long gone.
 *
 * A lock that bears this manager's name, for a session that nobody here holds or waits for, is nobody's.
 */
export class OrphanSweeper {
  /** Session id => since when its lock has been seen to be clean; undefined when it has not. */
  private readonly watched = new Map<string, number | undefined>()
  private timer: Timer | undefined

  constructor(
    private readonly context: LockContext,
    private readonly isActive: (id: string) => boolean,
  ) {}

  /** Watches `id` until its lock has been clean for a whole call's deadline after the server answered. */
  watch(id: string): void {
    if (this.watched.size >= MAX_WATCHED) return
    this.watched.set(id, undefined)
    this.schedule()
  }

  /** One last pass, as far as the server answers. */
  async close(): Promise<void> {
    this.timer?.cancel()
    await this.pass()
    this.timer?.cancel()
    this.watched.clear()
  }

  private schedule(): void {
    this.timer ??= this.context.clock.setTimer(
      () => {
        this.timer = undefined
        void this.pass().then(() => {
          if (this.watched.size > 0) this.schedule()
        })
      },
      this.context.limits.flightMs / 2,
      { background: true },
    )
  }

  private async pass(): Promise<void> {
    const due = [...this.watched.keys()].filter((id) => !this.isActive(id)).slice(0, PER_PASS)
    await Promise.all(due.map((id) => this.check(id)))
  }

  private async check(id: string): Promise<void> {
    const { lock } = this.context.layout.keysOf(id)
    try {
      const occupant = replyAt(await fly(this.context, id, [{ op: 'get', key: lock }]), 0)
      if (this.isActive(id)) return
      const ours = occupant.value !== undefined && readToken(occupant.value).instance === this.context.mint.instance
      if (!ours || occupant.cas === undefined) {
        this.seenClean(id)
        return
      }
      this.watched.set(id, undefined)
      await fly(this.context, id, [{ op: 'cad', key: lock, cas: occupant.cas }])
    } catch {
      // Not answered yet: it stays watched.
    }
  }

  private seenClean(id: string): void {
    const nowMs = this.context.clock.nowMs()
    const sinceMs = this.watched.get(id)
    if (sinceMs === undefined) this.watched.set(id, nowMs)
    else if (nowMs - sinceMs >= 3 * this.context.limits.flightMs) this.watched.delete(id)
  }
}
