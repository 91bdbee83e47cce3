/**
 * The seam between connections and dialects: what memcached's binary and text protocols have in common.
 *
 * A codec belongs to one connection and dies with it. It knows bytes and flights, no sockets, pools or timers.
 */
import type { Socket } from 'node:net'
import type { Credentials } from './save-path.js'
import type { Clock } from '../../system/clock.js'
import { failLater, FlightError, type Cas, type Command, type Receiver, type Reply, type Status, type Value } from '../wire.js'
import type { Greeting } from './greeting.js'

/** The server said something that the protocol does not allow here; the connection cannot be used any more. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

/** The server refused the credentials, or wants some where the save path has none. */
export class AuthenticationError extends Error {
  override readonly name = 'AuthenticationError'
}

/** What is repeated of an error, in characters. */
const LONGEST_ANSWER = 100

/** A flight under way: its commands, and the replies so far. Settles once, whatever is called afterwards. */
export class Flight {
  /** The node's ordinal when this was written; dates every CAS that comes back. */
  asOf = 0
  readonly #replies: Reply[]
  #answered = 0
  #settled = false

  #dueMs: number
  readonly #receiver: Receiver

  constructor(
    readonly commands: readonly Command[],
    dueMs: number,
    readonly bytes: number,
    receiver: Receiver,
  ) {
    this.#dueMs = dueMs
    this.#receiver = receiver
    this.#replies = new Array<Reply>(commands.length)
  }

  /** The moment by which it must have settled; the clock's monotonic milliseconds. */
  get dueAtMs(): number {
    return this.#dueMs
  }

  putOff(byMs: number): void {
    this.#dueMs += byMs
  }

  get settled(): boolean {
    return this.#settled
  }

  /** Whether every command has its reply. */
  get isAnswered(): boolean {
    return this.#answered >= this.commands.length
  }

  /** Takes the next reply; the last one settles the flight without waiting for the rest of its batch. */
  answer(reply: Reply): void {
    this.#replies[this.#answered++] = reply
    if (this.#answered < this.commands.length || this.#settled) return
    this.#settled = true
    this.#receiver.landed(this.#replies)
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
    failLater(this.#receiver, error)
  }
}

/** About what a flight takes on the wire. */
export function bytesOf(commands: readonly Command[]): number {
  let bytes = 0
  for (const command of commands) {
    bytes += 64 + command.key.length
    if (command.op === 'add' || command.op === 'cas' || command.op === 'set') bytes += command.value.length
  }
  return bytes
}

export interface Codec {
  /**
   * Starts the handshake: authentication where there are credentials, the version, what the server tells about itself.
   * `ready` is called once, from `feed`.
   */
  greet(ready: (greeting: Greeting) => void): void

  /** A whole batch, for one write; a string is Latin-1. From then on its replies are due, in this order. */
  encode(flights: readonly Flight[]): Buffer | string

  /**
   * Takes what arrived and answers the flights whose replies are complete.
   *
   * @throws {ProtocolError|AuthenticationError} when the connection must be given up.
   */
  feed(chunk: Buffer): void

  /** How many answers are still due; 0 means that anything that arrives is unexpected. */
  readonly due: number
}

/** What a codec is made of: the connection's own socket (for its handshake), and the clock that dates are counted on. */
export interface CodecContext {
  readonly socket: Socket
  readonly credentials: Credentials | undefined
  readonly clock: Clock
}

/** Makes the codec of one connection. */
export type MakeCodec = (context: CodecContext) => Codec

/** A reply; every reply is made here, so that they all have one shape. */
export function replyOf(status: Status, cas: Cas | undefined, value: Value | undefined, flags: number): Reply {
  return { status, value, flags, cas }
}

/** The CAS that a server printed; a server that runs without them (`-C`) prints 0 for all. */
export function casOf(version: string, asOf: number): Cas | undefined {
  return version.startsWith('0') && /^0+$/.test(version) ? undefined : { version, asOf }
}
