import type { Value } from '../../wire/wire.js'
import { type Change, NOTHING } from '../protocol/exchange.js'
import type { Handle } from '../protocol/handle.js'
import type { HeldLock } from '../hold/held-lock.js'

/** The queue, as one who has its session sees it. */
interface Queue {
  /** Carries out the change and gives up the lock; throws the typed error when the change was refused. */
  leave(lock: HeldLock, change: Change, nowMs: number): Promise<void>
}

/**
 * A session that others wait for, or may, as its holder calls it. What keeps the lock goes to the lock; what gives it up
 * goes to the queue, which says who comes next, and from there to the lock.
 */
export class QueuedHandle implements Handle {
  constructor(
    private readonly queue: Queue,
    readonly lock: HeldLock,
    private readonly clock: { nowMs(): number },
  ) {}

  get record(): Value | undefined {
    return this.lock.stored?.bytes
  }

  get isHeld(): boolean {
    return this.lock.isHeld
  }

  get signal(): AbortSignal {
    return this.lock.signal
  }

  keepAlive(lifetimeSec: number | undefined): void {
    this.lock.keepAlive(lifetimeSec)
  }

  save(bytes: Value, ttlSec: number): Promise<void> {
    return this.lock.save(bytes, ttlSec)
  }

  reload(): Promise<void> {
    return this.lock.reload()
  }

  commit(bytes: Value, ttlSec: number): Promise<void> {
    const nowMs = this.clock.nowMs()
    this.lock.assertWritable(bytes, nowMs)
    return this.queue.leave(this.lock, { kind: 'write', bytes, ttlSec }, nowMs)
  }

  touch(ttlSec: number): Promise<void> {
    return this.queue.leave(this.lock, this.lock.prolonging(ttlSec), this.clock.nowMs())
  }

  destroy(): Promise<void> {
    return this.queue.leave(this.lock, this.lock.burial, this.clock.nowMs())
  }

  async release(): Promise<void> {
    const { lock } = this
    if (lock.isLost || lock.isLeft) return
    try {
      await this.queue.leave(lock, NOTHING, this.clock.nowMs())
    } catch (error) {
      // A renewal that this waited for may have found that the lock is gone. Nothing was to be changed, so nothing has
      // failed; thrown, it would say that what the caller did before (a destroy, say) had failed.
      if (!lock.isLost) throw error
    }
  }
}
