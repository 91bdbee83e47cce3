/**
 * Tells a queue that another process has let go of its session, so that the queue need not ask the store: the queue
 * waits at the process that has the lock.
 *
 * Everything a bell says is a hint. News that is late, repeated, false or lost costs at most one poll, or saves none;
 * only the store says who has a lock. An engine that can push (with publish and subscribe, for example) can implement
 * this interface in its own way.
 */
export interface Bell {
  /** This process's address. The process's tokens carry it, so that others find it. Undefined: nobody can wait here. */
  readonly address: string | undefined
  /** Lets other processes wait here. Called when a session is entered; only the first call does something. */
  open(house: House): void
  /** Waits at the process that holds `lock`; undefined where nobody can wait there. */
  visit(lock: HeldElsewhere, visitor: Visitor): Visit | undefined
  /** The name of the other process's queue that has waited here longest for the lock of `instance`. */
  guestOf(instance: string): string | undefined
  /** Says that `instance` does not hold the lock any more, so that all who wait for it here ask the store. */
  freed(instance: string): void
  close(): void
}

/** The process that others visit. */
export interface House {
  /** Whether the session `id` has a lock here that is named `instance`, or a queue that may have been granted it. */
  has(id: string, instance: string): boolean
}

/** A lock that another process has. */
export interface HeldElsewhere {
  readonly id: string
  /** The name of the queue that has the lock. */
  readonly instance: string
  readonly host: string
  readonly address: string
}

/** A queue that waits for a lock. */
export interface Visitor {
  readonly instance: string
  /** Called when the visit has news: the lock may be free. */
  onNews(): void
}

/** The wait of one queue at the process that holds the lock of its session. */
export interface Visit {
  /** The name of the queue that holds the lock, in the visited process. */
  readonly instance: string
  /** Whether the visited process has ended. Then nobody holds the lock that bears its name. */
  readonly isDeserted: boolean
  /** Whether the lock may be free now, so that the store should be asked. */
  readonly hasNews: boolean
  /** Returns `hasNews` and resets it to false. */
  takeNews(): boolean
  /** Whether the holder has answered at least once. */
  readonly wasAnswered: boolean
  /** Whether the holder has answered the last question with "I have the lock". Asks the next question as well. */
  isStillHeld(): boolean
  /** Stops waiting there. */
  leave(): void
}
