import type { Clock } from '../../system/clock.js'
import type { Random } from '../../system/random.js'
import { furthestOf } from '../replica-nodes.js'
import type { Command, FlightError, Quorum } from '../wire.js'
import { type Lists, type OurStage, UNSAID } from './lists.js'
import { isOurs, type Mark, MARK_SEC, markText, type Member, type ReadMark } from './member.js'

/** How long one waits, in milliseconds, before a node without a mark is noted as emptied: another process may be founding the set. */
const FOUNDING_MS = 100
const INCARNATION_BYTES = 8

type Seen = ReadMark | 'none' | 'away'

export interface RosterOptions {
  readonly members: readonly Member[]
  readonly markKey: string
  readonly lists: Lists
  readonly isJoining: (node: number) => boolean
  readonly quorum: Quorum
  readonly clock: Clock
  readonly random: Random
}

/**
 * Sees to it that every node has its mark. Where none has one, the set is new, and all of them are whole. Where others have, a
 * node without one has been emptied: it is marked as that, until it has been repaired. On the nodes of another list nothing is marked.
 */
export class Roster {
  private enrolling: Promise<void> | undefined
  /** Why nobody is served by this list, as far as is known: one of its nodes is on another one. */
  stranger: FlightError | undefined

  constructor(private readonly options: RosterOptions) {}

  /** Called when a node has answered without a mark. */
  note(): void {
    void this.enrol()
  }

  /** Never rejects. */
  enrol(): Promise<void> {
    this.enrolling ??= this.enrolAll()
      .catch(() => undefined)
      .finally(() => {
        this.enrolling = undefined
      })
    return this.enrolling
  }

  /** Whoever joins is marked by who carries out the change. */
  private get founders(): readonly Member[] {
    return this.options.members.filter(({ index }) => !this.options.isJoining(index))
  }

  private async enrolAll(): Promise<void> {
    const { founders } = this
    const seen = await this.look()
    if (founders.every((member) => seen.get(member) === 'none')) {
      await this.mark(founders, { isWhole: true, listed: this.options.lists.textOf('old') })
      return
    }
    const isBare = (member: Member, found: ReadonlyMap<Member, Seen>): boolean => {
      const said = found.get(member)
      return said === 'none' || (typeof said === 'object' && said.stage === 'unsaid')
    }
    // Who is away may be the one that knows better.
    if (this.stranger !== undefined || ![...seen.values()].some((said) => typeof said === 'object')) return
    if (!founders.some((member) => isBare(member, seen))) return
    // Not in the background: a tool that has nothing else to do would end here, and nothing was done.
    await new Promise<void>((resolve) => {
      this.options.clock.setTimer(resolve, FOUNDING_MS)
    })
    const again = await this.look()
    const unmarked = founders.filter((member) => again.get(member) === 'none')
    if (unmarked.length > 0) await this.mark(unmarked, { isWhole: false, listed: UNSAID })
    // Their lives first, and then how far the others are: in the other order a node that was emptied in between could be set back.
    const bare = await this.look()
    const stage = this.stageAmong(await this.look())
    if (stage === undefined || this.stranger !== undefined) return
    await Promise.all(founders.map((member) => this.setStage(member, bare.get(member), stage)))
  }

  /** How far the others are; undefined: too few have said so, and one of those that have not may be further. */
  private stageAmong(seen: ReadonlyMap<Member, Seen>): OurStage | undefined {
    const { replicas, majority } = this.options.quorum
    const stages = this.founders.flatMap((member): OurStage[] => {
      const said = seen.get(member)
      return typeof said === 'object' && isOurs(said) ? [said.stage] : []
    })
    const isAway = this.founders.some((member) => seen.get(member) === 'away')
    // All have been emptied, so that nobody can be further: as where the set is new, but for what they have lost.
    if (!isAway && stages.length === 0) return 'old'
    if (isAway && stages.length <= replicas - majority) return undefined
    return furthestOf(stages)
  }

  private async setStage(member: Member, said: Seen | undefined, stage: OurStage): Promise<void> {
    if (typeof said !== 'object' || said.stage !== 'unsaid') return
    const { markKey, lists } = this.options
    const getMark: Command = { op: 'get', key: markKey }
    const { mark, cas } = await member.readMark(getMark)
    // In the same life, and not set by who changes the list.
    if (mark?.incarnation !== said.incarnation || mark.stage !== 'unsaid' || cas === undefined) return
    await member.replaceMark(getMark, cas, { ...mark, listed: lists.textOf(stage) })
  }

  private async look(): Promise<Map<Member, Seen>> {
    const { members, lists, markKey, isJoining } = this.options
    let stranger: FlightError | undefined
    const look = async (member: Member): Promise<[Member, Seen]> => {
      try {
        const { mark } = await member.readMark({ op: 'get', key: markKey })
        const isElsewhere = mark?.stage === 'foreign' || mark?.stage === 'behind'
        if (isElsewhere && !isJoining(member.index)) stranger = lists.refusal(member.name, mark.listed)
        return [member, mark ?? 'none']
      } catch {
        return [member, 'away']
      }
    }
    const seen = new Map(await Promise.all(members.map(look)))
    this.stranger = stranger
    return seen
  }

  private async mark(members: readonly Member[], mark: Omit<Mark, 'incarnation'>): Promise<void> {
    await Promise.all(members.map((member) => this.markOne(member, mark).catch(() => undefined)))
  }

  /** @throws FlightError */
  async markOne(member: Member, mark: Omit<Mark, 'incarnation'>): Promise<void> {
    // Each is drawn by itself: of two nodes with one incarnation, the versions of one would be taken for those of the other.
    const incarnation = Buffer.from(this.options.random.bytes(INCARNATION_BYTES)).toString('hex')
    const add: Command = { op: 'add', key: this.options.markKey, value: markText({ incarnation, ...mark }), ttlSec: MARK_SEC }
    await member.flight('', [add])
  }
}
