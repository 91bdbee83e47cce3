/**
 * How far the change of a list of nodes is, as one node says: it has not begun; sessions are carried over; they have been, and the nodes are
 * told; all of them have been told, and the new list counts.
 */
export type ListStage = 'old' | 'moving' | 'moved' | 'new'

/** In their order: no node goes back. */
export const LIST_STAGES: readonly ListStage[] = ['old', 'moving', 'moved', 'new']

export const furthestOf = (stages: readonly ListStage[]): ListStage | undefined => LIST_STAGES.findLast((stage) => stages.includes(stage))

/** What a node that keeps copies of sessions says of itself. */
export interface NodeState {
  /** Its place in the list. */
  readonly node: number
  /** Its address, without credentials. */
  readonly name: string
  /**
   * `emptied`: it has lost what it had, and does not have all of it again. `new`: no node has been used yet, or it joins the list and has not been
   * told so. `foreign`: it is on another list.
   */
  readonly state: 'whole' | 'emptied' | 'new' | 'foreign' | 'away'
  /** A name for the time since it was last emptied; undefined: it has none yet, or is away. */
  readonly incarnation: string | undefined
  /** The name of the list that it is on. */
  readonly listed: string | undefined
  /** Another name of the list that leads to the same server; undefined: none does. */
  readonly twin: string | undefined
  /** How far the list is changed there; undefined: it is not being changed, or the node does not say. */
  readonly stage: ListStage | undefined
  /** Of a list that is being changed: whether the node is on the old one, and on the new one. Else it is on both. */
  readonly isOnOld: boolean
  readonly isOnNew: boolean
}

/** A record, and what decides which nodes keep it. */
export interface RecordAt {
  readonly route: string
  readonly key: string
}

/** What the nodes of a record have of it. */
export interface Sight {
  /** Nodes that have answered, and do not have it. */
  readonly missing: readonly number[]
  /** Nodes that have not answered. */
  readonly away: readonly number[]
  /** Whether all that have answered have one and the same copy. */
  readonly areAlike: boolean
  /** Undefined: none of them has any. */
  readonly newest: { readonly node: number; readonly endsAtSec: number } | undefined
}

export interface Sights {
  /** By the place of the node: what it was called just before it was looked at. */
  readonly incarnations: ReadonlyMap<number, string | undefined>
  /** One for each record, in their order. */
  readonly sights: readonly Sight[]
}

/** The nodes of a wire that keeps each session on several of them, each by itself: for their operators. */
export interface ReplicaNodes {
  /** The name of the list, by which a node that is on another one is told. */
  readonly listed: string
  /** @param marks whether a node that has been emptied is marked as that, where nobody has done so yet. */
  states(marks: boolean): Promise<readonly NodeState[]>
  /** Whether the list is being changed. */
  readonly isChanging: boolean
  /** The places of the nodes that keep what has this route; of those that leave none. */
  placesOf(route: string): readonly number[]
  /** As `Wire.keys`, of one node. @throws as `Wire.keys`. */
  keys(node: number, prefix: string): AsyncIterable<string>
  /**
   * Begins the change of the list, or goes on with it: from here on nobody goes by the old list alone.
   *
   * @returns what the nodes say then; `isBegun` false: too many of them do not answer.
   * @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: one of them is on another list.
   */
  beginChange(): Promise<{ readonly states: readonly NodeState[]; readonly isBegun: boolean }>
  /**
   * Ends it: from here on the new list alone may be gone by. Every session must be on all nodes of the new list.
   *
   * @param states what the nodes said when it was begun.
   * @returns false: one of them has been emptied since, or does not answer.
   */
  endChange(states: readonly NodeState[]): Promise<boolean>
  /**
   * One flight to each node. Whatever is sent to a node is read behind the name of its life.
   *
   * @param without these nodes, which count as away; none by default.
   */
  look(records: readonly RecordAt[], without?: readonly number[]): Promise<Sights>
  /**
   * From here on what the node does not have counts as "there is none".
   *
   * @returns false: it has been emptied since it was called that.
   * @throws FlightError
   */
  declareWhole(node: number, incarnation: string): Promise<boolean>
}
