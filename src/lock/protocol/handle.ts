import type { SignalSource } from '../../system/shared-signal.js'
import type { Value } from '../../wire/wire.js'

/**
 * One request's hold on one session. `commit`, `touch`, `release`, `destroy` and `end` end the hold: nothing may be called
 * after. A call that needs no server to be refused throws at once.
 *
 * Errors are typed (errors.ts): fenced or gone (the change was refused), lost, unavailable, outcome unknown.
 */
export interface Handle {
  /** The record as last read or written: undefined where there is none, no bytes where one was destroyed. */
  readonly record: Value | undefined
  /** Whether we may still believe that we hold the lock: a reason to stop early, never a proof. */
  readonly isHeld: boolean
  /** Whether the lock was given up or lost, so that `release` has nothing to do. */
  readonly isLeft: boolean
  /** Aborts, with the typed error as its reason, when the lock is lost. */
  readonly signal: AbortSignal

  /**
   * Sets what each renewal gives the record that was read: `lifetimeSec` more to live, so that it does not expire while
   * the session is held. Undefined: the lifetime is not known, and renewals leave it as it is. This call itself sends
   * nothing.
   */
  keepAlive(lifetimeSec: number | undefined): void
  /** Stores the record and releases the lock. One flight. */
  commit(bytes: Value, ttlSec: number, committer: Committer): void
  /** Stores the record and keeps the lock, with a full lease from now. One flight. */
  save(bytes: Value, ttlSec: number): Promise<void>
  /** Gives the unchanged record a new TTL and releases the lock. One flight. */
  touch(ttlSec: number): Promise<void>
  /** Leaves the record as it is and releases the lock. Does nothing when the lock was lost. One flight. */
  release(): Promise<void>
  /** Destroys the session (`LockDialect.hasTombstones` says what is left of it) and releases the lock. One flight. */
  destroy(): Promise<void>
  /** As `destroy`, but only if the record is as it was read or written last: otherwise fenced, or gone. One flight. */
  end(): Promise<void>
  /** Reads the record again, under the lock. One flight. */
  reload(): Promise<void>
}

/**
 * The part of an AbortSignal that is used here. Any object with these members will do: to make a real AbortSignal takes
 * longer than to take a lock.
 */
export interface Cancellation extends SignalSource {
  readonly reason: unknown
  throwIfAborted(): void
}

export interface AcquireOptions {
  /** Stops waiting; the promise rejects with the signal's reason and nothing is left behind. */
  readonly signal?: Cancellation | undefined
  /** What the holder calls itself (its route, for example); shown to those who wait for the session. */
  readonly label?: string | undefined
  /** Does not wait: LATCHKEY_LOCK_TIMEOUT as soon as it is found locked. */
  readonly triesOnce?: boolean | undefined
}

/**
 * Whoever asks for a session: told once, by one of the two calls. In place of a promise, which every layer would make
 * again: only the outermost call makes one.
 */
export interface Asker {
  readonly options: AcquireOptions
  acquired(handle: Handle): void
  refused(reason: unknown): void
}

/** Whoever stores a session and lets go: told as an `Asker` is. */
export interface Committer {
  committed(): void
  failed(error: unknown): void
}

/** Tells how `committing` ends. */
export function tellOf(committing: Promise<void>, committer: Committer): void {
  committing.then(
    () => {
      committer.committed()
    },
    (error: unknown) => {
      committer.failed(error)
    },
  )
}

export const acquired = (locker: Pick<Locker, 'acquire'>, id: string, options: AcquireOptions): Promise<Handle> =>
  new Promise((resolve, reject) => {
    locker.acquire(id, { options, acquired: resolve, refused: reject })
  })

export const committed = (handle: Handle, bytes: Value, ttlSec: number): Promise<void> =>
  new Promise((resolve, reject) => {
    handle.commit(bytes, ttlSec, { committed: resolve, failed: reject })
  })

/** How sessions are entered: with the lock (SessionLocker) or, for comparison, without (NaiveLocker). */
export interface Locker {
  /** Waits for the session and takes it. One flight when nobody holds it. Throws at once for a bad id. */
  acquire(id: string, asker: Asker): void
  /** Reads the record without a lock and without waiting. One flight. */
  peek(id: string): Promise<Value | undefined>
  /** Destroys the session without its lock; a write by the present holder is then fenced. One flight. */
  destroy(id: string): Promise<void>
  /**
   * Refuses new calls and everyone who waits, gives holders `graceMs` to finish, then frees the locks that are left.
   */
  close(graceMs: number): Promise<void>
}
