/**
 * Changes the list: the marks of the nodes say how far that is, and go on by their versions only. Between the two steps whoever
 * carries it out puts each session on the nodes of the new list: docs/explain/replication.md.
 */
import { NotSupportedError } from '../../errors.js'
import { furthestOf, type NodeState } from '../replica-nodes.js'
import { FlightError } from '../wire.js'
import { isCarried, type OurStage, UNSAID } from './lists.js'
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
    const isOnItsWay = ({ stage }: NodeState): boolean => stage === 'moving' || isCarried(stage)
    return { states, isBegun: this.areEnough(states, isOnItsWay) }
  }

  async end(states: readonly NodeState[]): Promise<boolean> {
    const begun = new Map(states.map((state) => [state.node, state]))
    for (const { node, isOnNew, incarnation } of await this.look()) if (isOnNew && begun.get(node)?.incarnation !== incarnation) return false
    const old = states.filter(({ isOnOld }) => isOnOld)
    const told = await this.tell('moved', old)
    // From then on any majority of a session's old nodes has one that tells of it, so that others may go by the new nodes alone.
    if (!this.areEnough(old, ({ node }) => told.has(node))) return false
    const ended = await this.tell('new', states)
    return states.every(({ node, isOnNew }) => !isOnNew || ended.has(node))
  }

  /** @returns the nodes whose marks say so, or more. */
  private async tell(stage: 'moved' | 'new', states: readonly NodeState[]): Promise<ReadonlySet<number>> {
    const told = new Set<number>()
    for (const state of states) {
      const member = this.set.members[state.node]
      if (member !== undefined && (await this.advance(member, (mark) => this.carried(mark, state, stage)))) told.add(state.node)
    }
    return told
  }

  /** Whether none of the new list's nodes is left out of these, and so few of the old list's that no majority of any session is. */
  private areEnough(states: readonly NodeState[], isIn: (state: NodeState) => boolean): boolean {
    const { replicas, majority } = this.set.quorum
    const others = states.filter((state) => !isIn(state))
    return others.every(({ isOnNew }) => !isOnNew) && others.length <= replicas - majority
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
   * How far the change is, by another one perhaps, as the old nodes say; undefined: too few of them say anything. Asked behind the mark that depends
   * on it: who ends the change tells the others first, and then sets that mark, whose version is another one from then on.
   */
  private async stageOfOthers(): Promise<OurStage | undefined> {
    const old = (await this.look()).filter(({ isOnOld }) => isOnOld)
    const said = old.flatMap(({ stage }) => stage ?? [])
    const { replicas, majority } = this.set.quorum
    const furthest = furthestOf(said)
    if (isCarried(furthest)) return furthest
    return said.length > replicas - majority || old.every(({ state }) => state !== 'away') ? 'moving' : undefined
  }

  private async moving(mark: ReadMark): Promise<Next> {
    const { lists } = this.set
    if (mark.stage === 'unsaid') {
      const stage = await this.stageOfOthers()
      return stage !== undefined && { ...mark, listed: lists.textOf(stage) }
    }
    return mark.stage === 'old' ? { ...mark, listed: lists.textOf('moving') } : undefined
  }

  /** It has nothing that counts, whatever it was before. */
  private async joining(mark: ReadMark): Promise<Next> {
    const stage = await this.stageOfOthers()
    if (stage === undefined) return false
    if (isCarried(stage) ? mark.stage === 'moving' || isCarried(mark.stage) : mark.stage === 'moving' && !mark.isWhole) return undefined
    return { ...mark, isWhole: false, listed: this.set.lists.textOf('moving') }
  }

  private carried(mark: ReadMark, { incarnation, isOnNew }: NodeState, told: 'moved' | 'new'): Next {
    if (mark.incarnation !== incarnation || !isOurs(mark)) return false
    const isWhole = isOnNew || mark.isWhole
    const stage = mark.stage === 'new' ? 'new' : told
    return mark.stage === stage && mark.isWhole === isWhole ? undefined : { ...mark, isWhole, listed: this.set.lists.textOf(stage) }
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
