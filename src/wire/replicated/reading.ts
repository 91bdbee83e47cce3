import { type Command, FlightError, type Reply } from '../wire.js'
import { copyIn } from './copy.js'
import { adviceIn, ask, type Errand, inOrder, recordReply, tooFew } from './flight.js'
import { heardIn, isComplete, mostCommon, nodesOf, recordIn, standingOn, type Statement, strangerAmong } from './judge.js'
import type { Member } from './member.js'
import type { Answer, Question } from './round.js'
import { LockVersions } from './versions.js'

interface Seen extends Statement {
  readonly occupant: Reply | undefined
  readonly advice: Reply | undefined
}

/** Reads record, lock and line, as far as they are asked for: the newest copy of a majority, and the lock on most nodes. */
export class Reading implements Question<Seen> {
  readonly route: string
  private readonly adviser: Member | undefined

  constructor(private readonly errand: Errand) {
    this.route = errand.route
    this.adviser = errand.sorted.advice === undefined ? undefined : errand.set.adviserOf(errand.route)
  }

  start(): void {
    ask(this.errand.set, this)
  }

  commandsFor(member: Member): readonly Command[] {
    const { set, commands, sorted } = this.errand
    return [set.getMark, ...(member === this.adviser ? commands : commands.filter((command) => command !== sorted.advice))]
  }

  hear(member: Member, [mark, ...replies]: readonly Reply[]): Seen {
    const { commands, sorted, set } = this.errand
    const asked = member === this.adviser ? commands : commands.filter((command) => command !== sorted.advice)
    const replyTo = (isMeant: (command: Command) => boolean): Reply | undefined => replies[asked.findIndex(isMeant)]
    const record = replyTo(({ key }) => set.kindOf(key) === 'record')
    return {
      mark: mark === undefined ? undefined : member.markIn(mark),
      copy: record === undefined ? undefined : copyIn(record),
      recordCas: record?.cas,
      occupant: replyTo(({ key }) => set.kindOf(key) === 'lock'),
      advice: replyTo((command) => command === sorted.advice),
    }
  }

  stateOf(answers: readonly Answer<Seen>[]): 'open' | 'enough' | 'over' {
    const heard = saidIn(answers)
    if (strangerAmong(heard, this.errand.set) !== undefined) return 'over'
    if (!this.isKnown(heard)) return 'open'
    // Who holds the session, or looks for a lock, wants to know of every node.
    return this.errand.sorted.readsLock ? 'enough' : 'over'
  }

  private isKnown(heard: readonly (readonly [number, Seen])[]): boolean {
    const { sorted, set } = this.errand
    const council = set.councilFor(this.route, heard)
    if (!council.isMajority(nodesOf(heard))) return false
    return !sorted.readsRecord || isComplete(heard, set.quorum, council)
  }

  done(answers: readonly Answer<Seen>[]): void {
    const { errand, route } = this
    const { set, receiver } = errand
    const heard = saidIn(answers)
    const stranger = strangerAmong(heard, set)
    if (stranger !== undefined) return receiver.failed(stranger)
    if (!this.isKnown(heard)) {
      receiver.failed(tooFew(set.quorum, answers, set.membersOf(route), true))
      return
    }
    const standing = heard.flatMap(([node, { occupant, mark }]) => standingOn(node, occupant, mark))
    const council = set.councilFor(route, heard)
    const lock = mostCommon(standing, council)
    // Who reads the record beside it asks whether the lock still holds; who does not may look for what was left behind.
    const isHeld = lock !== undefined && (!errand.sorted.readsRecord || council.isMajority([...lock.versions.parts.keys()]))
    const strays = set.membersOf(route).flatMap(({ index }) => (answers[index] === undefined || answers[index] instanceof FlightError ? [index] : []))
    const versions = lock && new LockVersions(lock.versions.parts, lock.value, council, strays)
    const occupant: Reply | undefined = !isHeld ? undefined : { status: 'ok', value: lock.value, flags: 0, cas: versions }
    const record = recordReply(recordIn(heard), set.clock)
    receiver.landed(inOrder(errand, { record, occupant, advice: adviceIn(this.adviser, heard) }))
  }
}

/** Without nodes where the change to this list has not ended: what they have is not known to be all. */
const saidIn = (answers: readonly Answer<Seen>[]): [number, Seen][] => heardIn(answers).filter(([, { mark }]) => mark?.stage !== 'behind')
