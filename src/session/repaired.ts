import type { NodeState } from '../wire/replica-nodes.js'

/** What becomes of a record. */
export type Outcome = 'same' | 'repaired' | 'gone' | 'locked' | 'failed'
export type Counts = Readonly<Record<Outcome, number>>

export interface NodeAfterRepair {
  readonly name: string
  /** `joining`: it was not on the list before. */
  readonly was: NodeState['state'] | 'joining'
  /** `left`: it is not on the list any more. */
  readonly is: NodeState['state'] | 'left'
}

export interface Repaired {
  readonly counts: Counts
  readonly nodes: readonly NodeAfterRepair[]
  /** Why a node that was emptied is not whole; undefined: all of them are. */
  readonly obstacle: 'records' | 'nodes' | 'again' | undefined
  /** By the id, or the name: what went wrong. */
  readonly failures: ReadonlyMap<string, unknown>
  /** Whether the list was changed: from here on the new one alone may be gone by. */
  readonly isChanged: boolean
}
