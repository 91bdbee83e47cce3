/**
 * The two rounds of a cycle whose request meets nobody, in plain values (../cycle.ts): as long as every node answers, and all of
 * them say the same.
 *
 * `contest()` is the seam to all else. At the first thing that is not plain success on each node (another reply, another copy,
 * a failure, a node that is late) a round with its question takes over what the nodes have said so far, and judges it. Nothing of
 * that is judged here.
 */
import { type CycleEnd, type CycleFound, type CycleSeat, type CycleStart, endCommands, endReceiver, endReplies, startCommands, startReceiver } from '../cycle.js'
import { areSameBytes, type Command, type Receiver, type Value } from '../wire.js'
import { BETWEEN_SEALS, contentOf, type Copy, copyIn, headTextOf, nextCount, withHead } from './copy.js'
import { type Errand, MISSING } from './flight.js'
import { isInTime } from './judge.js'
import { Leaving } from './leaving.js'
import type { Member } from './member.js'
import { Patient } from './patience.js'
import { type Question, Round } from './round.js'
import type { Roster } from './roster.js'
import { type ReplicaSet, sorted } from './set.js'
import { type Heir, Leg, type Legged } from './straight-leg.js'
import { Taking } from './taking.js'
import { type LockPart, LockVersions, type RecordPart, RecordVersions } from './versions.js'

/** Who the nodes are, and how anything is sent to them that is not straight. */
export interface StraightHost {
  readonly set: ReplicaSet
  readonly roster: Roster
  send(route: string, commands: readonly Command[], receiver: Receiver): void
}

export class StraightCycle extends Patient implements CycleSeat, CycleFound, Legged {
  private readonly legs: readonly Leg[]
  private readonly startedMs: number
  /** How many nodes have not gone plainly well in this round. */
  private left: number
  private heir: Heir | undefined
  /** What a round has found that was not straight: the second one is not, either. */
  private contested: CycleFound | undefined
  /** What the first of them has found. */
  private first: CycleFound | undefined
  private copy: Copy | undefined
  private leaving: CycleEnd | undefined
  /** The record that was found, and its stamp. */
  value: Value | undefined
  flags = 0
  /** What the second round writes on each node. */
  written: Value = ''
  writtenSec = 0
  writtenFlags = 0

  constructor(
    private readonly host: StraightHost,
    private readonly route: string,
    private readonly start: CycleStart,
    members: readonly Member[],
  ) {
    super()
    this.startedMs = host.set.clock.nowMs()
    this.left = members.length
    this.legs = members.map((member) => new Leg(this, member, start, host.set.markKey))
    for (const leg of this.legs) leg.take(route)
  }

  started(leg: Leg): void {
    if (this.heir !== undefined) return this.heir.landed(leg.member, leg.startReplies)
    leg.member.isSuspect = false
    if (leg.mark === undefined || !this.isSameAsOthers(leg)) this.contest()
    else if (--this.left > 0) this.wait()
    else if (isInTime(this.host.set.clock.nowMs() - this.startedMs, this.start.leaseSec)) this.tellStarted()
    else this.contest()
  }

  /** Only the first that came is compared with: whoever is the same as that is the same as all. */
  private isSameAsOthers({ found }: Leg): boolean {
    const first = (this.first ??= found)
    if (first === undefined || found === undefined) return false
    const { value, flags } = first
    if (value === undefined || found.value === undefined) return value === found.value
    return flags === found.flags && areSameBytes(value, found.value)
  }

  private tellStarted(): void {
    this.host.set.patience.remove(this)
    const { value, flags = 0 } = this.first ?? {}
    this.copy = copyIn(value === undefined ? MISSING : { status: 'ok', value, flags, cas: undefined })
    this.value = this.copy && contentOf(this.copy, this.host.set.clock)
    this.flags = flags
    this.start.started(this)
  }

  /** Where the lock is ours: everywhere. */
  get lockCas(): LockVersions {
    const parts = new Map<number, LockPart>()
    for (const { member, found, mark } of this.legs) {
      if (found !== undefined && mark !== undefined) parts.set(member.index, { cas: found.lockCas, incarnation: mark.incarnation })
    }
    return new LockVersions(parts, this.start.tokenName + this.start.tokenRest, this.host.set.council)
  }

  get recordCas(): RecordVersions | undefined {
    const { copy } = this
    if (copy === undefined) return undefined
    const parts = new Map<number, RecordPart>()
    for (const { member, found } of this.legs) parts.set(member.index, { cas: found?.recordCas, copy })
    return new RecordVersions(parts, copy.head)
  }

  end(end: CycleEnd): void {
    const { contested, copy } = this
    if (contested !== undefined) {
      return this.host.send(this.route, this.endCommands(end, contested), endReceiver(end))
    }
    if (copy === undefined) throw new TypeError('a cycle that found no record has nothing to end with')
    const { set } = this.host
    const count = nextCount(copy.head, end, set.nextOrdinal(), set.clock)
    this.leaving = end
    this.written = withHead(headTextOf(count, this.seals), end.value)
    this.writtenSec = count.longestSec
    this.writtenFlags = end.flags
    this.left = this.legs.length
    for (const leg of this.legs) leg.leave()
  }

  private get seals(): string {
    let seals = ''
    for (const { seal } of this.legs) seals = seals === '' ? seal : seals + BETWEEN_SEALS + seal
    return seals
  }

  private endCommands(end: CycleEnd, { lockCas, recordCas }: Pick<CycleFound, 'lockCas' | 'recordCas'>): readonly Command[] {
    if (recordCas === undefined) throw new TypeError('a cycle that found no record has nothing to end with')
    return endCommands(this.start, { lockCas, recordCas }, end)
  }

  ended(leg: Leg): void {
    if (this.heir !== undefined) return this.heir.landed(leg.member, endReplies(2))
    leg.member.isSuspect = false
    if (--this.left > 0) return this.wait()
    this.host.set.patience.remove(this)
    this.leaving?.ended()
  }

  /** When a majority has answered the others are waited for a moment; not for those that did not answer others. */
  private wait(): void {
    const { legs, left, host } = this
    if (legs.length - left < host.set.quorum.majority) return
    for (const { isDone, member } of legs) {
      if (!isDone && !member.isSuspect) return host.set.patience.add(this)
    }
    this.contest()
  }

  giveUp(): void {
    this.contest().giveUp()
  }

  /** The seam. From here on the round has it, and its legs only pass on. */
  contest(): Heir {
    this.host.set.patience.remove(this)
    if (this.heir !== undefined) return this.heir
    return this.leaving === undefined ? this.contestStart() : this.contestEnd(this.leaving)
  }

  private contestStart(): Heir {
    const { host, start, startedMs } = this
    const started = (found: CycleFound): void => {
      this.contested = found
      start.started(found)
    }
    const errand = this.errandOf(startCommands(start), startReceiver(start, started))
    const { lock } = errand.sorted
    if (lock?.op !== 'add') throw new TypeError('a cycle begins with its lock')
    const taking = new Taking(errand, lock, host.roster, startedMs)
    return this.adopted(taking, ({ member, found, startReplies }) => (found === undefined ? undefined : taking.hear(member, startReplies)))
  }

  private contestEnd(end: CycleEnd): Heir {
    const { lockCas } = this
    const errand = this.errandOf(this.endCommands(end, this), endReceiver(end))
    const { lock } = errand.sorted
    if (lock?.op !== 'cad') throw new TypeError('a cycle ends with its lock')
    const leaving = new Leaving(errand, lock, lockCas, this.written)
    return this.adopted(leaving, ({ member, isDone }) => (isDone ? leaving.hear(member, endReplies(2)) : undefined))
  }

  private errandOf(commands: readonly Command[], receiver: Receiver): Errand {
    const { set } = this.host
    return { set, route: this.route, commands, receiver, sorted: sorted(commands, (key) => set.kindOf(key)) }
  }

  private adopted<Heard>(question: Question<Heard>, heard: (leg: Leg) => Heard | undefined): Heir {
    const round = new Round(question, this.host.set.patience)
    this.heir = round
    round.adopt(this.legs.map(({ member }) => member), (member) => {
      const leg = this.legs.find((one) => one.member === member)
      return leg && heard(leg)
    })
    return round
  }
}
