import type { Value } from '../../wire/wire.js'
import { type Change, NOTHING } from '../protocol/exchange.js'
import { type Committer, type Handle, tellOf } from '../protocol/handle.js'
import type { HeldLock } from '../hold/held-lock.js'

/** What a handle asks of its queue. */
interface Queue {
  /** Carries out the change and gives the lock up. Throws the typed error when the change was refused. */
  leave(lock: HeldLock, change: Change, nowMs: number): Promise<void>
}

/**
 * The handle of a session that has a queue. A call that keeps the lock goes to the held lock. A call that gives the
 * lock up goes to the queue, which decides who gets the lock next.
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

  get isLeft(): boolean {
    return this.lock.isLost || this.lock.isLeft
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

  commit(bytes: Value, ttlSec: number, committer: Committer): void {
    const nowMs = this.clock.nowMs()
    this.lock.assertWritable(bytes, nowMs)
    tellOf(this.queue.leave(this.lock, { kind: 'write', bytes, ttlSec }, nowMs), committer)
  }

  touch(ttlSec: number): Promise<void> {
    return this.queue.leave(this.lock, this.lock.prolonging(ttlSec), this.clock.nowMs())
  }

  destroy(): Promise<void> {
    return this.queue.leave(this.lock, this.lock.burial, this.clock.nowMs())
  }

  end(): Promise<void> {
    return this.queue.leave(this.lock, this.lock.fencedEnd, this.clock.nowMs())
  }

  async release(): Promise<void> {
    const { lock } = this
    if (this.isLeft) return
    try {
      await this.queue.leave(lock, NOTHING, this.clock.nowMs())
    } catch (error) {
      // The release waited for a renewal, and that renewal found the lock gone. Nothing was to be changed, so nothing
      // has failed. If this were thrown, the caller would believe that an earlier call (a destroy, for example) had
      // failed.
      if (!lock.isLost) throw error
    }
  }
}
