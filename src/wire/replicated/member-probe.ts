import type { ListStage } from '../replica-nodes.js'
import type { Probe } from '../wire.js'
import { twins } from './judge.js'
import { isOurs, type Member, type ReadMark } from './member.js'
import type { ReplicaSet } from './set.js'

/** Asks a node whether it answers, and what it says of itself. */
export class MemberProbe implements Probe {
  private mark: ReadMark | undefined

  constructor(
    private readonly set: ReplicaSet,
    private readonly member: Member,
  ) {}

  get name(): string {
    return this.member.name
  }

  /** @throws FlightError: it does not answer; or it does, and nobody is served by this list. */
  async ask(): Promise<void> {
    const { set, member } = this
    const { mark } = await member.readMark(set.getMark)
    this.mark = mark
    if ((mark?.stage === 'foreign' && !set.isJoining(member.index)) || mark?.stage === 'behind') throw set.lists.refusal(member.name, mark.listed)
    const twin = set.members.find((other) => other !== member && mark !== undefined && other.lastMark?.incarnation === mark.incarnation)
    if (twin !== undefined) throw twins(twin.name, member.name)
  }

  isEmptied(): boolean {
    return this.mark?.isWhole === false
  }

  /** One that joins is not asked what there is. */
  isIgnorant(): boolean {
    return this.mark?.isWhole !== true && !this.set.isJoining(this.member.index)
  }

  stage(): ListStage | undefined {
    const { set, member, mark } = this
    return set.isChanging && set.isOnNew(member.index) && isOurs(mark) ? mark.stage : undefined
  }
}
