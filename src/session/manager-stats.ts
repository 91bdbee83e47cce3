import type { LockCounters } from '../lock/protocol/lock-context.js'
import type { NodeStats } from '../wire/wire.js'

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
