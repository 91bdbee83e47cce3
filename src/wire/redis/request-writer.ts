/** Flights as Redis reads them, and what is due for them. */
import type { Random } from '../../system/random.js'
import type { CycleEnd, CycleKeys } from '../cycle.js'
import { EndFlight, StartFlight } from '../socket/cycle-flights.js'
import type { Flight } from '../socket/flight.js'
import type { Outbox } from '../socket/outbox.js'
import type { Command, Value } from '../wire.js'
import { Ask } from './ask.js'
import { LegFlight } from './cluster/leg-flight.js'
import { headOf, prefixOf, Versions } from './item.js'
import type { Scripted, Single } from './replies.js'
import { commandOf, type RespReply } from './resp.js'
import { SCRIPT_SHA } from './script.js'
import { largestValueBytes } from './traits.js'

/** One answer that is due. `version`: of what was stored. */
export type Due =
  | StartFlight
  | EndFlight
  | Ask
  | { readonly kind: 'single'; readonly flight: Flight; readonly op: Single['op']; readonly version: string | undefined }
  | { readonly kind: 'tooLarge'; readonly flight: Flight }
  | { readonly kind: 'copies'; readonly flights: readonly Flight[]; readonly replicas: number }
  | ScriptDue
  | { readonly kind: 'greeting'; readonly take: (reply: RespReply) => void }

export interface ScriptDue {
  readonly kind: 'script'
  readonly flight: Flight
  readonly commands: readonly Scripted[]
  readonly versions: readonly (string | undefined)[]
  /** Whether it may be sent again where the server has lost the script: nothing of its flight comes after it. */
  readonly mayRepeat: boolean
}

/** That a change of a record is acknowledged only when so many replicas have it. */
export interface Copies {
  readonly replicas: number
  /** How long they are waited for, in milliseconds. */
  readonly waitMs: number
  readonly isOfProcesses: (key: string) => boolean
}

/** Where a batch is written to, and what becomes due by it. */
export interface Request {
  readonly outbox: Outbox
  readonly dues: Due[]
}

const PING = commandOf('PING')
const ASKING = commandOf('ASKING')

export class RequestWriter {
  readonly #versions: Versions
  readonly #copies: Copies | undefined

  constructor(random: Pick<Random, 'bytes'>, copies: Copies | undefined) {
    this.#copies = copies
    this.#versions = new Versions(random)
  }

  write(flights: readonly Flight[], request: Request): void {
    this.#versions.begin()
    for (const flight of flights) {
      if (flight instanceof StartFlight) this.#writeStart(flight, request)
      else if (flight instanceof EndFlight) this.#writeEnd(flight, request)
      else if (flight instanceof Ask) this.#writeAsk(flight, request)
      else this.#writeCommands(flight, request)
    }
    if (this.#copies !== undefined) this.#writeWait(flights, this.#copies, request)
  }

  /** One WAIT for all that the batch has changed. */
  #writeWait(flights: readonly Flight[], { replicas, waitMs, isOfProcesses }: Copies, { outbox, dues }: Request): void {
    const changing = flights.filter(({ commands }) => commands.some(({ op, key }) => op !== 'get' && !isOfProcesses(key)))
    if (changing.length === 0) return
    for (const flight of changing) flight.awaitCopies()
    outbox.text(commandOf('WAIT', replicas, waitMs))
    dues.push({ kind: 'copies', flights: changing, replicas })
  }

  #writeStart(flight: StartFlight, { outbox, dues }: Request): void {
    const { lockKey, recordKey, tokenName, tokenRest, leaseSec } = flight.receiver
    const version = this.#versions.next()
    flight.lockVersion = version
    outbox.text(
      `*6\r\n$3\r\nSET\r\n${bulk(lockKey)}${bulk(prefixOf(version) + tokenName + tokenRest)}$2\r\nNX\r\n$2\r\nEX\r\n${bulk(String(leaseSec))}` +
        `*2\r\n$3\r\nGET\r\n${bulk(recordKey)}`,
    )
    dues.push(flight)
  }

  #writeEnd(flight: EndFlight, request: Request): void {
    const { outbox, dues } = request
    const { keys, versions, receiver } = flight
    if (isTooLarge(keys.recordKey, receiver.value)) {
      this.#writeCommands(flight, request)
      return
    }
    outbox.text(endHead(keys, versions.recordVersion, receiver))
    writeItem(outbox, this.#versions.next(), receiver.flags, receiver.value)
    outbox.text(`${bulk(headOf(versions.lockVersion))}$1\r\n0\r\n$0\r\n\r\n`)
    dues.push(flight)
  }

  #writeAsk(flight: Ask, { outbox, dues }: Request): void {
    outbox.text(commandOf(...flight.words))
    dues.push(flight)
  }

  #writeCommands(flight: Flight, request: Request): void {
    const { outbox, dues } = request
    const { commands } = flight
    let together: Scripted[] = []
    commands.forEach((command, index) => {
      const next = commands[index + 1]
      if ('value' in command && isTooLarge(command.key, command.value)) {
        outbox.text(PING)
        dues.push({ kind: 'tooLarge', flight })
      } else if (isScripted(command)) {
        together.push(command)
        if (next !== undefined && isScripted(next) && !('value' in next && isTooLarge(next.key, next.value))) return
        this.writeScript(flight, together, next === undefined, request)
        together = []
      } else {
        this.#writeSingle(flight, command, request)
      }
    })
  }

  /** Where the slot of the next command is on its way to this node: only then does the node carry it out. */
  #writeAsking(flight: Flight, { outbox, dues }: Request): void {
    if (!(flight instanceof LegFlight) || !flight.isAsking) return
    outbox.text(ASKING)
    dues.push({ kind: 'greeting', take: () => undefined })
  }

  #writeSingle(flight: Flight, command: Single, request: Request): void {
    const { outbox, dues } = request
    const { op, key } = command
    this.#writeAsking(flight, request)
    if (op === 'get' || op === 'delete') {
      outbox.text(`*2\r\n$3\r\n${op === 'get' ? 'GET' : 'DEL'}\r\n${bulk(key)}`)
      dues.push({ kind: 'single', flight, op, version: undefined })
      return
    }
    const version = this.#versions.next()
    outbox.text(`*${op === 'add' ? 6 : 5}\r\n$3\r\nSET\r\n${bulk(key)}`)
    writeItem(outbox, version, command.flags, command.value)
    outbox.text(`${op === 'add' ? '$2\r\nNX\r\n' : ''}$2\r\nEX\r\n${bulk(String(command.ttlSec))}`)
    dues.push({ kind: 'single', flight, op, version })
  }

  /** Calls the script for neighbouring commands of a flight. */
  writeScript(flight: Flight, commands: readonly Scripted[], mayRepeat: boolean, request: Request): void {
    const { outbox, dues } = request
    this.#writeAsking(flight, request)
    let keys = ''
    for (const { key } of commands) keys += bulk(key)
    outbox.text(scriptHead(commands.length) + keys)
    const versions = commands.map((command) => {
      switch (command.op) {
        case 'touch':
          outbox.text(`$0\r\n\r\n${bulk(String(command.ttlSec))}$0\r\n\r\n`)
          return undefined
        case 'cad':
          outbox.text(`${bulk(headOf(command.cas.version))}$1\r\n0\r\n$0\r\n\r\n`)
          return undefined
        case 'cas': {
          const version = this.#versions.next()
          outbox.text(bulk(headOf(command.cas.version)) + bulk(String(command.ttlSec)))
          writeItem(outbox, version, command.flags, command.value)
          return version
        }
      }
    })
    dues.push({ kind: 'script', flight, commands, versions, mayRepeat })
  }
}

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

/** The call of the script for so many keys, which come next. */
const scriptHead = (count: number): string => `*${3 + 4 * count}\r\n$7\r\nEVALSHA\r\n$40\r\n${SCRIPT_SHA}\r\n${bulk(String(count))}`

const CALL_OF_TWO = scriptHead(2)

const endHead = ({ recordKey, lockKey }: CycleKeys, recordVersion: string, { ttlSec }: CycleEnd): string =>
  CALL_OF_TWO + bulk(recordKey) + bulk(lockKey) + bulk(headOf(recordVersion)) + bulk(String(ttlSec))

function writeItem(outbox: Outbox, version: string, flags: number | undefined, value: Value): void {
  const prefix = prefixOf(version, flags)
  outbox.text(`$${prefix.length + value.length}\r\n${prefix}`)
  outbox.value(value)
  outbox.text('\r\n')
}

const isTooLarge = (key: string, value: Value): boolean => value.length > largestValueBytes(key)

export const isScripted = (command: Command): command is Scripted =>
  command.op === 'cas' || command.op === 'cad' || command.op === 'touch'
