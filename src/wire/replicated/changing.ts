/**
 * Changes the list: the marks of the nodes say how far that is, and go on by their versions only. Between the two steps whoever
 * carries it out puts each session on the nodes of the new list: docs/explain/replication.md.
 */
import { NotSupportedError } from '../../errors.js'
import type { NodeState } from '../replica-nodes.js'
import { FlightError } from '../wire.js'
import { UNSAID } from './lists.js'
import { isOurs, type Mark, type Member, type ReadMark } from './member.js'
import type { Roster } from './roster.js'
import type { ReplicaSet } from './set.js'

/** A version can be too old for the connection, or another one may just have set the mark. */
const TRIES = 3

/** The mark that is to stand on a node; undefined: the one that does; false: it is not known. */
type Next = Mark | undefined | false

export class Change {
  constructor(
    private readonly set: ReplicaSet,
    private readonly roster: Roster,
    private readonly look: () => Promise<readonly NodeState[]>,
  ) {}

  async begin(): Promise<{ readonly states: readonly NodeState[]; readonly isBegun: boolean }> {
    const { set } = this
    await this.roster.enrol()
    await Promise.all(set.members.map((member) => this.check(member)))
    // In an order that all agree on: of two who begin different changes only one gets beyond the first node.
    const inOrder = [...set.members].sort((one, other) => (one.name < other.name ? -1 : 1))
    for (const member of inOrder.filter(({ index }) => !set.isJoining(index))) await this.advance(member, (mark) => this.moving(mark))
    for (const member of inOrder.filter(({ index }) => set.isJoining(index))) await this.advance(member, (mark) => this.joining(mark))
    const states = await this.look()
    const isOnItsWay = ({ stage }: NodeState): boolean => stage === 'moving' || stage === 'new'
    const isBegun = states.every((state) => !state.isOnNew || isOnItsWay(state)) && this.isEnough(states.filter(({ isOnOld }) => isOnOld), isOnItsWay)
    return { states, isBegun }
  }

  async end(states: readonly NodeState[]): Promise<boolean> {
    const begun = new Map(states.map((state) => [state.node, state]))
    for (const { node, isOnNew, incarnation } of await this.look()) if (isOnNew && begun.get(node)?.incarnation !== incarnation) return false
    const ended = new Set<number>()
    const endAt = async (state: NodeState): Promise<void> => {
      const member = this.set.members[state.node]
      if (member === undefined) return
      const isEnded = await this.advance(member, (mark) => this.ended(mark, state))
      if (isEnded) ended.add(state.node)
    }
    // Whoever joins comes last: as long as any majority of the old nodes does not know of it, nobody may go by the new list alone.
    for (const state of states.filter(({ isOnOld, isOnNew }) => isOnOld && isOnNew)) await endAt(state)
    for (const state of states.filter(({ isOnNew }) => !isOnNew)) await endAt(state)
    const isEnded = ({ node }: NodeState): boolean => ended.has(node)
    const old = states.filter(({ isOnOld }) => isOnOld)
    if (!this.isEnough(old, isEnded) || !old.every((state) => !state.isOnNew || isEnded(state))) return false
    for (const state of states.filter(({ isOnOld }) => !isOnOld)) await endAt(state)
    return states.every((state) => !state.isOnNew || isEnded(state))
  }

  /** Whether so few of these are left out that no majority of any session is. */
  private isEnough(states: readonly NodeState[], isIn: (state: NodeState) => boolean): boolean {
    const { replicas, majority } = this.set.quorum
    return states.filter((state) => !isIn(state)).length <= replicas - majority
  }

  /** @throws NotSupportedError: the node is on another list. Nothing has been changed then. */
  private async check(member: Member): Promise<void> {
    const { lists, getMark } = this.set
    const { mark } = await member.readMark(getMark).catch(orAway)
    if (mark?.stage === 'foreign' && !(this.set.isJoining(member.index) && lists.mayJoin(mark.listed))) throw this.refusal(member, mark)
  }

  private refusal(member: Member, { listed }: Mark): NotSupportedError {
    const cause = this.set.lists.refusal(member.name, listed)
    return new NotSupportedError(`The change of the list was not begun. ${cause.message}.`, { cause })
  }

  /**
   * Whether sessions have been carried over already, by another one perhaps, as the old nodes say; undefined: too few of them say anything. Asked
   * behind the mark that depends on it: who ends the change sets that one last, and its version is another one then.
   */
  private async isMoved(): Promise<boolean | undefined> {
    const old = (await this.look()).filter(({ isOnOld }) => isOnOld)
    const said = old.flatMap(({ stage }) => stage ?? [])
    const { replicas, majority } = this.set.quorum
    if (said.includes('new')) return true
    return said.length > replicas - majority || old.every(({ state }) => state !== 'away') ? false : undefined
  }

  private async moving(mark: ReadMark): Promise<Next> {
    const { lists } = this.set
    if (mark.stage === 'unsaid') {
      const isMoved = await this.isMoved()
      return isMoved !== undefined && { ...mark, listed: lists.textOf(isMoved ? 'new' : 'moving') }
    }
    return mark.stage === 'old' ? { ...mark, listed: lists.textOf('moving') } : undefined
  }

  /** It has nothing that counts, whatever it was before. */
  private async joining(mark: ReadMark): Promise<Next> {
    const isMoved = await this.isMoved()
    if (isMoved === undefined) return false
    if (isMoved ? mark.stage === 'moving' || mark.stage === 'new' : mark.stage === 'moving' && !mark.isWhole) return undefined
    return { ...mark, isWhole: false, listed: this.set.lists.textOf('moving') }
  }

  private ended(mark: ReadMark, { incarnation, isOnNew }: NodeState): Next {
    if (mark.incarnation !== incarnation || !isOurs(mark)) return false
    const isWhole = isOnNew || mark.isWhole
    return mark.stage === 'new' && mark.isWhole === isWhole ? undefined : { ...mark, isWhole, listed: this.set.lists.textOf('new') }
  }

  /**
   * @returns whether it stands there.
   * @throws NotSupportedError
   */
  private async advance(member: Member, next: (mark: ReadMark) => Next | Promise<Next>): Promise<boolean> {
    const { getMark } = this.set
    for (let left = TRIES; left > 0; left--) {
      try {
        const { mark, cas } = await member.readMark(getMark)
        if (mark === undefined || cas === undefined) {
          await this.roster.markOne(member, { isWhole: false, listed: UNSAID })
          continue
        }
        if (mark.stage === 'foreign' && !this.set.isJoining(member.index)) throw this.refusal(member, mark)
        const wanted = await next(mark)
        if (wanted === false) return false
        if (wanted === undefined) return true
        if (await member.replaceMark(getMark, cas, wanted)) return true
      } catch (error) {
        if (!(error instanceof FlightError)) throw error
        if (!error.untrusted) return false
      }
    }
    return false
  }
}

function orAway(error: unknown): { readonly mark: undefined } {
  if (error instanceof FlightError) return { mark: undefined }
  throw error
}
