/** The two flights of a cycle, in plain values: see `../cycle.ts`. */
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
import { type Cas, type Command, failLater, FlightError, type Reply, type Value } from '../wire.js'
import { COMMAND_BYTES, Flight } from './flight.js'
import { problemOfItem } from './framing.js'

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

/** [add the lock, get the mark where there is one, get the record]; what it has found, and the seat for what comes next. */
export class StartFlight extends Flight implements CycleSeat, CycleFound, Versions {
  readonly #outlet: Outlet
  lockVersion = ''
  recordVersion = ''
  value: Value | undefined
  flags = 0
  mark: Value | undefined

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
    return this.receiver.markKey === undefined ? 2 : 3
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
    const started = ({ lockCas, recordCas, value, flags, mark }: CycleFound): void => {
      this.mark = mark
      // Versions that come never again are as of any time, whenever they were read.
      this.asOf = Math.min(lockCas.asOf, recordCas?.asOf ?? Infinity)
      this.#tellStarted(lockCas.version, recordCas?.version ?? '', value, flags)
    }
    tellStart({ markKey: this.receiver.markKey, started, landed }, replies)
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
