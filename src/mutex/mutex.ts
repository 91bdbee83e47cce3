import { InvalidIdError, LockTimeoutError, type Holder, TooManyWaitersError } from '../errors.js'
import { acquired, type AcquireOptions, type Cancellation } from '../lock/protocol/handle.js'
import { checkNames } from '../system/option-names.js'
import { lost, worded } from './wording.js'
import { MutexHold } from './mutex-hold.js'
import type { MutexRoom } from './mutex-room.js'

/** How a named lock is taken. */
export interface MutexOptions {
  /** Stops waiting: the promise rejects with the signal's reason, and nothing is left behind. */
  readonly signal?: Cancellation | undefined
  /** What the holder calls itself, for those who wait, and for operators. Default: the manager's `label`. */
  readonly label?: string | undefined
}

const OPTIONS: ReadonlySet<string> = new Set<keyof MutexOptions>(['signal', 'label'])
const OPTIONS_OF_ONE_TRY = new Set(['label'])

/**
 * A lock by name: the session's lock without a session, for a job that must not run twice at once, a number that is counted
 * up, or whatever else is read, changed and written. First come first served within a process; processes take turns.
 *
 * What it promises is what any lock with a lease can: two holders at once are rare, not impossible. One that stands still for
 * longer than the lease (a paused process, a lost network) has lost the lock and does not know it. Where that must not
 * do harm, pass `fencingToken()` to what is guarded, and let it refuse a smaller number than the greatest it has seen.
 */
export class Mutex {
  /** @internal */
  constructor(
    private readonly room: MutexRoom,
    readonly name: string,
  ) {
    const flaw = room.flawOf(name)
    if (flaw !== undefined) throw new InvalidIdError(`The name of the lock is refused: ${flaw}.`)
  }

  /**
   * Takes the lock, runs `work`, and lets go. If `work` throws, its error goes on. Two flights when it is free. To
   * ask for the same lock within `work` is LATCHKEY_MISUSE at once: it would wait for itself.
   *
   * @throws as `lock`; LATCHKEY_LOCK_LOST after `work` has ended, if the lock was lost meanwhile: another one may have run.
   */
  async run<R>(work: (hold: MutexHold) => R | Promise<R>, options: MutexOptions = {}): Promise<R> {
    const hold = await this.lock(options)
    const { name } = this
    const held = {
      id: name,
      get isHeld(): boolean {
        return hold.isHeld
      },
    }
    let result: R
    try {
      result = await this.room.nesting.within(held, () => work(hold))
    } catch (error) {
      await hold.release().catch(ignore)
      throw error
    }
    if (hold.isLost) throw lost(name)
    await hold.release()
    return result
  }

  /**
   * Takes the lock, waiting for it up to the manager's `waitMs`. Renewed by itself until `release()`, however long that
   * is: `slowHoldMs` tells of a long one. One flight when it is free.
   *
   * @throws LATCHKEY_LOCK_TIMEOUT, LATCHKEY_TOO_MANY_WAITERS, LATCHKEY_SERVER_UNAVAILABLE, LATCHKEY_SERVER_REFUSED,
   *   LATCHKEY_NOT_SUPPORTED, LATCHKEY_CLOSED, LATCHKEY_INVALID_OPTION, LATCHKEY_MISUSE within run() of the same lock; the
   *   signal's reason.
   */
  async lock(options: MutexOptions = {}): Promise<MutexHold> {
    checkNames(options, OPTIONS)
    const { signal, label } = options
    const flaw = this.room.nesting.flawOf(this.name)
    if (flaw !== undefined) throw flaw
    return this.take({ signal, label: label ?? this.room.label })
  }

  /** As `lock`, without waiting: undefined when somebody has it. One flight, or none where this process has it. */
  async tryLock(options: Pick<MutexOptions, 'label'> = {}): Promise<MutexHold | undefined> {
    checkNames(options, OPTIONS_OF_ONE_TRY)
    const { label } = options
    try {
      return await this.take({ label: label ?? this.room.label, triesOnce: true })
    } catch (error) {
      if (error instanceof LockTimeoutError || error instanceof TooManyWaitersError) return undefined
      throw error
    }
  }

  /** Who has the lock, in any process; undefined when it is free. One flight. Errors as of `lock`. */
  async holder(): Promise<Holder | undefined> {
    try {
      return await this.room.locker.holderOf(this.name)
    } catch (error) {
      throw worded(error, this.name)
    }
  }

  private async take(options: AcquireOptions): Promise<MutexHold> {
    const { name, room } = this
    try {
      return new MutexHold(name, await acquired(room.locker, name, options), room)
    } catch (error) {
      throw worded(error, name)
    }
  }
}

function ignore(): void {
  // The error of the work itself is told.
}
