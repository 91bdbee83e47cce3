/**
 * One hardened connection: one batch at a time, one write per batch, and dead for good on any anomaly.
 *
 * Replies are matched here and nowhere else, so a late one can never reach another connection's request.
 */
import type { Socket } from 'node:net'
import type { Clock, Timer } from '../../system/clock.js'
import { FlightError, UnsupportedStoreError } from '../wire.js'
import { AuthenticationError, type Codec, type MakeCodec } from './codec.js'
import type { Flight } from './flight.js'
import type { Greeting } from './greeting.js'
import { type Peer, placeName } from './address.js'
import { ConnectError, MovedError, type Opening } from './opening.js'
import { dial, readPemFiles } from './dial.js'
import { inTime } from './in-time.js'
import type { Whereabouts } from './whereabouts.js'

export interface ConnectionOptions {
  readonly peer: Peer
  /** Where the server is. Default: always at the peer's address. */
  readonly whereabouts?: Pick<Whereabouts, 'locate' | 'hasLeft'> | undefined
  readonly clock: Clock
  readonly makeCodec: MakeCodec
  /** How long connecting and the handshake may take together. */
  readonly openMs: number
  /** Gives up opening. */
  readonly signal: AbortSignal
  /** The node's date for a connection whose handshake is complete. */
  readonly date: (greeting: Greeting) => number
}

export class Connection {
  #openedAt = 0
  #greeting: Greeting | undefined
  #opening: Opening | undefined
  #failOpening: ((failure: Error) => void) | undefined
  #batch: readonly Flight[] = []
  #done: (() => void) | undefined
  #sentAtMs = 0
  #answeredAtMs = 0
  #dueAtMs = 0
  #timer: Timer | undefined
  #death: Error | undefined

  /** Where it leads to. */
  readonly place: string
  readonly #name: string
  readonly #socket: Socket
  readonly #codec: Codec
  readonly #clock: Clock

  private constructor(
    place: string,
    socket: Socket,
    codec: Codec,
    clock: Clock,
    opening: Opening,
  ) {
    this.#opening = opening
    this.#name = opening.name
    this.place = place
    this.#socket = socket
    this.#codec = codec
    this.#clock = clock
    opening.follow(socket)
    socket.on('error', (error) => this.destroy(error))
    socket.on('end', () => this.destroy(new Error(this.#opening?.whyClosed ?? 'the server closed the connection')))
    socket.on('close', () => this.destroy(new Error('the connection was closed')))
  }

  /**
   * Connects, authenticates where the address has credentials, and asks for the server's limits.
   *
   * @throws {ConnectError} within `openMs`, whatever happens.
   */
  static async open(
    { peer, whereabouts, clock, makeCodec, openMs, signal, date }: ConnectionOptions,
    opening: Opening,
  ): Promise<Connection> {
    const whyLate = (): Error => new Error(`no answer within ${String(openMs)} ms: ${opening.awaited}`)
    try {
      return await inTime({ clock, limitMs: openMs, whyLate, signal }, async (givenUp) => {
        const server = whereabouts === undefined ? peer.address : await opening.find(whereabouts.locate())
        const pem = await readPemFiles(server.tls)
        givenUp.throwIfAborted()
        // Nothing arrives before this function has made the connection of it.
        const receive = (chunk: Buffer): void => connection.#receive(chunk)
        const { socket, readyEvent } = dial(server, pem, receive)
        const codec = makeCodec({ socket, credentials: server.credentials, clock })
        const connection = new Connection(placeName(server), socket, codec, clock, opening)
        givenUp.addEventListener('abort', () => connection.destroy(givenUp.reason as Error), { once: true })
        await connection.#greet(readyEvent, date)
        if (whereabouts?.hasLeft(server) !== true) return connection
        connection.destroy(new Error('it has moved'))
        throw new MovedError('it has moved to another server in the meantime')
      })
    } catch (error) {
      const reason = error instanceof Error ? opening.reasonOf(error) : String(error)
      const hint = error instanceof AuthenticationError ? ' Check the user name and password of the save path.' : ''
      const failed = error instanceof UnsupportedStoreError ? reason : `Cannot connect to ${opening.name}: ${reason}`
      throw new ConnectError(`${failed}.${hint}`, opening.beganAtMs, { cause: error })
    }
  }

  /** The node's date of this connection: it may carry only a CAS that is dated this or later. */
  get openedAt(): number {
    return this.#openedAt
  }

  /** Whether nothing has come over it since then, and nothing is under way: it may be dead, and nobody knows. */
  isIdleSince(thenMs: number): boolean {
    return this.#done === undefined && this.#answeredAtMs < thenMs
  }

  /** When the last batch was written; the clock's monotonic milliseconds. */
  get sentAtMs(): number {
    return this.#sentAtMs
  }

  /** What the server told in the handshake. */
  get greeting(): Greeting | undefined {
    return this.#greeting
  }

  get alive(): boolean {
    return this.#death === undefined
  }

  /**
   * Writes a batch (the connection must be alive) and settles its flights, each as its own replies are complete.
   * `done` is called once, when the last one is settled or the connection is dead; until then nothing else may run.
   *
   * @param dueAtMs when to give up: then every flight without all its replies fails as 'unknown'.
   */
  run(batch: readonly Flight[], dueAtMs: number, done: () => void): void {
    this.#batch = batch
    this.#dueAtMs = dueAtMs
    this.#sentAtMs = this.#clock.nowMs()
    this.#done = done
    this.#socket.ref()
    this.#watch()
    try {
      this.#socket.write(this.#codec.encode(batch), 'latin1')
    } catch (error) {
      // Nobody above could tell what the codec has counted as sent.
      this.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }

  /** Gives the connection up; flights under way fail as 'unknown'. Idempotent. */
  destroy(cause: Error): void {
    if (this.#death !== undefined) return
    this.#giveUp(cause)
    this.#failOpening?.(cause)
    this.#finish(cause)
  }

  #giveUp(cause: Error): void {
    this.#death = cause
    this.#timer?.cancel()
    this.#socket.destroy()
  }

  #greet(readyEvent: 'connect' | 'secureConnect', date: ConnectionOptions['date']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#failOpening = reject
      this.#socket.once(readyEvent, () => {
        this.#codec.greet((greeting) => {
          const { flaw } = greeting
          if (flaw !== undefined) {
            this.destroy(new UnsupportedStoreError(`${this.#name}: ${flaw}`))
            return
          }
          this.#failOpening = undefined
          this.#opening = undefined
          this.#answeredAtMs = this.#clock.nowMs()
          this.#greeting = greeting
          this.#openedAt = date(greeting)
          this.#socket.unref()
          resolve()
        })
      })
    })
  }

  #receive(chunk: Buffer): void {
    if (this.#death !== undefined) return
    if (this.#done === undefined && this.#failOpening === undefined) {
      this.destroy(new Error('the server sent data that nothing was asked for'))
      return
    }
    try {
      this.#codec.feed(chunk)
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)))
      return
    }
    if (this.#codec.due > 0 || this.#done === undefined) return
    this.#socket.unref()
    this.#answeredAtMs = this.#clock.nowMs()
    if (this.#codec.isSpent === true) this.#giveUp(new Error('the server refuses to be written to'))
    this.#finish(undefined)
  }

  #finish(cause: Error | undefined): void {
    const done = this.#done
    if (done === undefined) return
    if (cause !== undefined) {
      for (const flight of this.#batch) {
        if (flight.settled) continue
        flight.fail(new FlightError('unknown', `No answer from ${this.#name}: ${cause.message}.`, { cause }))
      }
    }
    this.#batch = []
    this.#done = undefined
    done()
  }

  /** One timer for all batches: it is set again only when it fires, and only if there is something to wait for. */
  #watch(): void {
    if (this.#timer !== undefined) return
    const leftMs = Math.max(1, this.#dueAtMs - this.#clock.nowMs())
    // After the turn's I/O: a process that was held up finds timers due before it has read what is there.
    const expire = (): void => {
      if (this.#done !== undefined && this.#clock.nowMs() >= this.#dueAtMs) this.destroy(new Error('it did not answer in time'))
    }
    const check = (): void => {
      this.#timer = undefined
      if (this.#done === undefined || this.#death !== undefined) return
      if (this.#clock.nowMs() < this.#dueAtMs) this.#watch()
      else setImmediate(expire)
    }
    // In the background: while a batch runs, its socket keeps the process alive.
    this.#timer = this.#clock.setTimer(check, leftMs, { background: true })
  }
}
