/** The memcached wire: routes flights to nodes, and lets nothing through that would break a protocol's framing. */
import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { InvalidOptionError } from '../../errors.js'
import type { Clock } from '../../system/clock.js'
import { defaultDirectory } from '../../neighbours/door-directory.js'
import type { CycleSeat, CycleStart } from '../cycle.js'
import type { Placement } from '../placement.js'
import { systemRandom } from '../../system/random.js'
import { problemOfKey, problemOfTtl } from '../problems.js'
import { type Command, failLater, FlightError, type NodeStats, promised, type Receiver, type Wire, type WireWarning } from '../wire.js'
import { BINARY_VERSION, createBinaryCodec } from './binary-codec.js'
import type { MakeCodec } from '../socket/codec.js'
import { problemIn } from '../socket/framing.js'
import { checkNodeLimits } from '../socket/limits.js'
import { ServerNode } from '../socket/node.js'
import { probeOf } from '../socket/probe.js'
import { TrustByAge } from '../socket/trust.js'
import { dumpKeys } from './operator/key-dump.js'
import { createPhpRing } from './php-ring.js'
import { type PlacedNode, placedOn } from './placed-wire.js'
import { OwnVersions } from './own-versions.js'
import { createRendezvous } from './rendezvous.js'
import { maxValueBytes } from './item-size.js'
import { peerOf } from './peer.js'
import { nodeId, protocolOf, type ServerAddress } from './save-path.js'
import { fingerprintOf, ServerLists } from './server-lists.js'
import { createPortableCodec, createTextCodec, TEXT_VERSION } from './text-codec.js'
import { traitsOf } from './traits.js'

export interface MemcachedWireOptions {
  /** At least one; sessions are spread over them by rendezvous hashing of their route. */
  readonly servers: readonly ServerAddress[]
  readonly clock: Clock
  /** The deadline of one flight, queueing and connecting included, in milliseconds. Default 2000, 10 to 600 000. */
  readonly flightMs?: number
  /** The most connections to one server. Default 3, minimum 1. */
  readonly connections?: number
  /** Told what an operator should know, each thing once. */
  readonly onWarning?: ((warning: WireWarning) => void) | undefined
  /** Where other products that share the servers keep each key. Default: the node of a route keeps all its keys. */
  readonly placement?: Placement | undefined
  /** Where processes that share sessions leave the fingerprints of their lists of servers. Default: none is left. */
  readonly listsKey?: string | undefined
}

export interface MemcachedWire extends Wire {
  send(route: string, commands: readonly Command[], receiver: Receiver): void
  startCycle(route: string, start: CycleStart): CycleSeat
  /**
   * Node after node, each by a key dump on a connection of its own, whose keys are taken in before they are given.
   * Absent behind a proxy, which passes no key dump on.
   */
  keys?(prefix: string): AsyncIterable<string>
  /** By the node's address, without credentials. */
  stats(): Readonly<Record<string, NodeStats>>
}

interface Place {
  readonly node: ServerNode
  readonly version: RegExp
}

/**
 * Makes a wire; it connects when the first flight leaves.
 *
 * A node that does not answer is an error for the sessions that live there, never a move to another node.
 *
 * @throws {InvalidOptionError} when an option is out of its range.
 */
export function createMemcachedWire(options: MemcachedWireOptions): MemcachedWire {
  const { servers, clock, flightMs = 2000, connections = 3, onWarning: warn = () => undefined } = options
  if (servers.length === 0) throw new InvalidOptionError('servers: a memcached wire needs at least one server.')
  checkNodeLimits(flightMs, connections)
  const { placement } = options
  if (placement !== undefined && servers.some(({ via }) => via !== undefined)) {
    throw new InvalidOptionError('php: through a proxy (via) the lock of a session would be on another server than its record.')
  }
  const isPlaced = placement !== undefined && servers.length > 1
  if (isPlaced && placement.ring === 'single') {
    throw new InvalidOptionError(
      "savePath names several servers, and sessions of PHP's extension memcache can be shared on one server only: it keeps copies " +
        '(memcache.session_redundancy), and tries others when one fails.',
    )
  }
  const probeKey = (): string => `${options.listsKey ?? ''}-probe-${randomBytes(8).toString('hex')}`
  const places = servers.map((server): Place => {
    const { makeCodec, version } = dialectOf(server, probeKey)
    // A flight may have two legs there, and has to be over in time all the same.
    const legMs = isPlaced ? Math.max(Math.floor(flightMs / 2), 10) : flightMs
    return { node: new ServerNode({ peer: peerOf(server), trust: trustIn(server, legMs), clock, makeCodec, flightMs: legMs, connections, warn }), version }
  })
  const owner = createRendezvous(servers.map((server) => ({ id: nodeId(server), weight: server.weight })))
  const placeOf = (route: string): Place => {
    const place = places[owner(route)]
    if (place === undefined) throw new RangeError('no such server')
    return place
  }
  const shutDown = new AbortController()
  // Every list under way listens; Node would take more than ten for a leak.
  setMaxListeners(0, shutDown.signal)
  let closing: Promise<void> | undefined
  const nodes = places.map(({ node }) => node)
  const lists =
    options.listsKey === undefined
      ? undefined
      : new ServerLists({ nodes, fingerprint: fingerprintOf(servers), key: options.listsKey, clock, warn })

  function startCycle(route: string, start: CycleStart): CycleSeat {
    const { node } = placeOf(route)
    const problem = problemOfKey(start.lockKey) ?? problemOfKey(start.recordKey) ?? problemOfTtl(start.leaseSec)
    return node.start(start, problem)
  }

  function send(route: string, commands: readonly Command[], receiver: Receiver): void {
    const { node, version } = placeOf(route)
    const problem = problemIn(commands, version)
    if (problem !== undefined) failLater(receiver, new FlightError('not-sent', problem))
    else if (commands.length > 0 || closing !== undefined) node.send(commands, receiver)
    else queueMicrotask(() => receiver.landed([]))
  }

  async function *keys(prefix: string): AsyncGenerator<string> {
    for (const server of servers) {
      if (shutDown.signal.aborted) throw new FlightError('not-sent', 'The connections were closed.')
      yield* await dumpKeys({ server, clock, silenceMs: flightMs, signal: shutDown.signal }, prefix)
    }
  }

  const wire: MemcachedWire = {
    flight: (route, commands) => promised((told) => send(route, commands, told)),
    send,
    startCycle,
    maxValueBytes: (route, key) => maxValueBytes(placeOf(route).node, key),
    ...(servers.some(({ via }) => via !== undefined) ? {} : { keys }),
    // memcached expires its items by itself.
    sweep: () => 0,
    close(): Promise<void> {
      shutDown.abort(new FlightError('not-sent', 'The connections were closed.'))
      lists?.close()
      closing ??= Promise.all(nodes.map((node) => node.close())).then(() => undefined)
      return closing
    },
    store: traitsOf(servers[0]?.via),
    meetingPlace: defaultDirectory(),
    nodeOf: (route) => placeOf(route).node.observed,
    probes: () => nodes.map(probeOf),
    stats: () => Object.fromEntries(nodes.map((node) => [node.name, node.stats])),
  }
  if (!isPlaced) return wire
  const placed = places.map(({ node, version }): PlacedNode => ({ node, problemOf: (commands) => problemIn(commands, version) }))
  return { ...wire, ...placedOn(placed, placement, createPhpRing(servers, placement.ring)) }
}

/** Behind a proxy a server restarts unseen: see `trust.ts`. */
const trustIn = ({ via }: ServerAddress, flightMs: number): 'process' | TrustByAge =>
  via === undefined ? 'process' : new TrustByAge(flightMs)

function dialectOf(server: ServerAddress, probeKey: () => string): { makeCodec: MakeCodec; version: RegExp } {
  if (server.via !== undefined) {
    const own = server.hasOwnVersions ? new OwnVersions(systemRandom, probeKey) : undefined
    return { makeCodec: createPortableCodec(probeKey, own), version: TEXT_VERSION }
  }
  return protocolOf(server) === 'text'
    ? { makeCodec: createTextCodec, version: TEXT_VERSION }
    : { makeCodec: createBinaryCodec, version: BINARY_VERSION }
}
