/** The connections of one node, kept by generic-pool: last in, first out, so that few connections do all the work. */
import { createPool, type Pool } from 'generic-pool'
import type { Clock } from '../../system/clock.js'
import { Connection, type ConnectionOptions } from './connection.js'
import { ConnectError, MovedError, Opening } from './opening.js'

export interface PoolOptions extends Omit<ConnectionOptions, 'signal'> {
  readonly clock: Clock
  /** How many connections may be open at a time. */
  readonly max: number
}

/** At most one attempt to connect is made in this time. Without it a dead server would be called without a pause. */
const ATTEMPT_EVERY_MS = 50

/**
 * A failed attempt to connect. The pool hands it out in place of a connection when no connection is alive, so that
 * whoever waits learns the reason at once. A `create` that rejects would tell nobody, and generic-pool would try again
 * at once.
 */
class Failure {
  constructor(
    readonly error: ConnectError,
    readonly atMs: number,
  ) {}
}

export class ConnectionPool {
  readonly #pool: Pool<Connection | Failure>
  readonly #options: PoolOptions
  readonly #closing = new AbortController()
  readonly #connections = new Set<Connection>()
  #nextAttemptMs = -Infinity
  #lastFailure: Failure | undefined
  #opening: Opening | undefined

  constructor(options: PoolOptions) {
    this.#options = options
    this.#pool = createPool<Connection | Failure>(
      {
        create: () => this.#create(),
        destroy: (resource) => {
          if (resource instanceof Connection) this.#discard(resource, 'the connection is of no use any more')
          return Promise.resolve()
        },
        validate: (resource) => Promise.resolve(resource instanceof Failure ? this.#isNews(resource) : resource.alive),
      },
      {
        max: options.max,
        fifo: false,
        testOnBorrow: true,
        // The node waits for one connection at a time.
        maxWaitingClients: 1,
      },
    )
  }

  /**
   * Borrows a live connection for one batch. Give it back with `giveBack`.
   *
   * Waits while other connections are alive, because one of them may become free: the caller needs a deadline of its
   * own.
   *
   * @throws {ConnectError} as soon as an attempt to connect has failed and no connection is alive.
   */
  async borrow(): Promise<Connection> {
    const resource = await this.#pool.acquire()
    if (resource instanceof Connection) return resource
    void this.#pool.destroy(resource)
    throw resource.error
  }

  /** Takes a connection back; a dead connection is thrown away. */
  giveBack(connection: Connection): void {
    void (connection.alive ? this.#pool.release(connection) : this.#pool.destroy(connection))
  }

  /** Destroys every connection: idle, busy or being opened. Call it only once. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the wire was closed'))
    for (const connection of this.#connections) this.#discard(connection, 'the wire was closed')
    await this.#pool.drain()
    await this.#pool.clear()
  }

  /**
   * Opens a connection. While other connections are alive, a failed attempt is followed by another one: whoever waits
   * gets the new connection, or one that is given back before. Where a server has moved there is one to be had elsewhere.
   */
  async #create(): Promise<Connection | Failure> {
    for (;;) {
      const resource = await this.#attempt()
      if (resource instanceof Connection) return resource
      const hasMoved = resource.error.cause instanceof MovedError
      if ((this.size === 0 && !hasMoved) || this.#pool.pending === 0) return resource
    }
  }

  async #attempt(): Promise<Connection | Failure> {
    const { clock } = this.#options
    const waitMs = this.#nextAttemptMs - clock.nowMs()
    if (waitMs > 0) await new Promise<void>((resolve) => clock.setTimer(resolve, waitMs))
    try {
      const opening = new Opening(this.#options.peer, clock.nowMs())
      this.#opening = opening
      const connection = await Connection.open({ ...this.#options, signal: this.#closing.signal }, opening)
      this.#connections.add(connection)
      this.leaveOthers(connection.place)
      return connection
    } catch (cause) {
      const error = cause instanceof ConnectError ? cause : new ConnectError(String(cause), clock.nowMs(), { cause })
      this.#nextAttemptMs = clock.nowMs() + ATTEMPT_EVERY_MS
      this.#lastFailure = new Failure(error, clock.nowMs())
      return this.#lastFailure
    } finally {
      this.#opening = undefined
    }
  }

  /** Whether to hand out a failed attempt: not while a connection is alive, and not to callers that come later. */
  #isNews({ atMs }: Failure): boolean {
    return this.size === 0 && this.#options.clock.nowMs() - atMs < ATTEMPT_EVERY_MS
  }

  /** Why no connection has been free since `thenMs`; undefined where the reason is only that all of them are busy. */
  obstacleSince(thenMs: number): ConnectError | undefined {
    if (this.#lastFailure !== undefined && this.#lastFailure.atMs >= thenMs) return this.#lastFailure.error
    if (this.#opening === undefined || this.size > 0) return undefined
    const { name, awaited, beganAtMs } = this.#opening
    return new ConnectError(`Cannot connect to ${name}: ${awaited}.`, beganAtMs)
  }

  /**
   * Gives up the connections that have received nothing since `thenMs`. Call it when a flight on another connection was
   * not answered: these connections may be dead as well, and each would cost a flight its deadline.
   */
  doubt(thenMs: number): void {
    for (const connection of this.#connections) {
      if (connection.isIdleSince(thenMs)) this.#discard(connection, 'it was idle when another connection went unanswered')
    }
  }

  /** How many connections are open, idle or busy. */
  get size(): number {
    let size = 0
    for (const { alive } of this.#connections) if (alive) size++
    return size
  }

  /** Whether a connection to the server process `process` is open, idle or busy. */
  knows(process: string): boolean {
    for (const { alive, greeting } of this.#connections) if (alive && greeting?.process === process) return true
    return false
  }

  /** Gives up all connections that do not lead to the server process `process`. */
  forgetOthers(process: string): void {
    for (const connection of this.#connections) {
      if (connection.greeting?.process !== process) this.#discard(connection, 'the server was restarted or replaced')
    }
  }

  /** Gives up all connections that do not lead to that place: what is done elsewhere counts no more. */
  leaveOthers(place: string): void {
    for (const connection of this.#connections) {
      if (connection.place !== place) this.#discard(connection, `the primary is at ${place} now`)
    }
  }

  #discard(connection: Connection, why: string): void {
    this.#connections.delete(connection)
    connection.destroy(new Error(why))
  }
}
