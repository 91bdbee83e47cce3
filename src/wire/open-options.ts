import type { Clock } from '../system/clock.js'
import type { Placement } from './placement.js'
import type { WireWarning } from './wire.js'

/** How a wire is opened, whatever the store. */
export interface OpenOptions {
  readonly clock: Clock
  /** The deadline of one flight, in milliseconds. */
  readonly flightMs: number
  /** The most connections to one node, where the store has any. */
  readonly connections: number
  /** A key where processes that share sessions may leave what the others must agree with. Default: nothing is left. */
  readonly listsKey?: string
  /** Whether a key tells of running processes alone (a lock), and means nothing once their machine has started anew. */
  readonly isOfProcesses?: (key: string) => boolean
  /** Whether such a key may be lost without harm: a line of those who wait. */
  readonly isAdvice?: (key: string) => boolean
  /** A key under which each of several nodes that keep copies is marked. Default: they are not told from emptied ones. */
  readonly markKey?: string
  /** Whether a store that is not there is an error, where else it would be made. Default false. */
  readonly mustExist?: boolean
  /** Where each key lives, if that is not on the node that owns the route. Default: it is. */
  readonly placement?: Placement | undefined
  /** Told what an operator should know, each thing once. */
  readonly onWarning?: (warning: WireWarning) => void
}
