import type { LockCounters } from '../lock/protocol/lock-context.js'
import type { NodeStats, Wire } from '../wire/wire.js'

/** Plain numbers since the manager was made, and who holds and waits now. */
export interface ManagerStats extends Readonly<LockCounters> {
  /** Sessions held by this process now. */
  readonly held: number
  /** Requests of this process that wait now. */
  readonly waiting: number
  /** The longest that a request has waited for a locked session, in milliseconds: so far, and up to now. */
  readonly longestWaitMs: number
  /** What each memcached has done, by its address (without credentials); empty where the store is in this process. */
  readonly nodes: Readonly<Record<string, NodeStats>>
}

/** What holds and waits in one process. */
interface Locking {
  readonly held: number
  readonly waiting: number
  readonly longestWaitMs: number
}

interface Counted {
  readonly counters: LockCounters
  readonly lockers: readonly Locking[]
  readonly wire: Pick<Wire, 'stats'>
}

export const statsOf = ({ counters, lockers, wire }: Counted): ManagerStats => ({
  ...counters,
  held: lockers.reduce((sum, { held }) => sum + held, 0),
  waiting: lockers.reduce((sum, { waiting }) => sum + waiting, 0),
  longestWaitMs: Math.max(counters.longestWaitMs, ...lockers.map(({ longestWaitMs }) => longestWaitMs)),
  nodes: wire.stats?.() ?? {},
})
