/**
 * What the page is sent, a few times a second. Plain JSON; sessions are hashes. Times are milliseconds: `atMs` and
 * `sinceMs` since 1970, the others durations.
 */

/** One manager of one process. */
export interface SourceInfo {
  readonly source: string
  /** `manager.name`, or as `createInspector` was told. */
  readonly name: string
  readonly host: string
  readonly pid: number
  /** False with `locking: false`. */
  readonly isLocking: boolean
  /** Why nothing is seen of it; undefined while it is. */
  readonly problem?: string | undefined
}

/** A hold that is over. */
export interface HoldShown {
  readonly session: string
  readonly label: string | undefined
  readonly sinceMs: number
  readonly heldMs: number
  /** `ok`, a LATCHKEY_ code, or why the lock was lost; `overwrote` where, without a lock, it erased what `over` had stored. */
  readonly outcome: string
  readonly reason?: string | undefined
  readonly over?: string | undefined
  readonly to: 'waiter' | 'nobody'
  readonly causedMs: number
}

/** A wait that is over, or a refusal. */
export interface WaitShown {
  readonly session: string
  readonly label: string | undefined
  readonly sinceMs: number
  readonly waitedMs: number
  readonly outcome: string
  readonly reason?: string | undefined
  /** The holder in another process that it waited for at last. */
  readonly stranger?: string | undefined
}

/** A renewal, or a save that kept the lock. */
export interface MarkShown {
  readonly session: string
  readonly kind: 'renewal' | 'save'
  readonly atMs: number
  readonly outcome: string
}

/** A session that is held, or waited for, now. */
export interface NowShown {
  readonly session: string
  /** False where nobody of this process holds it. */
  readonly isHeld: boolean
  readonly label: string | undefined
  readonly heldMs: number
  readonly leaseLeftMs: number
  readonly waiting: number
  readonly waiters: readonly { readonly label: string | undefined; readonly waitedMs: number }[]
  readonly stranger?: string | undefined
}

/** What the requests of one label did since the frame before. */
export interface RouteShown {
  /** undefined: all that are not named. */
  readonly label: string | undefined
  readonly holds: number
  readonly heldMs: number
  readonly longestMs: number
  readonly waits: number
  readonly waitedMs: number
  /** The time that others waited for holds of this label, taken together. */
  readonly causedMs: number
  readonly failures: number
}

/** A node, as `manager.health()` found it. */
export interface NodeShown {
  readonly name: string
  readonly isUp: boolean
  readonly latencyMs: number | undefined
  readonly awaySinceMs: number | undefined
  readonly reason: string | undefined
  readonly flights: number
  readonly failed: number
}

/** What happened in one manager since the frame before, and how it is now. */
export interface Frame {
  readonly source: string
  readonly atMs: number
  readonly now: readonly NowShown[]
  readonly holds: readonly HoldShown[]
  readonly waits: readonly WaitShown[]
  readonly marks: readonly MarkShown[]
  readonly routes: readonly RouteShown[]
  /** As in `manager.stats()`: since the manager was made. */
  readonly counters: Readonly<Record<string, number>>
  /** Undefined until the nodes were asked. */
  readonly nodes: readonly NodeShown[] | undefined
  readonly state: string | undefined
  /** Holds and waits that are in the sums of `routes` and not shown one by one. */
  readonly dropped: number
}
