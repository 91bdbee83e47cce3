/** The Redis wire: one server at a time, and nothing let through that would break its framing. */
import { defaultDirectory } from '../../neighbours/door-directory.js'
import type { Clock } from '../../system/clock.js'
import { systemRandom } from '../../system/random.js'
import type { CycleSeat, CycleStart } from '../cycle.js'
import { problemOfKey, problemOfTtl } from '../problems.js'
import { problemIn } from '../socket/framing.js'
import { checkNodeLimits } from '../socket/limits.js'
import { ServerNode } from '../socket/node.js'
import { probeOf } from '../socket/probe.js'
import { type Command, failLater, FlightError, type NodeStats, promised, type Receiver, type Wire, type WireWarning } from '../wire.js'
import { VERSION } from './item.js'
import { RedisCodec } from './redis-codec.js'
import { handshakeWith } from './handshake.js'
import { RedisPost } from './redis-post.js'
import { peerOf, type RedisServer, type WatchedRedis } from './save-path.js'
import { keysOf } from './scan.js'
import { Sentinels } from './sentinel/sentinels.js'
import { largestValueBytes, REDIS } from './traits.js'

export interface RedisWireOptions {
  readonly server: RedisServer | WatchedRedis
  readonly clock: Clock
  /** The deadline of one flight, queueing and connecting included, in milliseconds. Default 2000, 10 to 600 000. */
  readonly flightMs?: number
  /** The most connections. Default 3, minimum 1. */
  readonly connections?: number
  /** Whether a key tells of running processes alone (a lock), which need no copies. Default: none does. */
  readonly isOfProcesses?: ((key: string) => boolean) | undefined
  /** Told what an operator should know, each thing once. */
  readonly onWarning?: ((warning: WireWarning) => void) | undefined
}

export interface RedisWire extends Wire {
  send(route: string, commands: readonly Command[], receiver: Receiver): void
  startCycle(route: string, start: CycleStart): CycleSeat
  keys(prefix: string): AsyncIterable<string>
  stats(): Readonly<Record<string, NodeStats>>
}

/** One server, or the one of several that takes writes, and how it is spoken to. */
export function createRedisNode(options: RedisWireOptions): ServerNode {
  const { server, clock, flightMs = 2000, connections = 3, onWarning: warn = () => undefined, isOfProcesses = () => false } = options
  const { database, isOfCluster, replicas } = server
  // Half of the deadline, so that the answer to it comes before it.
  const copies = replicas === 0 ? undefined : { replicas, waitMs: Math.ceil(flightMs / 2), isOfProcesses }
  checkNodeLimits(flightMs, connections)
  const whereabouts = 'sentinels' in server ? new Sentinels({ watched: server, clock, flightMs }) : undefined
  const handshake = handshakeWith({ database, isOfCluster, isWatched: whereabouts !== undefined })
  return new ServerNode({
    peer: peerOf(server),
    whereabouts,
    trust: 'always',
    clock,
    makeCodec: (context) => new RedisCodec(context, { handshake, copies, random: systemRandom }),
    flightMs,
    connections,
    warn,
  })
}

/**
 * Makes a wire; it connects when the first flight leaves.
 *
 * @throws {InvalidOptionError} when an option is out of its range.
 */
export function createRedisWire(options: RedisWireOptions): RedisWire {
  const node = createRedisNode(options)
  const post = new RedisPost({ locate: () => node.locate(), node: () => node, clock: options.clock })
  let closing: Promise<void> | undefined

  function send(_route: string, commands: readonly Command[], receiver: Receiver): void {
    const problem = problemIn(commands, VERSION)
    if (problem !== undefined) failLater(receiver, new FlightError('not-sent', problem))
    else if (commands.length > 0 || closing !== undefined) node.send(commands, receiver)
    else queueMicrotask(() => receiver.landed([]))
  }

  return {
    flight: (route, commands) => promised((told) => send(route, commands, told)),
    send,
    startCycle: (_route, start) =>
      node.start(start, problemOfKey(start.lockKey) ?? problemOfKey(start.recordKey) ?? problemOfTtl(start.leaseSec)),
    maxValueBytes: (_route, key) => largestValueBytes(key),
    keys: (prefix) => keysOf(node, prefix),
    // Redis expires its items by itself.
    sweep: () => 0,
    close() {
      post.close()
      return (closing ??= node.close())
    },
    store: REDIS,
    meetingPlace: defaultDirectory(),
    post,
    nodeOf: () => node.observed,
    probes: () => [probeOf(node)],
    stats: () => ({ [node.name]: node.stats }),
  }
}
