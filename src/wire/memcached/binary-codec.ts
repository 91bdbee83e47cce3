/**
 * memcached's binary protocol, with memjs as the codec: memjs builds the requests and parses the replies, and nothing
 * else of it runs. One throw-away `memjs.Server` per TCP connection, fed one whole and checked message at a time.
 */
import { Server, Utils } from 'memjs'
import { type Cas, type Command, type Reply, valueBytes } from '../wire.js'
import { AuthenticationError, ProtocolError } from '../socket/codec.js'
import { EXISTS, MISSING, OUT_OF_MEMORY, replyOf, TOO_LARGE } from '../reply.js'
import type { Codec, CodecContext } from '../socket/codec.js'
import type { Flight } from '../socket/flight.js'
import type { Greeting } from '../socket/greeting.js'
import { Inbox } from '../socket/inbox.js'
import { isTurnedAwayBytes, turnedAway } from './first-words.js'
import { GreetingReader } from './greeting.js'
import { casOf } from './version.js'
import { isDate, ServerClock } from './server-clock.js'

const GET = 0x00
const SET = 0x01
const ADD = 0x02
const REPLACE = 0x03
const DELETE = 0x04
const VERSION = 0x0b
const STAT = 0x10
const TOUCH = 0x1c
const SASL_AUTH = 0x21

const HEADER_BYTES = 24
const CAS_OFFSET = 16
// The largest value of memcached's -I: a body beyond it is no body.
const LARGEST_BODY_BYTES = 1024 * 1024 * 1024 + 1024
const EMPTY = Buffer.alloc(0)

/** A reply that is due: the header it must have, and the flight that waits for it (none in the handshake). */
interface Due {
  readonly opcode: number
  readonly sequence: number
  readonly flight: Flight | undefined
}

type Message = Parameters<Parameters<Server['onResponse']>[1]>[0]

class BinaryCodec implements Codec {
  readonly #server: Server
  readonly #serverClock: ServerClock
  readonly #authenticates: boolean
  readonly #inbox = new Inbox()
  readonly #dues: Due[] = []
  #head = 0
  #sequence = 0
  #failure: Error | undefined
  /** A date was sent by a reading of the server's clock that is too old: the batch asks for the time as well. */
  #asksTime = false

  constructor({ socket, credentials, clock }: CodecContext) {
    this.#serverClock = new ServerClock(clock)
    this.#authenticates = credentials !== undefined
    this.#server = new Server('', 0, credentials?.username, credentials?.password)
    // The constructor falls back to MEMCACHIER_* and MEMCACHE_* of the environment; only what it was told counts.
    this.#server.username = credentials?.username
    this.#server.password = credentials?.password
    this.#server._socket = socket
    this.#server.error = (cause) => {
      const text = cause instanceof Error ? cause.message : String(cause)
      this.#failure ??= /auth/i.test(text) ? new AuthenticationError(text) : new ProtocolError(text)
    }
  }

  get due(): number {
    return this.#dues.length - this.#head
  }

  greet(ready: (greeting: Greeting) => void): void {
    const reader = new GreetingReader()
    const ask = (): void => {
      this.#server._socket?.write(
        Buffer.concat([
          this.#askVersion(),
          this.#askStats('', reader, () => undefined),
          this.#askStats('settings', reader, ready),
        ]),
      )
    }
    if (!this.#authenticates) {
      ask()
      return
    }
    // memjs sends SASL requests with the sequence number 0 and announces success by an event.
    this.#dues.push({ opcode: SASL_AUTH, sequence: 0, flight: undefined })
    this.#server.once('authenticated', ask)
    this.#server.saslAuth()
  }

  encode(flights: readonly Flight[]): Buffer {
    const parts: Buffer[] = []
    for (const flight of flights) {
      for (const command of flight.commands) parts.push(this.#request(command, flight))
    }
    if (this.#asksTime) {
      this.#asksTime = false
      parts.push(this.#askStats('', new GreetingReader(), () => undefined))
    }
    return parts.length === 1 ? (parts[0] ?? EMPTY) : Buffer.concat(parts)
  }

  feed(chunk: Buffer): void {
    const bytes = this.#inbox.take(chunk)
    if (bytes === undefined) return
    let at = 0
    while (at < bytes.length) {
      const left = bytes.length - at
      const size = left < HEADER_BYTES ? HEADER_BYTES : this.#checkedSize(bytes, at)
      if (left < size) {
        this.#inbox.keep(at === 0 ? bytes : bytes.subarray(at), size)
        return
      }
      this.#parse(bytes.subarray(at, at + size))
      at += size
    }
  }

  /** The size of the message that starts at `at`, once its header is known to be the one that is due. */
  #checkedSize(bytes: Buffer, at: number): number {
    const due = this.#dues[this.#head]
    if (due === undefined) throw new ProtocolError('a reply that nothing was asked for')
    const opcode = bytes.readUInt8(at + 1)
    const bodyBytes = bytes.readUInt32BE(at + 8)
    const opaque = bytes.readUInt32BE(at + 12)
    if (due.flight === undefined && isTurnedAwayBytes(bytes)) throw turnedAway()
    if (bytes.readUInt8(at) !== 0x81) throw new ProtocolError('this is not the binary protocol (wrong magic byte)')
    if (opcode !== due.opcode || opaque !== due.sequence) {
      throw new ProtocolError(
        `a reply to another request: opcode ${String(opcode)}/${String(due.opcode)}, ` +
          `sequence ${String(opaque)}/${String(due.sequence)}`,
      )
    }
    if (bodyBytes > LARGEST_BODY_BYTES || bytes.readUInt16BE(at + 2) + bytes.readUInt8(at + 4) > bodyBytes) {
      throw new ProtocolError(`a reply of an impossible length (${String(bodyBytes)} bytes)`)
    }
    return HEADER_BYTES + bodyBytes
  }

  #parse(message: Buffer): void {
    const due = this.#dues[this.#head]
    const status = message.readUInt16BE(6)
    // memjs takes any answer to SASL_AUTH but 0x20 for a success.
    if (due?.opcode === SASL_AUTH && status !== 0) {
      throw new AuthenticationError(`the server refused the credentials (status 0x${status.toString(16)})`)
    }
    // A STAT is answered by many messages, the last of them without a body.
    if (due?.opcode !== STAT || message.readUInt32BE(8) === 0 || status !== 0) this.#advance()
    this.#server.responseHandler(message)
    if (this.#failure !== undefined) throw this.#failure
  }

  #advance(): void {
    this.#head += 1
    if (this.#head < this.#dues.length) return
    this.#dues.length = 0
    this.#head = 0
  }

  /** Registers a request; the sequence number stays within 32 bits, and clear of 0, which SASL uses. */
  #next(opcode: number, flight: Flight | undefined): number {
    this.#sequence = this.#sequence === 0xffffffff ? 1 : this.#sequence + 1
    this.#dues.push({ opcode, sequence: this.#sequence, flight })
    return this.#sequence
  }

  #askVersion(): Buffer {
    const sequence = this.#next(VERSION, undefined)
    this.#server.onResponse(sequence, ({ header }) => {
      if (header.status !== 0) this.#server.error(new Error(`version: status ${String(header.status)}`))
    })
    return Utils.makeRequestBuffer(VERSION, '', '', '', sequence)
  }

  #exptimeOf(ttlSec: number): number {
    if (isDate(ttlSec) && this.#serverClock.isStale) this.#asksTime = true
    return this.#serverClock.exptimeOf(ttlSec)
  }

  #askStats(group: string, reader: GreetingReader, done: (greeting: Greeting) => void): Buffer {
    const sequence = this.#next(STAT, undefined)
    const onStat = ({ key, val }: Message): void => {
      reader.take(key.toString('latin1'), val.toString('latin1'))
      if (key.length > 0 || this.#failure !== undefined) return
      const greeting = reader.result()
      if (greeting.timeSec !== undefined) this.#serverClock.set(greeting.timeSec)
      done(greeting)
    }
    onStat.quiet = true
    this.#server.onResponse(sequence, onStat)
    return Utils.makeRequestBuffer(STAT, group, '', '', sequence)
  }

  #request(command: Command, flight: Flight): Buffer {
    const opcode = opcodeOf(command)
    const sequence = this.#next(opcode, flight)
    this.#server.onResponse(sequence, (message) => {
      const reply = toReply(message, command.op, flight.asOf)
      if (typeof reply === 'string') flight.answerUnclear(reply)
      else flight.answer(reply)
    })
    switch (command.op) {
      case 'get':
      case 'delete':
        return Utils.makeRequestBuffer(opcode, command.key, EMPTY, EMPTY, sequence)
      case 'cad':
        return withCas(Utils.makeRequestBuffer(opcode, command.key, EMPTY, EMPTY, sequence), command.cas)
      case 'touch': {
        const extras = Buffer.allocUnsafe(4)
        extras.writeUInt32BE(this.#exptimeOf(command.ttlSec), 0)
        return Utils.makeRequestBuffer(opcode, command.key, extras, EMPTY, sequence)
      }
      default: {
        const extras = Buffer.allocUnsafe(8)
        extras.writeUInt32BE(command.flags ?? 0, 0)
        extras.writeUInt32BE(this.#exptimeOf(command.ttlSec), 4)
        const request = Utils.makeRequestBuffer(opcode, command.key, extras, valueBytes(command.value), sequence)
        return command.op === 'cas' ? withCas(request, command.cas) : request
      }
    }
  }
}

/** A codec of the binary protocol for one connection. */
export function createBinaryCodec(context: CodecContext): Codec {
  return new BinaryCodec(context)
}

/** The form of the versions that this codec hands out: eight bytes in hexadecimal. */
export const BINARY_VERSION = /^[0-9a-f]{16}$/

function opcodeOf(command: Command): number {
  switch (command.op) {
    case 'get':
      return GET
    case 'set':
      return SET
    case 'add':
      return ADD
    // Never SET with a CAS: it deletes the old record when it is refused (facts of memcached 1.6.18).
    case 'cas':
      return REPLACE
    case 'delete':
    case 'cad':
      return DELETE
    case 'touch':
      return TOUCH
  }
}

function withCas(request: Buffer, cas: Cas): Buffer {
  request.write(cas.version, CAS_OFFSET, 8, 'hex')
  return request
}

/**
 * The reply to a command; a string is an error that says nothing certain. Only memcached's "too large" and "out of
 * memory" say that nothing was stored, and only of a store.
 */
function toReply(message: Message, op: Command['op'], asOf: number): Reply | string {
  const { status } = message.header
  switch (status) {
    case 0x00: {
      const cas = casOf(message.header.cas.toString('hex', 0, 8), asOf)
      if (op !== 'get') return replyOf('ok', cas, undefined, 0)
      // Not copied again: memjs has just put this one message into a buffer of its own, which nobody else sees.
      return replyOf('ok', cas, message.val, message.extras.length >= 4 ? message.extras.readUInt32BE(0) : 0)
    }
    case 0x01:
      return MISSING
    case 0x02:
    case 0x05:
      return EXISTS
    case 0x03:
      if (isStore(op)) return TOO_LARGE
      break
    case 0x82:
      if (isStore(op)) return OUT_OF_MEMORY
      break
  }
  return `status 0x${status.toString(16)}: ${message.val.toString('latin1', 0, 100)}`
}

const isStore = (op: Command['op']): boolean => op === 'add' || op === 'set' || op === 'cas'
