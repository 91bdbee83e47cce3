import { InvalidOptionError } from '../../errors.js'
import { systemRandom } from '../../system/random.js'
import type { OpenOptions } from '../open-options.js'
import type { Place } from '../replicated/member.js'
import { createReplicatedWire, type ReplicatedWireOptions } from '../replicated/replicated-wire.js'
import type { Wire } from '../wire.js'
import { createMemcachedWire } from './memcached-wire.js'
import { createRanking, murmur3, type WeightedNode } from './rendezvous.js'
import { describeServer, nodeId, type ServerAddress } from './save-path.js'

/** One flight may take two rounds more, to try in order, if the first was quick: together they keep the deadline. */
const SHARE_OF_FLIGHT = 0.4
const SHORTEST_FLIGHT_MS = 10

/**
 * A wire that keeps each session on several of the servers: a wire to each of them, and the majority's word.
 *
 * @param list the name of the list. Default: one that follows from the servers. Another is for tests, which reach nodes in two ways.
 */
export function openReplicated(servers: readonly ServerAddress[], replicas: number, options: OpenOptions, list?: string): Wire {
  const { clock, flightMs, connections, onWarning, placement, isOfProcesses = never, isAdvice = never, markKey = '-lck' } = options
  if (placement !== undefined) throw new InvalidOptionError('php: PHP knows nothing of copies (replicas), and would change one of them alone.')
  const nodes = servers.flatMap((server) => {
    const { pipes, weight } = server
    const prefixes = pipes === undefined ? [''] : Array.from({ length: pipes }, (_pipe, index) => `n${String(index + 1)}/`)
    return prefixes.map((keyPrefix) => ({
      place: {
        name: describeServer(server) + (keyPrefix && `/${keyPrefix.slice(0, -1)}`),
        // Of its own for each pipe: a proxy answers in order, so that on a connection that all share one node that stands still would hold up the others.
        wire: createMemcachedWire({
          servers: [server],
          clock,
          flightMs: Math.max(Math.floor(flightMs * SHARE_OF_FLIGHT), SHORTEST_FLIGHT_MS),
          connections,
          onWarning,
        }),
        keyPrefix,
      } satisfies Place,
      id: nodeId(server) + keyPrefix,
      weight,
      change: server.change,
    }))
  })
  return createReplicatedWire({
    places: nodes.map(({ place }) => place),
    replicas,
    ...listsOf(nodes, replicas),
    ...(list === undefined ? {} : { list }),
    kindOf: (key) => (isAdvice(key) ? 'advice' : isOfProcesses(key) ? 'lock' : 'record'),
    markKey,
    clock,
    random: systemRandom,
    flightMs,
  })
}

interface Node extends WeightedNode {
  readonly change: ServerAddress['change']
}

/** The list; and of one that is being changed the one before as well. */
function listsOf(nodes: readonly Node[], replicas: number): Pick<ReplicatedWireOptions, 'list' | 'ranked' | 'has' | 'before'> {
  const without = (change: Node['change']): Required<Pick<ReplicatedWireOptions, 'list' | 'ranked' | 'has'>> => {
    const places = [...nodes.keys()].filter((place) => nodes[place]?.change !== change)
    const listed = places.flatMap((place) => nodes[place] ?? [])
    const ranking = createRanking(listed, replicas)
    return { list: listOf(listed, replicas), ranked: (route) => ranking(route).flatMap((at) => places[at] ?? []), has: (place) => places.includes(place) }
  }
  if (nodes.every(({ change }) => change === undefined)) return { list: listOf(nodes, replicas), ranked: createRanking(nodes, replicas) }
  return { ...without('leaves'), before: without('joins') }
}

/** The same in all processes, whatever the order of the servers: it decides nothing. */
function listOf(nodes: readonly WeightedNode[], replicas: number): string {
  const all = nodes.map(({ id, weight }) => `${id}*${String(weight)}`).sort().join(' ')
  const hash = [0, 1].map((seed) => murmur3(all, seed).toString(16).padStart(8, '0')).join('')
  return `${String(replicas)}of${String(nodes.length)}-${hash}`
}

const never = (): boolean => false
