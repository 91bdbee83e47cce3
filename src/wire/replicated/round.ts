import { type Command, FlightError, type Receiver, type Reply } from '../wire.js'
import type { Member } from './member.js'
import { type Patience, Patient } from './patience.js'

/** What has come from one node; undefined: nothing yet, or it was not asked. */
export type Answer<Heard> = Heard | FlightError | undefined

/** One question to several nodes at once, and when its answers suffice. */
export interface Question<Heard> {
  readonly route: string
  commandsFor(member: Member): readonly Command[]
  hear(member: Member, replies: readonly Reply[]): Heard
  /** `open`: more answers may change it; `enough`: the others are waited for a moment; `over`: it is decided. */
  stateOf(answers: readonly Answer<Heard>[]): 'open' | 'enough' | 'over'
  /** Told once, by the place of each node in the list. */
  done(answers: readonly Answer<Heard>[]): void
  /** Told of what comes when it is over. */
  late?(member: Member, heard: Heard): void
  /** Told of a node that has not answered, also when it is over: what it was sent may be done there, or may still be. */
  lost?(member: Member, failure: FlightError): void
  /** Whether the question itself deals with the failure, and will call `round.take`. */
  recover?(round: Round<Heard>, member: Member, error: FlightError): boolean
}

/** Asks the nodes, and tells the question when it is decided. */
export class Round<Heard> extends Patient {
  isOver = false
  private readonly answers: Answer<Heard>[] = []
  private readonly pending = new Set<Member>()

  constructor(
    private readonly question: Question<Heard>,
    private readonly patience: Patience,
  ) {
    super()
  }

  ask(members: readonly Member[]): void {
    if (members.length === 0) return this.finish()
    for (const member of members) this.pending.add(member)
    for (const member of members) this.askOne(member, this.question.commandsFor(member))
  }

  /** Goes on with what was asked already: `heard` says what has come of it, and undefined where nothing has. */
  adopt(members: readonly Member[], heard: (member: Member) => Heard | undefined): void {
    for (const member of members) {
      const answer = heard(member)
      if (answer === undefined) this.pending.add(member)
      else this.answers[member.index] = answer
    }
    this.weigh()
  }

  askOne(member: Member, commands: readonly Command[]): void {
    member.send(this.question.route, commands, new OneAnswer(this, member))
  }

  landed(member: Member, replies: readonly Reply[]): void {
    member.isSuspect = false
    const heard = this.question.hear(member, replies)
    if (this.isOver) this.question.late?.(member, heard)
    else this.take(member, heard)
  }

  failed(member: Member, error: unknown): void {
    const failure = error instanceof FlightError ? error : new FlightError('unknown', String(error), { cause: error })
    if (!failure.untrusted) member.isSuspect = failure.answer === undefined
    if (!this.isOver && this.question.recover?.(this, member, failure) === true) return
    this.take(member, failure)
  }

  take(member: Member, answer: Heard | FlightError): void {
    if (answer instanceof FlightError) this.question.lost?.(member, answer)
    if (this.isOver) return
    this.answers[member.index] = answer
    this.pending.delete(member)
    this.weigh()
  }

  private weigh(): void {
    if (this.pending.size === 0) return this.finish()
    const state = this.question.stateOf(this.answers)
    if (state === 'over') return this.finish()
    if (state === 'open') return
    if (this.onlySuspectsAreLeft) this.finish()
    else this.patience.add(this)
  }

  /** Called when the time is up for which the others were waited for. */
  giveUp(): void {
    if (this.isOver) return
    for (const member of this.pending) member.isSuspect = true
    this.finish()
  }

  private get onlySuspectsAreLeft(): boolean {
    for (const member of this.pending) if (!member.isSuspect) return false
    return true
  }

  private finish(): void {
    this.isOver = true
    this.patience.remove(this)
    this.question.done(this.answers)
  }
}

class OneAnswer<Heard> implements Receiver {
  constructor(
    private readonly round: Round<Heard>,
    private readonly member: Member,
  ) {}

  landed(replies: Reply[]): void {
    this.round.landed(this.member, replies)
  }

  failed(error: unknown): void {
    this.round.failed(this.member, error)
  }
}
