/**
 * Flights as Redis carries them out, over one connection.
 *
 * A lock is added by `SET key value NX EX`, a record is read by `GET`. What compares a version is done by a script
 * (script.ts), one call for neighbours: the commit of record and lock is one. The commands of a flight are carried out one
 * after the other; there is no transaction around them, as a wire promises none.
 */
import { isAscii } from 'node:buffer'
import type { Random } from '../../system/random.js'
import type { Arrived } from '../socket/arrived.js'
import { type Codec, type CodecContext, ProtocolError } from '../socket/codec.js'
import { TOO_LARGE } from '../reply.js'
import { EndFlight, StartFlight } from '../socket/cycle-flights.js'
import type { Flight } from '../socket/flight.js'
import type { Greeting } from '../socket/greeting.js'
import { Inbox } from '../socket/inbox.js'
import { Outbox } from '../socket/outbox.js'
import type { Reply } from '../wire.js'
import { Ask } from './ask.js'
import type { MakeHandshake } from './handshake.js'
import { itemIn } from './item.js'
import { endsConnection, isNoScript, isRefusal } from './refusals.js'
import { scriptReply, singleReply } from './replies.js'
import { type Copies, type Due, isScripted, RequestWriter, type ScriptDue } from './request-writer.js'
import { Bulk, commandOf, type ErrorReply, isError, isList, RespReader, type RespReply } from './resp.js'
import { SCRIPT } from './script.js'

const LOCKED = '+OK\r\n'
const ENDED = '*2\r\n:1\r\n:1\r\n'

export interface RedisCodecOptions {
  readonly handshake: MakeHandshake
  readonly copies?: Copies | undefined
  readonly random: Pick<Random, 'bytes'>
}

export class RedisCodec implements Codec {
  readonly #context: CodecContext
  readonly #handshake: MakeHandshake
  readonly #writer: RequestWriter
  readonly #inbox = new Inbox()
  #dues: Due[] = []
  #head = 0
  isSpent = false

  constructor(context: CodecContext, options: RedisCodecOptions) {
    this.#context = context
    this.#handshake = options.handshake
    this.#writer = new RequestWriter(options.random, options.copies)
  }

  get due(): number {
    return this.#dues.length - this.#head
  }

  greet(ready: (greeting: Greeting) => void): void {
    const { socket, credentials } = this.#context
    const handshake = this.#handshake(credentials)
    const { text, takes } = handshake
    takes.forEach((take, index) => {
      const isLast = index === takes.length - 1
      this.#dues.push({
        kind: 'greeting',
        take: (reply) => {
          take(reply)
          if (isLast) ready(handshake.greeting())
        },
      })
    })
    socket.write(text, 'latin1')
  }

  encode(flights: readonly Flight[]): Buffer | string {
    const outbox = new Outbox()
    this.#writer.write(flights, { outbox, dues: this.#dues })
    return outbox.take()
  }

  /** A byte is a character of Latin-1, so offsets are good for both. */
  feed(chunk: Buffer): void {
    const bytes = this.#inbox.take(chunk)
    if (bytes === undefined) return
    const arrived = { bytes, text: bytes.toString('latin1'), isAscii: isAscii(bytes) }
    const reader = new RespReader(arrived)
    while (reader.at < bytes.length) {
      const due = this.#dues[this.#head]
      if (due === undefined) throw new ProtocolError('a reply that nothing was asked for')
      const start = reader.at
      if (!this.#takeNext(due, arrived, reader)) {
        this.#inbox.keep(bytes.subarray(start), reader.wantedEnd - start)
        return
      }
    }
  }

  /** Takes what answers `due`; false where it is not all there. */
  #takeNext(due: Due, arrived: Arrived, reader: RespReader): boolean {
    if (due instanceof EndFlight && !due.awaitsCopies && arrived.text.startsWith(ENDED, reader.at)) {
      reader.at += ENDED.length
      this.#advance()
      due.ended()
      return true
    }
    if (due instanceof StartFlight) return this.#takeStart(due, arrived, reader)
    const reply = reader.next()
    if (reply === undefined) return false
    this.#advance()
    if (due instanceof EndFlight) this.#takeScript(scriptOf(due), reply)
    else if (due instanceof Ask) due.tell(reply)
    else if (due.kind === 'greeting') due.take(reply)
    else if (due.kind === 'script') this.#takeScript(due, reply)
    else if (due.kind === 'copies') takeCopies(due, reply)
    else if (due.kind === 'tooLarge') this.#answer(due.flight, isError(reply) ? reply : TOO_LARGE)
    else this.#answer(due.flight, singleReply(due.op, due.version, reply))
    return true
  }

  /** [the lock was added, the record]: both or nothing is taken. */
  #takeStart(flight: StartFlight, arrived: Arrived, reader: RespReader): boolean {
    const isLocked = arrived.text.startsWith(LOCKED, reader.at)
    const start = reader.at
    const lock = reader.next()
    const record = lock === undefined ? undefined : reader.next()
    if (lock === undefined || record === undefined) {
      reader.at = start
      reader.wantedEnd = Math.max(reader.wantedEnd, arrived.bytes.length + 1)
      return false
    }
    this.#advance()
    const version = flight.lockVersion
    if (isLocked && record === null) {
      flight.started(version)
    } else if (isLocked && record instanceof Bulk) {
      const item = itemIn(arrived, record.from, record.to)
      flight.started(version, item.version, item.value, item.flags)
    } else {
      this.#answer(flight, singleReply('add', version, lock))
      this.#answer(flight, singleReply('get', undefined, record))
    }
    return true
  }

  #takeScript(due: ScriptDue, reply: RespReply): void {
    const { flight, commands, versions } = due
    if (isError(reply) && isNoScript(reply.error)) {
      if (due.mayRepeat && !flight.awaitsCopies) {
        this.#repeat(due)
        return
      }
      // Another connection teaches it to the server again.
      this.isSpent = true
    }
    const answers = isList(reply) ? reply : undefined
    if (!isError(reply) && answers?.length !== commands.length) {
      throw new ProtocolError('an answer of the script that is none')
    }
    commands.forEach(({ op }, index) => {
      const answer = answers === undefined ? reply : (answers[index] ?? null)
      this.#answer(flight, scriptReply(op, versions[index], answer))
    })
  }

  /** Somebody has made the server forget its scripts (`SCRIPT FLUSH`). */
  #repeat({ flight, commands }: ScriptDue): void {
    const outbox = new Outbox()
    outbox.text(commandOf('SCRIPT', 'LOAD', SCRIPT))
    this.#dues.push({ kind: 'greeting', take: () => undefined })
    this.#writer.writeScript(flight, commands, false, { outbox, dues: this.#dues })
    this.#context.socket.write(outbox.take(), 'latin1')
  }

  #answer(flight: Flight, answer: Reply | ErrorReply): void {
    if (!isError(answer)) {
      flight.answer(answer)
      return
    }
    if (endsConnection(answer.error)) this.isSpent = true
    if (isRefusal(answer.error)) flight.answerRefused(answer.error)
    else flight.answerUnclear(answer.error)
  }

  #advance(): void {
    this.#head += 1
    if (this.#head < this.#dues.length) return
    this.#dues = []
    this.#head = 0
  }
}

function takeCopies({ flights, replicas }: Due & { readonly kind: 'copies' }, reply: RespReply): void {
  const made = typeof reply === 'number' ? reply : 0
  const shortage =
    made >= replicas ? undefined : `The server has stored it, but only ${made} of ${replicas} replicas have it (replicas in the save path).`
  for (const flight of flights) flight.copied(shortage)
}

/** The second flight of a cycle as the script's call that it was sent as. */
const scriptOf = (flight: EndFlight): ScriptDue => {
  const commands = flight.commands.filter(isScripted)
  return { kind: 'script', flight, commands, versions: [], mayRepeat: true }
}
