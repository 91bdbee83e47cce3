import type { SignalSource } from '../../system/shared-signal.js'
import type { Value } from '../../wire/wire.js'

/**
 * One request's hold on one session. Every call but `save` and `reload` is the last.
 * What can be refused without asking the server is refused at once, by throwing.
 *
 * Errors are typed (errors.ts): fenced or gone (the change was refused), lost, unavailable, outcome unknown.
 */
export interface Handle {
  /** The record as last read or written: undefined where there is none, no bytes where one was destroyed. */
  readonly record: Value | undefined
  /** Whether the lock may be believed to be ours: an early exit, never proof. */
  readonly isHeld: boolean
  /** Aborts, with the typed error as its reason, when the lock is lost. */
  readonly signal: AbortSignal

  /**
   * From now on the record that was read lives for `lifetimeSec` from each renewal on, so that it does not run out while
   * it is held; undefined: its time is not known, and is left as it is. Sends nothing by itself.
   */
  keepAlive(lifetimeSec: number | undefined): void
  /** Stores the record and lets go. One flight. */
  commit(bytes: Value, ttlSec: number): Promise<void>
  /** Stores the record and keeps the lock, with a full lease from now. One flight. */
  save(bytes: Value, ttlSec: number): Promise<void>
  /** Leaves the record as it is, with a new TTL, and lets go. One flight. */
  touch(ttlSec: number): Promise<void>
  /** Leaves the record as it is and lets go. Does nothing when the lock was lost. One flight. */
  release(): Promise<void>
  /** Puts a tombstone in the record's place and lets go. One flight. */
  destroy(): Promise<void>
  /** Reads the record again, under the lock. One flight. */
  reload(): Promise<void>
}

/** What is used of an AbortSignal. Any object that has it will do: a signal takes longer to make than a lock to take. */
export interface Cancellation extends SignalSource {
  readonly reason: unknown
  throwIfAborted(): void
}

export interface AcquireOptions {
  /** Stops waiting; the promise rejects with the signal's reason and nothing is left behind. */
  readonly signal?: Cancellation | undefined
  /** What the holder calls itself (a route, say); shown to whoever waits for it. */
  readonly label?: string | undefined
}

/** How sessions are entered: with the lock (SessionLocker) or, for comparison, without (NaiveLocker). */
export interface Locker {
  /** Waits for the session and takes it. One flight when nobody holds it. Refuses bad ids at once, by throwing. */
  acquire(id: string, options: AcquireOptions): Promise<Handle>
  /** The record, without a lock and without waiting. One flight. */
  peek(id: string): Promise<Value | undefined>
  /** Destroys the session without its lock: who holds it is fenced. One flight. */
  destroy(id: string): Promise<void>
  /** Refuses new work, settles who waits, lets holders finish for `graceMs`, frees what is left. */
  close(graceMs: number): Promise<void>
}
