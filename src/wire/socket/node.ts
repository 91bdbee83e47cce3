/**
 * One server: gathers the flights of an event-loop turn into a batch, borrows one connection for it, and
 * refuses a CAS that is older than that connection.
 */
import type { ObservedNode } from '../../observe/channels.js'
import type { Clock, Timer } from '../../system/clock.js'
import type { CycleSeat, CycleStart } from '../cycle.js'
import { type Command, FlightError, type NodeStats, promised, type Receiver, type Reply, type WireWarning } from '../wire.js'
import { type Peer, placeName, type SocketAddress } from './address.js'
import type { MakeCodec } from './codec.js'
import type { Connection } from './connection.js'
import { StartFlight } from './cycle-flights.js'
import { CommandFlight, type Flight } from './flight.js'
import type { Greeting } from './greeting.js'
import { ConnectError } from './opening.js'
import { ConnectionPool } from './pool.js'
import { TrustByAge } from './trust.js'
import type { Whereabouts } from './whereabouts.js'

export interface NodeOptions {
  readonly peer: Peer
  /** Where the server is. Default: always at the peer's address. */
  readonly whereabouts?: Whereabouts | undefined
  /**
   * Which versions may be sent on which connection. `process`: those that were read over a connection to the same process
   * of the server, which counts from 1 again when it is restarted. `always`: the server's versions never repeat.
   */
  readonly trust: 'process' | 'always' | TrustByAge
  readonly clock: Clock
  readonly makeCodec: MakeCodec
  /** The deadline of one flight, from `flight()` to its settling. */
  readonly flightMs: number
  /** The most connections at a time. */
  readonly connections: number
  readonly warn: (warning: WireWarning) => void
}

/** Of a restarted server's earlier processes so many are remembered. */
const KNOWN_PROCESSES = 16

// A batch holds its connection until its last reply, so a giant one would make small flights wait.
const BATCH_BYTES = 256 * 1024
const BATCH_FLIGHTS = 256

export class ServerNode {
  readonly name: string
  #observed: ObservedNode
  readonly #counters = { flights: 0, commands: 0, failed: 0, batches: 0, connectionsOpened: 0 }
  readonly #clock: Clock
  readonly #flightMs: number
  /** What is left of a deadline when a flight is not worth sending any more: a quarter, for the server to answer in. */
  readonly #answerMs: number
  readonly #pool: ConnectionPool
  readonly #whereabouts: Whereabouts | undefined
  #pending: Flight[] = []
  #scheduled = false
  #borrowing = false
  /** The connection of the last batch, kept for the next one: going by way of the pool takes longer than a batch of one. */
  #kept: Connection | undefined
  #timer: Timer | undefined
  /** When the first flight of this turn came: one look at the clock serves them all. */
  #turnMs = 0
  #ordinal = 0
  #itemSizeMaxBytes: number | undefined
  /** The server's processes so far, the present one last. */
  #processes: readonly string[] = []
  #closed = false
  /** Where the server is now, for connections that carry no flights. */
  readonly locate: () => SocketAddress | Promise<SocketAddress>
  readonly #warn: NodeOptions['warn']
  readonly #trust: NodeOptions['trust']
  readonly #system: string

  constructor({ peer, whereabouts, trust, clock, makeCodec, flightMs, connections, warn }: NodeOptions) {
    this.#warn = warn
    this.name = peer.name
    this.#observed = observedOf(peer, peer.address)
    this.#whereabouts = whereabouts
    this.locate = () => whereabouts?.locate() ?? peer.address
    this.#clock = clock
    this.#flightMs = flightMs
    this.#trust = trust
    this.#system = peer.system
    this.#answerMs = flightMs / 4
    const seen = (address: SocketAddress): SocketAddress => {
      this.#observed = observedOf(peer, address)
      return address
    }
    this.#pool = new ConnectionPool({
      peer,
      whereabouts: whereabouts && {
        locate: async () => seen(await whereabouts.locate()),
        hasLeft: (address) => whereabouts.hasLeft(address),
      },
      clock,
      makeCodec,
      openMs: flightMs - this.#answerMs,
      max: connections,
      date: (greeting) => this.#date(greeting),
    })
    whereabouts?.follow((address) => this.#pool.leaveOthers(placeName(seen(address))))
  }

  send(commands: readonly Command[], receiver: Receiver): void {
    this.queue(new CommandFlight(commands, receiver))
  }

  /** @param problem why it must not be sent. */
  start(start: CycleStart, problem: string | undefined): CycleSeat {
    const flight = new StartFlight(start, this)
    if (problem === undefined) this.queue(flight)
    else flight.fail(new FlightError('not-sent', problem))
    return flight
  }

  /** It is written with all others of this turn of the event loop. */
  queue(flight: Flight): void {
    if (this.#closed) {
      flight.fail(new FlightError('not-sent', `The connections to ${this.name} are closed.`))
      return
    }
    this.#counters.flights += 1
    this.#counters.commands += flight.size
    this.#schedule()
    flight.dueAtMs = Math.min(this.#turnMs + this.#flightMs, flight.latestMs ?? Infinity)
    this.#pending.push(flight)
  }

  flight(commands: readonly Command[]): Promise<Reply[]> {
    return promised((told) => this.queue(new CommandFlight(commands, told)))
  }

  /** For events: where it is, as far as is known. */
  get observed(): ObservedNode {
    return this.#observed
  }

  get isConnected(): boolean {
    return this.#pool.size > 0
  }

  get stats(): NodeStats {
    return { ...this.#counters, connections: this.#pool.size }
  }

  /** As the server told it last; undefined before it did. */
  get itemSizeMaxBytes(): number | undefined {
    return this.#itemSizeMaxBytes
  }

  /** Rejects what is pending and destroys every connection. To be called once. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    this.#failPending(`The connections to ${this.name} were closed.`)
    if (this.#kept !== undefined) this.#pool.giveBack(this.#kept)
    this.#kept = undefined
    await Promise.all([this.#pool.close(), this.#whereabouts?.close()])
  }

  /**
   * Dates a new connection. It may carry what was read before it was opened only if it certainly leads to the process
   * that older connections, still open, lead to: a pool that grows makes no CAS worthless, a restart makes all so.
   */
  #date({ process }: Greeting): number {
    this.#counters.connectionsOpened += 1
    if (this.#trust instanceof TrustByAge) return this.#clock.nowMs()
    if (this.#trust === 'always') {
      if (process !== undefined && !this.#pool.knows(process)) this.#pool.forgetOthers(process)
      return this.#ordinal
    }
    if (process !== undefined) {
      if (this.#pool.knows(process)) return this.#ordinal
      this.#pool.forgetOthers(process)
      this.#note(process)
    }
    return ++this.#ordinal
  }

  /** A process that has ended does not come back: if it seems to, there are two servers, and sessions on each of them. */
  #note(process: string): void {
    if (this.#processes.at(-1) === process) return
    if (this.#processes.includes(process)) {
      this.#warn({
        code: 'LATCHKEY_TWO_SERVERS',
        node: this.name,
        message:
          `${this.name} leads now to one ${this.#system} and now to another (a name with several addresses, or a balancer ` +
          'between). A session is found on one of them only, and its lock holds on one only. Name each server by an ' +
          'address of its own, separated by commas.',
      })
    }
    this.#processes = [...this.#processes.filter((one) => one !== process), process].slice(-KNOWN_PROCESSES)
  }

  /** After the turn's I/O callbacks and all that they set off, so that the whole turn is in one write. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#turnMs = this.#clock.nowMs()
    if (this.#borrowing) return
    this.#scheduled = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#scheduled = false
    this.#putOff(this.#clock.nowMs() - this.#turnMs)
    const kept = this.#kept
    if (kept === undefined || this.#pending.length === 0) {
      this.#borrow()
    } else {
      this.#kept = undefined
      this.#send(kept)
    }
  }

  /** A turn that took long (thousands of requests that came at once, say) is no fault of the server. */
  #putOff(turnTookMs: number): void {
    if (turnTookMs < this.#answerMs / 2) return
    for (const flight of this.#pending) flight.dueAtMs += turnTookMs
  }

  #borrow(): void {
    this.#borrowing = this.#pending.length > 0
    if (!this.#borrowing) return
    this.#watch()
    this.#pool.borrow().then(this.#send, this.#fail)
  }

  readonly #send = (connection: Connection): void => {
    this.#borrowing = false
    if (connection.alive) {
      this.#run(connection, this.#nextBatch(connection))
    } else {
      this.#pool.giveBack(connection)
    }
    // What is left now was more than a batch.
    this.#borrow()
  }

  #run(connection: Connection, batch: readonly Flight[]): void {
    this.#itemSizeMaxBytes = connection.greeting?.itemSizeMaxBytes ?? this.#itemSizeMaxBytes
    const [first] = batch
    if (first === undefined) {
      this.#pool.giveBack(connection)
      return
    }
    this.#counters.batches += 1
    connection.run(batch, earliest(batch), () => {
      if (!connection.alive) this.#unanswered(batch, connection.sentAtMs)
      // Not if a batch waits for one.
      if (!connection.alive || this.#borrowing || this.#kept !== undefined || this.#closed) this.#pool.giveBack(connection)
      else this.#kept = connection
    })
  }

  #unanswered(batch: readonly Flight[], sentAtMs: number): void {
    const failed = this.#counters.failed
    for (const flight of batch) if (!flight.isAnswered) this.#counters.failed += 1
    if (this.#counters.failed > failed) this.#pool.doubt(sentAtMs)
  }

  /** Takes from what is pending, in its order: as much as a batch holds. */
  #nextBatch(connection: Connection): Flight[] {
    const nowMs = this.#clock.nowMs()
    if (this.#trust instanceof TrustByAge) this.#ordinal = nowMs
    const batch: Flight[] = []
    let bytes = 0
    let taken = 0
    for (const flight of this.#pending) {
      const more = flight.bytes
      if (batch.length >= BATCH_FLIGHTS || (bytes > 0 && bytes + more > BATCH_BYTES)) break
      taken += 1
      if (this.#isLate(flight, nowMs) || !this.#isTrusted(flight, connection, nowMs)) continue
      flight.asOf = this.#ordinal
      bytes += more
      batch.push(flight)
    }
    this.#pending = taken === this.#pending.length ? [] : this.#pending.slice(taken)
    return batch
  }

  readonly #fail = (cause: unknown): void => {
    // Who came while the attempt was under way is owed one that begins later: the server may be back by now.
    const untilMs = cause instanceof ConnectError ? cause.beganAtMs : Infinity
    this.#failPending(cause instanceof Error ? cause.message : String(cause), cause, untilMs)
    this.#borrow()
  }

  /** Fails what was queued until that moment. */
  #failPending(message: string, cause?: unknown, untilMs = Infinity): void {
    const all = this.#pending
    this.#pending = all.filter((flight) => flight.dueAtMs - this.#flightMs > untilMs)
    for (const flight of all) {
      if (flight.dueAtMs - this.#flightMs <= untilMs) this.#refuse(flight, message, { cause })
    }
  }

  #refuse(flight: Flight, message: string, options?: { readonly cause?: unknown; readonly untrusted?: boolean }): void {
    this.#counters.failed += 1
    flight.fail(new FlightError('not-sent', message, options))
  }

  /** Fails a flight that waited too long to be sent. */
  #isLate(flight: Flight, nowMs: number): boolean {
    if (flight.settled) return true
    if (nowMs < flight.dueAtMs - this.#answerMs) return false
    const cause = this.#pool.obstacleSince(flight.dueAtMs - this.#flightMs)
    const why = cause?.message ?? 'All that are open wait for its answers: it is slow, or stands still.'
    this.#refuse(flight, `No connection to ${this.name} came free in time. ${why}`, { cause })
    return true
  }

  /** Fails a flight with a CAS from before this connection: the server may have restarted and reuse its number. */
  #isTrusted(flight: Flight, connection: Connection, nowMs: number): boolean {
    if (this.#trust === 'always') return true
    const isYounger = flight.oldestAsOf < connection.openedAt
    if (!isYounger && (this.#trust === 'process' || this.#trust.isTrusted(flight.oldestAsOf, nowMs))) return true
    const message = isYounger
      ? `The connection to ${this.name} is younger than the CAS that was to be sent; read it again.`
      : `The CAS that was to be sent to ${this.name} is too old to be sent through a proxy; read it again.`
    this.#refuse(flight, message, { untrusted: true })
    return false
  }

  /** One timer for all that is pending: set again when it fires, only while something waits. */
  #watch(): void {
    if (this.#timer !== undefined || this.#pending.length === 0) return
    const expire = (): void => {
      this.#timer = undefined
      const nowMs = this.#clock.nowMs()
      this.#pending = this.#pending.filter((flight) => !this.#isLate(flight, nowMs))
      this.#watch()
    }
    // After the turn's I/O: a process that was held up finds timers due before it has seen that it is connected.
    const check = (): void => void setImmediate(expire)
    // In the background: what a borrow waits for (an attempt to connect, a batch) keeps the process alive.
    const leftMs = Math.max(1, earliest(this.#pending) - this.#answerMs - this.#clock.nowMs())
    this.#timer = this.#clock.setTimer(check, leftMs, { background: true })
  }
}

/** When the first of them must have settled. */
function earliest(flights: readonly Flight[]): number {
  let dueAtMs = Infinity
  for (const flight of flights) if (flight.dueAtMs < dueAtMs) dueAtMs = flight.dueAtMs
  return dueAtMs
}

function observedOf({ name, system }: Peer, { endpoint }: SocketAddress): ObservedNode {
  if (endpoint.kind === 'unix') return { name, system, address: endpoint.path, port: undefined }
  return { name, system, address: endpoint.host, port: endpoint.port }
}
