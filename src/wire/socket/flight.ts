/** What a connection is asked for by one caller: who is told, by when, and what was answered so far. */
import {
  type CycleEnd,
  type CycleFound,
  type CycleKeys,
  type CycleSeat,
  type CycleStart,
  endCommands,
  startCommands,
  tellEnd,
  tellStart,
} from '../cycle.js'
import { problemOfItem } from './framing.js'
import { type Cas, type Command, failLater, FlightError, type Receiver, type Reply, type Value } from '../wire.js'

/** What is repeated of an error, in characters. */
const LONGEST_ANSWER = 100

/** About what the words of a command take on the wire. */
const COMMAND_BYTES = 64

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

/** Where flights are put to be sent. */
interface Outlet {
  queue(flight: Flight): void
}

/** What the second flight of a cycle goes by: both versions were read by one flight. */
interface Versions {
  readonly lockVersion: string
  readonly recordVersion: string
  readonly asOf: number
}

/** [add the lock, get the record]; what it has found, and the seat for what comes next. */
export class StartFlight extends Flight implements CycleSeat, CycleFound, Versions {
  readonly #outlet: Outlet
  lockVersion = ''
  recordVersion = ''
  value: Value | undefined
  flags = 0

  constructor(
    readonly receiver: CycleStart,
    outlet: Outlet,
  ) {
    super()
    this.#outlet = outlet
  }

  get kind(): 'start' {
    return 'start'
  }

  get size(): number {
    return 2
  }

  get oldestAsOf(): number {
    return Infinity
  }

  get commands(): readonly Command[] {
    return startCommands(this.receiver)
  }

  get bytes(): number {
    const { lockKey, recordKey, tokenName, tokenRest } = this.receiver
    return 2 * COMMAND_BYTES + lockKey.length + recordKey.length + tokenName.length + tokenRest.length
  }

  get lockCas(): Cas {
    return { version: this.lockVersion, asOf: this.asOf }
  }

  get recordCas(): Cas | undefined {
    return this.value === undefined ? undefined : { version: this.recordVersion, asOf: this.asOf }
  }

  /** In place of all replies. */
  started(lockVersion: string, recordVersion = '', value?: Value, flags = 0): void {
    if (this.answerAll()) this.#tellStarted(lockVersion, recordVersion, value, flags)
  }

  end(end: CycleEnd): void {
    const problem = this.value === undefined ? 'This cycle has found no record to end with.' : problemOfItem(end)
    if (problem === undefined) this.#outlet.queue(new EndFlight(this.receiver, this, end))
    else failLater(end, new FlightError('not-sent', problem))
  }

  protected land(replies: Reply[]): void {
    const landed = (all: Reply[]): void => this.receiver.landed(all)
    const started = ({ lockCas, recordCas, value, flags }: CycleFound): void =>
      this.#tellStarted(lockCas.version, recordCas?.version ?? '', value, flags)
    tellStart({ started, landed }, replies)
  }

  #tellStarted(lockVersion: string, recordVersion: string, value: Value | undefined, flags: number): void {
    this.lockVersion = lockVersion
    this.recordVersion = recordVersion
    this.value = value
    this.flags = flags
    this.receiver.started(this)
  }
}

/** [compare-and-set the record, compare-and-delete the lock] */
export class EndFlight extends Flight {
  constructor(
    readonly keys: CycleKeys,
    readonly versions: Versions,
    readonly receiver: CycleEnd,
  ) {
    super()
  }

  get kind(): 'end' {
    return 'end'
  }

  get size(): number {
    return 2
  }

  get commands(): readonly Command[] {
    const { lockVersion, recordVersion, asOf } = this.versions
    const versions = { lockCas: { version: lockVersion, asOf }, recordCas: { version: recordVersion, asOf } }
    return endCommands(this.keys, versions, this.receiver)
  }

  get bytes(): number {
    const { lockKey, recordKey } = this.keys
    return 2 * COMMAND_BYTES + lockKey.length + recordKey.length + this.receiver.value.length
  }

  get oldestAsOf(): number {
    return this.versions.asOf
  }

  /** In place of all replies. */
  ended(): void {
    if (this.answerAll()) this.receiver.ended()
  }

  protected land(replies: Reply[]): void {
    tellEnd(this.receiver, replies)
  }
}
