import type { Command, FlightError, Reply, Value } from '../wire.js'
import { copyIn } from './copy.js'
import type { Council } from './council.js'
import { adviceIn, ask, type Errand, EXISTS, inOrder, isUnsure, recordReply, tooFew } from './flight.js'
import { giveBack } from './giving-back.js'
import { type Ballot, heardIn, isComplete, isGranted, isHeard, isInTime, lockIn, nodesOf, occupied, recordIn, strangerAmong, twinsAmong } from './judge.js'
import { isOurs, type Member } from './member.js'
import { type Answer, type Question } from './round.js'
import type { Roster } from './roster.js'
import { LockVersions } from './versions.js'

type Vote = Ballot & { readonly advice: Reply | undefined }
type Votes = readonly (readonly [number, Vote])[]
type Take = Command & { readonly op: 'add' | 'cas' }

/**
 * Takes the lock on a majority of the nodes, and reads the record there. What was granted where that does not come about is
 * given back at once.
 */
export class Taking implements Question<Vote> {
  readonly route: string
  private readonly adviser: Member | undefined
  private readonly token: Value
  private readonly versions: LockVersions | undefined
  private readonly lockKey: string
  private hasEnrolled = false
  private isInOrder = false
  private answers: readonly Answer<Vote>[] = []
  /** Where the lock was ours once the round was over, by what came in time. Undefined: it is not over. */
  private held: ReadonlySet<number> | undefined

  constructor(
    private readonly errand: Errand,
    private readonly take: Take,
    private readonly roster: Roster,
    private readonly startedMs = errand.set.clock.nowMs(),
  ) {
    this.route = errand.route
    this.token = take.value
    this.lockKey = take.key
    this.versions = take.op === 'cas' && take.cas instanceof LockVersions ? take.cas : undefined
    this.adviser = errand.sorted.advice === undefined ? undefined : errand.set.adviserOf(errand.route)
  }

  start(): void {
    ask(this.errand.set, this)
  }

  commandsFor(member: Member): readonly Command[] {
    const { set, sorted } = this.errand
    const { recordKey, advice } = sorted
    const commands: Command[] = [this.takeFor(member.index), set.getMark]
    if (sorted.readsLock) commands.push({ op: 'get', key: this.lockKey })
    if (advice !== undefined && member === this.adviser) commands.push(advice)
    if (recordKey !== undefined) commands.push({ op: 'get', key: recordKey })
    return commands
  }

  /** A lock that is taken over is replaced by its version; where it does not stand, it is added. */
  private takeFor(node: number): Command {
    const { key, value, ttlSec } = this.take
    const cas = this.versions?.parts.get(node)?.cas
    return cas === undefined ? { op: 'add', key, value, ttlSec } : { op: 'cas', key, value, ttlSec, cas, wantCas: true }
  }

  hear(member: Member, replies: readonly Reply[]): Vote {
    const { sorted } = this.errand
    let at = 0
    const next = (isAsked: boolean): Reply | undefined => (isAsked ? replies[at++] : undefined)
    const lock = next(true) ?? EXISTS
    const marked = next(true)
    const mark = marked && member.markIn(marked)
    if (!isOurs(mark) && !this.errand.set.isJoining(member.index)) this.roster.note()
    const occupant = next(sorted.readsLock)
    const advice = next(member === this.adviser)
    const record = next(true)
    return {
      lock,
      mark,
      occupant: lock.status === 'ok' ? undefined : (occupant ?? lock),
      advice,
      copy: record === undefined ? undefined : copyIn(record),
      recordCas: record?.cas,
    }
  }

  stateOf(answers: readonly Answer<Vote>[]): 'open' | 'enough' | 'over' {
    const { set, route } = this.errand
    const votes = heardIn(answers)
    const granted = votes.filter(([, vote]) => isGranted(vote))
    // A suspect is not waited for where votes are split: both sides would keep what they have until it is given up, and split again.
    const pending = set.membersOf(route).flatMap(({ index, isSuspect }) => (answers[index] === undefined && !isSuspect ? [index] : []))
    const council = set.councilFor(route, votes)
    const isLost = !council.isMajority([...nodesOf(granted), ...pending]) && council.isMajority(nodesOf(votes))
    return this.isEnough(granted, votes, council) || isLost || strangerAmong(votes, set) !== undefined ? 'enough' : 'open'
  }

  private isEnough(granted: Votes, votes: Votes, council: Council): boolean {
    return council.isMajority(nodesOf(granted)) && isComplete(votes.filter(([, vote]) => isHeard(vote)), this.errand.set.quorum, council)
  }

  done(answers: readonly Answer<Vote>[]): void {
    const { set } = this.errand
    this.answers = answers
    const votes = heardIn(answers)
    const granted = votes.filter(([, vote]) => isGranted(vote))
    const stranger = strangerAmong(votes, set) ?? twinsAmong(votes, set)
    if (stranger !== undefined) {
      this.held = new Set()
      return this.giveBack(votes, () => this.errand.receiver.failed(stranger))
    }
    const council = set.councilFor(this.route, votes)
    if (this.isEnough(granted, votes, council) && isInTime(set.clock.nowMs() - this.startedMs, this.take.ttlSec)) {
      this.held = new Set(nodesOf(granted))
      this.leaveBefore(this.held)
      // A node without a mark keeps no lock that nobody counts.
      for (const [node, vote] of votes) if (!isOurs(vote.mark)) this.return(set.members[node], vote)
      return this.land(granted, votes, council)
    }
    this.held = new Set()
    this.leaveBefore(new Set(nodesOf(votes.filter(([, { lock }]) => lock.status === 'ok'))))
    this.giveBack(votes, () => this.afterDefeat(votes, granted))
  }

  /** Of a lock that was taken over on some nodes, also where it is given back there, nobody counts what is left on the others. */
  private leaveBefore(taken: ReadonlySet<number>): void {
    if (this.versions === undefined || taken.size === 0) return
    for (const member of this.errand.set.membersOf(this.route)) if (!taken.has(member.index)) this.leave(member, this.versions.token)
  }

  /** A grant that comes when it was not waited for any more. */
  late(member: Member, vote: Vote): void {
    if (this.held?.has(member.index) !== true) this.return(member, vote)
  }

  lost(member: Member, { outcome }: FlightError): void {
    // Also of a lock that was to be taken over, and then was given back on the other nodes.
    if (this.versions !== undefined) this.leave(member, this.versions.token)
    else if (outcome === 'unknown') this.leave(member)
  }

  /** What may stand there, and is not counted, is taken off. */
  private leave(member: Member | undefined, ...others: readonly Value[]): void {
    const { route, lockKey, token } = this
    if (member === undefined) return
    this.errand.set.leftovers.note({ member, route, lockKey, tokens: [token, ...others], isCounted: () => this.held?.has(member.index) === true })
  }

  private return(member: Member | undefined, { lock }: Vote): void {
    if (member === undefined || lock.status !== 'ok' || lock.cas === undefined) return
    member.takeOff(this.route, this.lockKey, lock.cas, () => this.leave(member))
  }

  private land(granted: Votes, votes: Votes, council: Council): void {
    const { errand, adviser } = this
    const record = recordIn(granted)
    const lock: Reply = { status: 'ok', value: undefined, flags: 0, cas: lockIn(granted, this.token, council) }
    const advice = adviceIn(adviser, votes)
    const occupant: Reply = { status: 'ok', value: this.token, flags: 0, cas: lock.cas }
    errand.receiver.landed(inOrder(errand, { lock, advice, occupant, record: recordReply(record, errand.set.clock) }))
  }

  /** Too few nodes have granted it, or they do not know enough of the record; what was granted has been given back. */
  private afterDefeat(votes: Votes, granted: Votes): void {
    const { errand } = this
    const { clock, flightMs, quorum } = errand.set
    const council = errand.set.councilFor(this.route, votes)
    const members = errand.set.membersOf(this.route)
    const isMajority = (some: Votes): boolean => council.isMajority(nodesOf(some))
    const tookMs = clock.nowMs() - this.startedMs
    const others = votes.filter(([, { lock }]) => lock.status !== 'ok')
    const isEnrolling = votes.some(([node, { mark }]) => !isOurs(mark) && !errand.set.isJoining(node))
    // The set is new, or another process is just founding it. The first contact takes its time.
    if (isEnrolling && !this.hasEnrolled && tookMs < flightMs / 3) {
      this.hasEnrolled = true
      return void this.roster.enrol().then(() => ask(errand.set, this, this.settled(errand.set.membersOf(this.route))))
    }
    if (isEnrolling && this.roster.stranger !== undefined && !isMajority(votes.filter(([, { mark }]) => isOurs(mark)))) return errand.receiver.failed(this.roster.stranger)
    // All are there, so that the marks are under way: who comes again finds them.
    if (isEnrolling && !isMajority(granted) && votes.length === members.length) return this.landLocked(votes)
    // Where too many have been emptied all must speak: one whose lock another one has will, when that is let go of.
    if (!isMajority(votes) || (isMajority(granted) && votes.length < members.length) || others.length === 0) {
      return errand.receiver.failed(tooFew(quorum, this.answers, members, false))
    }
    const [full] = others.filter(([, { lock }]) => lock.status === 'outOfMemory' || lock.status === 'tooLarge')
    if (full !== undefined && occupied(votes, council) === undefined) {
      return errand.receiver.landed(inOrder(errand, { lock: { ...full[1].lock, cas: undefined } }))
    }
    const isSplit = granted.length > 0 && !isMajority(others)
    if (isSplit && this.take.op === 'add' && !this.isInOrder && tookMs < flightMs / 8) this.tryInOrder()
    else this.landLocked(votes)
  }

  /**
   * Several have asked at the same moment, and each has got some of the nodes. Whoever gets the first node in the order that
   * all agree on goes on: votes that are split once would else be split again.
   */
  private tryInOrder(): void {
    const { set } = this.errand
    this.isInOrder = true
    const [first, ...rest] = this.settled(set.rankedMembersOf(this.route)).filter(({ isSuspect }) => !isSuspect)
    if (first === undefined) return this.landLocked(heardIn(this.answers))
    const done = (answers: readonly Answer<Vote>[]): void => {
      const [vote] = heardIn(answers)
      this.answers = answers
      if (vote !== undefined && isGranted(vote[1])) return this.goOn(first, vote[1], rest)
      this.giveBack(heardIn(answers), () => this.landLocked(heardIn(answers)))
    }
    ask(set, this.with(() => 'open', done), [first])
  }

  /** Who may still carry out what it was sent is not sent it again: the same token would come to stand there late, and count. */
  private settled(members: readonly Member[]): readonly Member[] {
    return members.filter(({ index }) => this.answers[index] !== undefined && !isUnsure(this.answers[index]))
  }

  private goOn(first: Member, vote: Vote, rest: readonly Member[]): void {
    const merged = (answers: readonly Answer<Vote>[]): Answer<Vote>[] => {
      const all = [...answers]
      all[first.index] = vote
      return all
    }
    const others = this.with((answers) => this.stateOf(merged(answers)), (answers) => this.done(merged(answers)))
    ask(this.errand.set, others, rest)
  }

  /** The same question, asked of some nodes, and judged otherwise. */
  private with(stateOf: Question<Vote>['stateOf'], done: Question<Vote>['done']): Question<Vote> {
    return {
      ...{ route: this.route, stateOf, done },
      commandsFor: (member) => this.commandsFor(member),
      hear: (member, replies) => this.hear(member, replies),
      late: (member, vote) => this.late(member, vote),
      lost: (member, failure) => this.lost(member, failure),
    }
  }

  private giveBack(votes: Votes, then: () => void): void {
    giveBack({ set: this.errand.set, route: this.route, lockKey: this.lockKey, votes, lost: (member) => this.leave(member), then })
  }

  private landLocked(votes: Votes): void {
    const { errand, adviser } = this
    const lock = occupied(votes, errand.set.councilFor(this.route, votes))
    const standing: Reply = lock === undefined ? EXISTS : { status: 'exists', value: lock.value, flags: 0, cas: lock.versions }
    const occupant: Reply | undefined = lock && { ...standing, status: 'ok' }
    const record = recordReply(recordIn(votes), errand.set.clock)
    errand.receiver.landed(inOrder(errand, { lock: standing, occupant, advice: adviceIn(adviser, votes), record }))
  }
}
