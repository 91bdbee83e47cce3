/**
 * The seam between connections and protocols: what the protocols of servers have in common here.
 *
 * A codec belongs to one connection and dies with it. It knows bytes and flights, no sockets, pools or timers.
 */
import type { Socket } from 'node:net'
import type { Credentials } from './address.js'
import type { Clock } from '../../system/clock.js'
import type { Flight } from './flight.js'
import type { Greeting } from './greeting.js'

/** The server said something that the protocol does not allow here; the connection cannot be used any more. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

/** For messages: the word that an answer begins with, where it is one. All else of it may be the key of a session, or what is kept in one. */
export const wordOf = (answer: string): string => /^(?:[A-Z_]{1,20}|HTTP\/\d\.\d)(?=\s|$)/.exec(answer)?.[0] ?? 'no word that it has'

/** The server refused the credentials, or wants some where the save path has none. */
export class AuthenticationError extends Error {
  override readonly name = 'AuthenticationError'
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

  /** Whether the connection should not be used again after what was answered last: the server is none to write to any more. */
  readonly isSpent?: boolean

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
