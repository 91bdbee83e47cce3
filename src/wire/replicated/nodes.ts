import { NotSupportedError } from '../../errors.js'
import { furthestOf, type NodeState, type RecordAt, type ReplicaNodes, type Sight, type Sights } from '../replica-nodes.js'
import { type Command, FlightError, type Reply } from '../wire.js'
import { type Copy, copyIn, isSameCopy, newestOf } from './copy.js'
import { isOurs, type Member } from './member.js'
import { Change } from './changing.js'
import type { Roster } from './roster.js'
import type { ReplicaSet } from './set.js'

/** A version can be too old for the connection, which costs another look. */
const TRIES = 3

/** The nodes of a set, each by itself. */
export class Nodes implements ReplicaNodes {
  private readonly change: Change

  constructor(
    private readonly set: ReplicaSet,
    private readonly roster: Roster,
  ) {
    this.change = new Change(set, roster, () => this.states(false))
  }

  get listed(): string {
    return this.set.lists.name
  }

  get isChanging(): boolean {
    return this.set.isChanging
  }

  beginChange(): ReturnType<ReplicaNodes['beginChange']> {
    return this.change.begin()
  }

  endChange(states: readonly NodeState[]): Promise<boolean> {
    return this.change.end(states)
  }

  async states(marks: boolean): Promise<readonly NodeState[]> {
    if (marks) await this.roster.enrol()
    const looked = await Promise.all(this.set.members.map((member) => this.stateOf(member)))
    // As the roster has it: where others are marked, one that is not has been emptied. One that joins was marked when the change ended.
    const isFounded = looked.some(({ incarnation }) => incarnation !== undefined)
    const hasEnded = furthestOf(looked.flatMap(({ stage }) => stage ?? [])) === 'new'
    const hasLost = ({ state, isOnOld }: NodeState): boolean => state === 'new' && isFounded && (isOnOld || hasEnded)
    const twinOf = ({ node, incarnation }: NodeState): string | undefined =>
      incarnation === undefined ? undefined : looked.find((other) => other.node < node && other.incarnation === incarnation)?.name
    return looked.map((one) => ({ ...one, ...(hasLost(one) ? { state: 'emptied' } : {}), twin: twinOf(one) }))
  }

  private async stateOf(member: Member): Promise<NodeState> {
    const { index: node, name } = member
    const place = { node, name, twin: undefined, isOnOld: !this.set.isJoining(node), isOnNew: this.set.isOnNew(node) }
    try {
      const { mark } = await member.readMark(this.set.getMark)
      const isForeign = mark?.stage === 'foreign' || mark?.stage === 'behind'
      // Left there when it was taken off the list, or by somebody who began to mark it.
      const isUntold = !place.isOnOld && mark !== undefined && !isOurs(mark) && this.set.lists.mayJoin(mark.listed)
      const state = mark === undefined || isUntold ? 'new' : isForeign ? 'foreign' : mark.isWhole ? 'whole' : 'emptied'
      const stage = this.isChanging && isOurs(mark) ? mark.stage : undefined
      return { ...place, state, incarnation: mark?.incarnation, listed: mark?.listed, stage }
    } catch (error) {
      if (!(error instanceof FlightError)) throw error
      return { ...place, state: 'away', incarnation: undefined, listed: undefined, stage: undefined }
    }
  }

  placesOf(route: string): readonly number[] {
    return this.set.placesOf(route)
  }

  async *keys(node: number, prefix: string): AsyncGenerator<string> {
    const { wire, keyPrefix } = this.memberAt(node).place
    if (wire.keys === undefined) throw new NotSupportedError('Keys cannot be listed through a proxy: behind one sessions are repaired as they are used.')
    for await (const key of wire.keys(keyPrefix + prefix)) yield key.slice(keyPrefix.length)
  }

  async look(records: readonly RecordAt[], without: readonly number[] = []): Promise<Sights> {
    const places = records.map(({ route }) => this.set.membersOf(route).map(({ index }) => index))
    const looked = await Promise.all(
      this.set.members.map(async (member) => {
        const mine = records.filter((_record, at) => places[at]?.includes(member.index))
        return mine.length === 0 || without.includes(member.index) ? undefined : await this.lookAt(member, mine)
      }),
    )
    const incarnations = new Map(looked.flatMap((one, node) => (one === undefined ? [] : [[node, one.incarnation] as const])))
    return { incarnations, sights: records.map(({ key, route }) => this.sightOf(route, (node) => looked[node]?.copies.get(key))) }
  }

  /** What the node has, behind its mark: a copy that comes with the mark of a life was there in that life. */
  private async lookAt(member: Member, records: readonly RecordAt[]): Promise<{ incarnation: string | undefined; copies: Map<string, Copy | 'none'> } | undefined> {
    try {
      const gets = records.map(({ key }): Command => ({ op: 'get', key }))
      const [marked, ...replies] = await member.flight('', [this.set.getMark, ...gets])
      const copies = new Map(records.map(({ key }, at) => [key, copyOf(replies[at])] as const))
      return { incarnation: marked && member.markIn(marked)?.incarnation, copies }
    } catch (error) {
      if (!(error instanceof FlightError)) throw error
      return undefined
    }
  }

  async declareWhole(node: number, incarnation: string): Promise<boolean> {
    const member = this.memberAt(node)
    const { getMark } = this.set
    for (let left = TRIES; left > 0; left--) {
      const { mark, cas } = await member.readMark(getMark)
      if (mark?.incarnation !== incarnation || mark.stage !== 'new' || cas === undefined) return false
      if (mark.isWhole) return true
      try {
        if (await member.replaceMark(getMark, cas, { ...mark, isWhole: true })) return true
      } catch (error) {
        if (!(error instanceof FlightError && error.untrusted)) throw error
      }
    }
    return false
  }

  /** A node that leaves the list may have it or not; the newest copy may be there. */
  private sightOf(route: string, seenOn: (node: number) => Copy | 'none' | undefined): Sight {
    const places = this.placesOf(route)
    const isKept = (node: number): boolean => places.includes(node)
    const copies: (Copy & { readonly node: number })[] = []
    const [missing, away]: [number[], number[]] = [[], []]
    for (const { index: node } of this.set.membersOf(route)) {
      const seen = seenOn(node)
      if (seen === undefined && isKept(node)) away.push(node)
      else if (seen === 'none' && isKept(node)) missing.push(node)
      else if (seen !== undefined && seen !== 'none') copies.push({ ...seen, node })
    }
    const newest = newestOf(copies)
    const areAlike = newest === undefined || (missing.length === 0 && copies.every((copy) => isSameCopy(copy, newest) || !isKept(copy.node)))
    const keeper = copies.find((copy) => newest !== undefined && isSameCopy(copy, newest))
    return { missing, away, areAlike, newest: keeper && { node: keeper.node, endsAtSec: keeper.head.endsAtSec } }
  }

  memberAt(node: number): Member {
    const member = this.set.members[node]
    if (member === undefined) throw new RangeError('no such node')
    return member
  }
}

const copyOf = (reply: Reply | undefined): Copy | 'none' => (reply && copyIn(reply)) ?? 'none'
