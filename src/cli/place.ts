/** Where a command works: the servers, and the sessions on them. */
import { createHash } from 'node:crypto'
import { KeyLayout } from '../lock/key-layout.js'
import { nodeId, type ServerAddress } from '../wire/memcached/save-path.js'
import type { RecordFormat } from '../session/record-format.js'
import { SessionManager } from '../session/session-manager.js'
import { type Clock, systemClock } from '../system/clock.js'
import { createMemcachedWire, type MemcachedWire } from '../wire/memcached/memcached-wire.js'
import { OperatorConnection } from '../wire/memcached/operator/operator-connection.js'
import { createRendezvous } from '../wire/memcached/rendezvous.js'

export interface PlaceOptions {
  /** How records are decoded. */
  readonly format: RecordFormat
  readonly servers: readonly ServerAddress[]
  readonly prefix: string
  readonly deadlineMs: number
  readonly signal: AbortSignal
  readonly wallMs: () => number
}

export class Place implements AsyncDisposable {
  readonly format: RecordFormat
  readonly servers: readonly ServerAddress[]
  readonly wire: MemcachedWire
  readonly layout: KeyLayout
  readonly manager: SessionManager
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly deadlineMs: number
  private readonly owner: (route: string) => number

  /** @throws LATCHKEY_INVALID_OPTION: the prefix. Connects to nothing yet. */
  constructor({ format, servers, prefix, deadlineMs, signal, wallMs }: PlaceOptions) {
    this.format = format
    this.servers = servers
    this.signal = signal
    this.deadlineMs = deadlineMs
    this.clock = { ...systemClock, wallMs }
    // A call takes three flights at the most.
    const flightMs = Math.floor(deadlineMs / 3)
    this.wire = createMemcachedWire({ servers, clock: this.clock, flightMs, connections: 1 })
    this.layout = new KeyLayout(prefix)
    this.manager = new SessionManager({ wire: this.wire, clock: this.clock, prefix, deadlineMs })
    this.owner = createRendezvous(servers.map((server) => ({ id: nodeId(server), weight: server.weight })))
  }

  /** The server that keeps a session. */
  serverOf(id: string): ServerAddress {
    const server = this.servers[this.owner(id)]
    if (server === undefined) throw new RangeError('no such server')
    return server
  }

  /** A connection for questions about a server. Errors as of OperatorConnection.open(). */
  ask(server: ServerAddress): Promise<OperatorConnection> {
    const { clock, signal, deadlineMs } = this
    return OperatorConnection.open({ server, clock, signal, silenceMs: deadlineMs })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.manager.close({ graceMs: 0 })
  }
}

/**
 * A session for the eyes of people: the same in every run, so that two lists can be compared. Without a key: an id has
 * 160 random bits, and what has none is no secret either.
 */
export const nameOf = (id: string): string => createHash('sha256').update(id).digest('hex').slice(0, 12)
