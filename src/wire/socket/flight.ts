/** What a connection is asked for by one caller: who is told, by when, and what was answered so far. */
import { type Command, failLater, FlightError, type Receiver, type Reply } from '../wire.js'
import { hasChanged, partlyRefused, refused, unclear } from './server-errors.js'

/** About what the words of a command take on the wire. */
export const COMMAND_BYTES = 64

/** Settles once, whatever is called afterwards. */
export abstract class Flight {
  /** Those of a cycle are written and read without their commands, by a codec that can. */
  abstract get kind(): 'commands' | 'start' | 'end'
  abstract readonly commands: readonly Command[]
  /** How many commands there are. */
  abstract get size(): number
  /** About what it takes on the wire. */
  abstract readonly bytes: number
  /** The date of the oldest CAS in it: it may be sent only on a connection from before that. */
  abstract readonly oldestAsOf: number
  protected abstract readonly receiver: Receiver
  protected abstract land(replies: Reply[]): void

  /** The node's ordinal when this was written; dates every CAS that comes back. */
  asOf = 0
  /** The moment by which it must have settled; the clock's monotonic milliseconds. */
  dueAtMs = 0
  /** It must have settled by then, however late it is queued: the rest of a deadline that began elsewhere. */
  latestMs: number | undefined = undefined
  #replies: Reply[] | undefined
  #answered = 0
  #settled = false
  /** Whether word of enough copies is awaited besides the replies. */
  #awaitsCopies = false
  /** The first error by which the server refused a command. */
  #refusal: string | undefined

  get settled(): boolean {
    return this.#settled
  }

  /** Whether every command has its reply. */
  get isAnswered(): boolean {
    return this.#answered >= this.size
  }

  /** Takes the next reply; the last one settles the flight without waiting for the rest of its batch. */
  answer(reply: Reply): void {
    this.#replies ??= new Array<Reply>(this.size)
    this.#replies[this.#answered++] = reply
    if (this.#answered < this.size || this.#settled) return
    if (this.#refusal !== undefined) {
      this.#failRefused(this.#refusal)
      return
    }
    if (this.#awaitsCopies) return
    this.#settled = true
    this.land(this.#replies)
  }

  get awaitsCopies(): boolean {
    return this.#awaitsCopies
  }

  /** From now on the flight is not over when it is answered, but when `copied` was called as well. */
  awaitCopies(): void {
    this.#awaitsCopies = true
  }

  /** Takes word of the copies, behind the replies. @param shortage why they do not suffice. */
  copied(shortage: string | undefined): void {
    if (this.#settled || this.#replies === undefined) return
    if (shortage !== undefined) {
      this.fail(new FlightError('unknown', shortage, { isFinal: true }))
      return
    }
    this.#settled = true
    this.land(this.#replies)
  }

  /**
   * Takes an error in place of the next reply. Of what was carried out it says nothing certain (a proxy that gave up
   * waiting says `SERVER_ERROR` as well), so the flight fails as 'unknown', and whoever sent it reads what is there.
   */
  answerUnclear(text: string): void {
    this.#answered++
    this.fail(unclear(text))
  }

  /**
   * Takes an error by which the server says for certain that it did not carry the command out. The flight fails when all
   * of it is answered: then it is known whether something else of it was.
   */
  answerRefused(text: string): void {
    this.#refusal ??= text
    this.#answered++
    if (this.isAnswered) this.#failRefused(this.#refusal)
  }

  /**
   * The server refused this flight: nothing was carried out but the commands of `replies`, its first. True: what is left is
   * seen to elsewhere, and nobody is told of a failure.
   */
  protected takesRefusal(_replies: Reply[], _answer: string): boolean {
    return false
  }

  #failRefused(refusal: string): void {
    if (this.#settled) return
    const replies = this.#repliesBeforeRefusal()
    if (replies !== undefined && this.takesRefusal(replies, refusal)) {
      this.#settled = true
      return
    }
    this.fail(hasChanged(this.commands, this.#replies ?? []) ? partlyRefused(refusal) : refused(refusal))
  }

  /** Undefined where something was changed behind the first refusal, or may lack its copies. */
  #repliesBeforeRefusal(): Reply[] | undefined {
    const replies: Reply[] = []
    let isBehind = false
    for (const [index, { op }] of this.commands.entries()) {
      const reply = this.#replies?.[index]
      const isChange = op !== 'get' && reply?.status === 'ok'
      if (isChange && (isBehind || this.#awaitsCopies)) return undefined
      if (reply === undefined) isBehind = true
      else if (!isBehind) replies.push(reply)
    }
    return replies
  }

  fail(error: FlightError): void {
    if (this.#settled) return
    this.#settled = true
    // The server could only say whether it has the change itself.
    const isFinal = this.#awaitsCopies && error.outcome === 'unknown' && !error.isFinal
    failLater(this.receiver, isFinal ? new FlightError('unknown', error.message, { cause: error, isFinal }) : error)
  }

  /** Every command was answered, and nobody built the replies. False when it was settled before. */
  protected answerAll(): boolean {
    this.#answered = this.size
    if (this.#settled) return false
    return (this.#settled = true)
  }
}

/** Any commands. */
export class CommandFlight extends Flight {
  readonly bytes: number
  readonly oldestAsOf: number

  constructor(
    readonly commands: readonly Command[],
    protected readonly receiver: Receiver,
  ) {
    super()
    let bytes = 0
    let oldestAsOf = Infinity
    for (const command of commands) {
      bytes += COMMAND_BYTES + command.key.length
      if ('value' in command) bytes += command.value.length
      if ('cas' in command && command.cas.asOf < oldestAsOf) oldestAsOf = command.cas.asOf
    }
    this.bytes = bytes
    this.oldestAsOf = oldestAsOf
  }

  get kind(): 'commands' {
    return 'commands'
  }

  get size(): number {
    return this.commands.length
  }

  protected land(replies: Reply[]): void {
    this.receiver.landed(replies)
  }
}
