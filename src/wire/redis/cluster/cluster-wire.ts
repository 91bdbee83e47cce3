/** The wire to a Redis Cluster: each flight goes to the node that serves the slot of its keys. */
import { defaultDirectory } from '../../../neighbours/door-directory.js'
import { legsOf, sendLegs } from '../../legs.js'
import { problemIn } from '../../socket/framing.js'
import { checkNodeLimits } from '../../socket/limits.js'
import type { ServerNode } from '../../socket/node.js'
import { refused } from '../../socket/server-errors.js'
import { type Command, failLater, FlightError, type NodeStats, promised, type Receiver, type Wire } from '../../wire.js'
import { ask } from '../ask.js'
import { VERSION } from '../item.js'
import { RedisPost } from '../redis-post.js'
import { createRedisNode, type RedisWireOptions } from '../redis-wire.js'
import { isError } from '../resp.js'
import { largestValueBytes, REDIS_CLUSTER } from '../traits.js'
import { ClusterFlight } from './cluster-flight.js'
import { ClusterNodes } from './cluster-nodes.js'
import { keysOfCluster } from './cluster-scan.js'
import type { Seeds } from './cluster-path.js'
import { slotOf } from './slot.js'

/** As of one server; so many connections to each node. */
export interface ClusterWireOptions extends Omit<RedisWireOptions, 'server'> {
  readonly seeds: Seeds
}

export interface ClusterWire extends Wire {
  send(route: string, commands: readonly Command[], receiver: Receiver): void
  keys(prefix: string): AsyncIterable<string>
  stats(): Readonly<Record<string, NodeStats>>
}

/**
 * Makes a wire; it connects when the first flight leaves.
 *
 * @throws {InvalidOptionError} when an option is out of its range.
 */
export function createClusterWire(options: ClusterWireOptions): ClusterWire {
  const { seeds, clock, flightMs = 2000, connections = 3, onWarning, isOfProcesses } = options
  checkNodeLimits(flightMs, connections)
  const nodes = new ClusterNodes({
    seeds,
    clock,
    flightMs,
    makeNode: (server) => createRedisNode({ server, clock, flightMs, connections, onWarning, isOfProcesses }),
  })
  // A node tells the others what is published, so any will do.
  const post = new RedisPost({ locate: () => nodes.someServer(), node: () => nodes.first, clock })
  const ground = { nodes, clock, flightMs }
  let closing: Promise<void> | undefined
  const slotOfRoute = (route: string): number => slotOf(`{${route}}`)

  function send(_route: string, commands: readonly Command[], receiver: Receiver): void {
    const problem = closing === undefined ? problemIn(commands, VERSION) : 'The connections to the cluster are closed.'
    if (problem !== undefined) failLater(receiver, new FlightError('not-sent', problem))
    else sendLegs(legsOf(commands, slotOf), (leg, told) => new ClusterFlight(ground, leg.node, leg.commands, told).begin(), receiver)
  }

  return {
    flight: (route, commands) => promised((told) => send(route, commands, told)),
    send,
    maxValueBytes: (_route, key) => largestValueBytes(key),
    keys: (prefix) => keysOfCluster(nodes, prefix),
    // Redis expires its items by itself.
    sweep: () => 0,
    close() {
      post.close()
      return (closing ??= nodes.close())
    },
    store: REDIS_CLUSTER,
    meetingPlace: defaultDirectory(),
    post,
    nodeOf: (route) => (nodes.ownerOf(slotOfRoute(route)) ?? nodes.first).observed,
    probes: () => (nodes.primaries.length === 0 ? [nodes.first] : nodes.primaries).map((node) => ({ name: node.name, ask: () => answered(node) })),
    stats: () => nodes.stats,
  }
}

/** @throws {FlightError} it does not answer, or cannot serve now. */
async function answered(node: ServerNode): Promise<void> {
  const reply = await ask(node, 'PING')
  if (isError(reply)) throw refused(reply.error)
}
