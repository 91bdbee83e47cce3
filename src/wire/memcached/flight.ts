/** What a connection is asked for by one caller: who is told, by when, and what was answered so far. */
import {
  type CycleEnd,
  type CycleKeys,
  type CycleSeat,
  type CycleStart,
  type CycleVersions,
  endCommands,
  type FoundRecord,
  startCommands,
  tellEnd,
  tellStart,
} from '../cycle.js'
import { problemOfItem } from './framing.js'
import { type Cas, type Command, failLater, FlightError, type Receiver, type Reply } from '../wire.js'

/** What is repeated of an error, in characters. */
const LONGEST_ANSWER = 100

/** About what the words of a command take on the wire. */
const COMMAND_BYTES = 64

/** Settles once, whatever is called afterwards. */
export abstract class Flight {
  /** Those of a cycle are written and read without their commands, by a codec that can. */
  abstract readonly kind: 'commands' | 'start' | 'end'
  abstract readonly commands: readonly Command[]
  /** How many commands there are. */
  abstract readonly size: number
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
  /** Whether an error came in place of a reply. */
  isUnclear = false
  #replies: Reply[] | undefined
  #answered = 0
  #settled = false

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
    this.#settled = true
    this.land(this.#replies)
  }

  /**
   * Takes an error in place of the next reply. Of what was carried out it says nothing certain (a proxy that gave up
   * waiting says `SERVER_ERROR` as well), so the flight fails as 'unknown', and whoever sent it reads what is there.
   */
  answerUnclear(text: string): void {
    this.#answered++
    this.isUnclear = true
    const answer = text.slice(0, LONGEST_ANSWER).replace(/[^\x20-\x7e]/g, '?')
    this.fail(new FlightError('unknown', `The server answered with an error: ${answer}`, { answer }))
  }

  fail(error: FlightError): void {
    if (this.#settled) return
    this.#settled = true
    failLater(this.receiver, error)
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
  readonly kind = 'commands'
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

  get size(): number {
    return this.commands.length
  }

  protected land(replies: Reply[]): void {
    this.receiver.landed(replies)
  }
}

/** Where flights are put to be sent. */
interface Outlet {
  queue(flight: Flight): void
}

/** [add the lock, get the record]; and the seat for what comes next. */
export class StartFlight extends Flight implements CycleSeat {
  readonly kind = 'start'
  readonly size = 2
  readonly oldestAsOf = Infinity
  readonly #outlet: Outlet
  #commands: readonly Command[] | undefined
  #versions: CycleVersions | undefined

  constructor(
    readonly receiver: CycleStart,
    outlet: Outlet,
  ) {
    super()
    this.#outlet = outlet
  }

  get commands(): readonly Command[] {
    return (this.#commands ??= startCommands(this.receiver))
  }

  get bytes(): number {
    const { lockKey, recordKey, token } = this.receiver
    return 2 * COMMAND_BYTES + lockKey.length + recordKey.length + token.length
  }

  /** In place of all replies. */
  started(lockCas: Cas, record: FoundRecord | undefined): void {
    if (this.answerAll()) this.#tellStarted(lockCas, record)
  }

  end(end: CycleEnd): void {
    const versions = this.#versions
    const problem = versions === undefined ? 'This cycle has found no record to end with.' : problemOfItem(end)
    if (versions === undefined || problem !== undefined) failLater(end, new FlightError('not-sent', problem ?? ''))
    else this.#outlet.queue(new EndFlight(this.receiver, versions, end))
  }

  protected land(replies: Reply[]): void {
    const landed = (all: Reply[]): void => this.receiver.landed(all)
    tellStart({ started: (lockCas, record) => this.#tellStarted(lockCas, record), landed }, replies)
  }

  #tellStarted(lockCas: Cas, record: FoundRecord | undefined): void {
    if (record !== undefined) this.#versions = { lockCas, recordCas: record.cas }
    this.receiver.started(lockCas, record)
  }
}

/** [compare-and-set the record, compare-and-delete the lock] */
export class EndFlight extends Flight {
  readonly kind = 'end'
  readonly size = 2
  #commands: readonly Command[] | undefined

  constructor(
    readonly keys: CycleKeys,
    readonly versions: CycleVersions,
    readonly receiver: CycleEnd,
  ) {
    super()
  }

  get commands(): readonly Command[] {
    return (this.#commands ??= endCommands(this.keys, this.versions, this.receiver))
  }

  get bytes(): number {
    const { lockKey, recordKey } = this.keys
    return 2 * COMMAND_BYTES + lockKey.length + recordKey.length + this.receiver.value.length
  }

  /** Both were read by one flight. */
  get oldestAsOf(): number {
    return this.versions.lockCas.asOf
  }

  /** In place of all replies. */
  ended(): void {
    if (this.answerAll()) this.receiver.ended()
  }

  protected land(replies: Reply[]): void {
    tellEnd(this.receiver, replies)
  }
}
