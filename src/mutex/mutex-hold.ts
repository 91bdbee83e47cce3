import { FencedError, SessionGoneError } from '../errors.js'
import type { Handle } from '../lock/protocol/handle.js'
import type { Value } from '../wire/wire.js'
import type { MutexRoom } from './mutex-room.js'
import { worded } from './wording.js'

/** How long the last number is remembered: far longer than anybody who was given one may still be on the way with it. */
const COUNTED_SEC = 30 * 86_400
/** The number on the server may have moved on, or have been evicted, under a lock that is still ours. */
const MAX_TRIES = 3

/** One hold on a named lock, from the moment that it was taken. Renewed by itself until it is released, or lost. */
export class MutexHold {
  private drawing: Promise<number> | undefined
  private controller: AbortController | undefined
  private isReleased = false

  /** @internal */
  constructor(
    readonly name: string,
    private readonly handle: Handle,
    private readonly room: MutexRoom,
  ) {}

  /** Whether the lock may still be believed to be ours: a reason to stop early, never a proof. Sends nothing. */
  get isHeld(): boolean {
    return this.handle.isHeld
  }

  /** Whether it went away before it was released. */
  get isLost(): boolean {
    return !this.isReleased && !this.isHeld
  }

  /** Aborts when the lock is lost, with LATCHKEY_LOCK_LOST as its reason, or LATCHKEY_CLOSED. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      const { signal: inner } = this.handle
      const controller = new AbortController()
      const abort = (): void => {
        controller.abort(worded(inner.reason, this.name))
      }
      if (inner.aborted) abort()
      else inner.addEventListener('abort', abort, { once: true })
      this.controller = controller
    }
    return this.controller.signal
  }

  /**
   * The number of this hold, greater than that of every earlier one that asked for its own. Whatever the lock guards
   * keeps the greatest number that it has seen, and refuses a smaller one: so a holder that stood still, and does not know
   * that the lock is another's by now, changes nothing.
   *
   * The server remembers it for 30 days after the last one. Where it has lost it, the clock takes over: a number is never less than
   * the milliseconds since 1970. One flight at the first call, none later.
   *
   * @throws LATCHKEY_LOCK_LOST, LATCHKEY_OUTCOME_UNKNOWN (ask again), LATCHKEY_SERVER_UNAVAILABLE, LATCHKEY_SERVER_REFUSED,
   *   LATCHKEY_CLOSED, LATCHKEY_MISUSE after the release.
   */
  fencingToken(): Promise<number> {
    this.drawing ??= this.draw().catch((error: unknown) => {
      this.drawing = undefined
      throw worded(error, this.name)
    })
    return this.drawing
  }

  /** Lets go of the lock; whoever waits for it has it next. Does nothing when it was released or lost. One flight. */
  async release(): Promise<void> {
    this.isReleased ||= this.isHeld
    try {
      await this.handle.release()
    } catch (error) {
      throw worded(error, this.name)
    }
  }

  /** As `release()`: `await using hold = await mutex.lock()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  private async draw(): Promise<number> {
    for (let tries = 1; ; tries++) {
      const number = Math.max(numberIn(this.handle.record) + 1, this.room.clock.wallMs())
      try {
        // Stored before it is given: the next holder begins behind it, even if this one never comes back.
        await this.handle.save(String(number), COUNTED_SEC)
        return number
      } catch (error) {
        if (tries === MAX_TRIES || !(error instanceof FencedError || error instanceof SessionGoneError)) throw error
        // Only the server knows whether the lock is still ours. If it is, an earlier holder's late number came between.
        await this.handle.reload()
      }
    }
  }
}

/** What somebody else has stored there counts as nothing. */
function numberIn(record: Value | undefined): number {
  const number = Number(record?.toString() ?? 0)
  return Number.isSafeInteger(number) && number >= 0 && number < Number.MAX_SAFE_INTEGER ? number : 0
}
