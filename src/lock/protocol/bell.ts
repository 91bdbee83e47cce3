/**
 * How a queue learns that another process has let go of its session, without asking the store: it waits at the process
 * that has the lock.
 *
 * All of it is a hint. What is heard late, twice, falsely or never costs a poll or saves none; only the store says who
 * has a lock. An engine that can push (publish and subscribe, say) makes another one of these.
 */
export interface Bell {
  /** Goes into the tokens of this process, so that others find it; undefined: nobody can wait here. */
  readonly address: string | undefined
  /** From the first session on others may wait here. Idempotent. */
  open(house: House): void
  /** Waits where that lock is held; undefined where that cannot be done. */
  visit(lock: HeldElsewhere, visitor: Visitor): Visit | undefined
  /** The queue of another process that has waited here longest for the lock of `instance`. */
  guestOf(instance: string): string | undefined
  /** The lock of `instance` is not held here any more: whoever waits for it asks the store. */
  freed(instance: string): void
  close(): void
}

/** The process that is visited. */
export interface House {
  /** Whether the session has to do with a queue of that name here. */
  has(id: string, instance: string): boolean
}

/** A lock that another process has. */
export interface HeldElsewhere {
  readonly id: string
  /** The name of the queue that has it. */
  readonly instance: string
  readonly host: string
  readonly address: string
}

/** A queue that waits for a lock. */
export interface Visitor {
  readonly instance: string
  /** The visit has news. */
  onNews(): void
}

/** The wait of one queue at the process that has the lock of its session. */
export interface Visit {
  /** The name of the queue over there. */
  readonly instance: string
  /** That process has ended, so nobody has the lock that bears its name. */
  readonly isDeserted: boolean
  /** The lock may be had now: ask the store. */
  readonly hasNews: boolean
  /** `hasNews`, which it has no longer. */
  takeNews(): boolean
  /** The holder has answered once. */
  readonly wasAnswered: boolean
  /** Whether the holder said, since it was asked last, that it has the lock; asks it again. */
  isStillHeld(): boolean
  /** Waits there no longer. */
  leave(): void
}
