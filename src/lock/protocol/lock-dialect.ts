/**
 * How a product keeps its sessions, as far as the lock protocol has to know: latchkey's own way, or that of another
 * product with which live sessions are shared. Keys are the layout's (`KeyLayout`).
 */
export interface LockDialect {
  /**
   * Whether a write may bear a stamp in the item's client flags. Without stamps two records with the same bytes cannot be
   * told apart, and more outcomes stay unknown.
   */
  readonly hasStamps: boolean
  /**
   * Whether a record of no bytes is a tombstone: no session, and a fence. If not, it is a session in which nothing is
   * stored yet, and a session is destroyed by deleting its record.
   */
  readonly hasTombstones: boolean
  /**
   * Whether whoever waited for a session that had a record, and finds none when its turn comes, is refused: the session is
   * gone. A named lock's record only counts, and may be missing.
   */
  readonly isBoundToRecord: boolean
  /** The value of a lock that is there and free: such a lock is taken over by its version. Undefined: a free lock is gone. */
  readonly freeLock: string | undefined
  /**
   * Milliseconds for which this process leaves a session alone after its turn, because the other product can only try
   * again and again. Undefined: all who wait stand in line, and are granted the lock.
   */
  readonly standBackMs: number | undefined
}
