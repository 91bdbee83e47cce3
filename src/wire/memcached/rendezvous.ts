/**
 * Weighted rendezvous hashing. Each node gets a score for each route, and the node with the highest score owns the
 * route. So a node that is added or removed moves its own share of the routes, and no other.
 */

export interface WeightedNode {
  /** The node's name in the hash. It must be the same in all processes, and after a restart. */
  readonly id: string
  /** The node's share of the routes relative to the other nodes; above 0. */
  readonly weight: number
}

/** Makes a function from a route to the index of the node that owns it. `nodes` must not be empty. */
export function createRendezvous(nodes: readonly WeightedNode[]): (route: string) => number {
  if (nodes.length === 1) return () => 0
  const seeds = nodes.map(({ id, weight }) => ({ seed: murmur3(id, 0), weight }))
  return (route) => {
    const hash = murmur3(route, 0)
    let owner = 0
    let best = -Infinity
    seeds.forEach(({ seed, weight }, index) => {
      // Ties go to the first in the list.
      const score = scoreOf(hash ^ seed, weight)
      if (score > best) {
        best = score
        owner = index
      }
    })
    return owner
  }
}

/** Makes a function from a route to the indices of its `count` nodes: the owner, and those that would own it if that were away. */
export function createRanking(nodes: readonly WeightedNode[], count: number): (route: string) => readonly number[] {
  const seeds = nodes.map(({ id, weight }) => ({ seed: murmur3(id, 0), weight }))
  return (route) => {
    const hash = murmur3(route, 0)
    const scores = seeds.map(({ seed, weight }, index) => ({ index, score: scoreOf(hash ^ seed, weight) }))
    scores.sort((one, other) => other.score - one.score || one.index - other.index)
    return scores.slice(0, count).map(({ index }) => index)
  }
}

/**
 * Mixing is enough: the route is hashed once, however many nodes there are. Schindelhauer and Schomaker, "Weighted
 * distributed hash tables" (SPAA 2005): the logarithmic method.
 */
const scoreOf = (hash: number, weight: number): number => -weight / Math.log((mix(hash) + 0.5) / 0x1_0000_0000)

/**
 * The MurmurHash3_x86_32 of the string's UTF-8 bytes, as an unsigned 32-bit integer.
 *
 * Austin Appleby's, public domain: https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp
 */
export function murmur3(text: string, seed: number): number {
  const bytes = Buffer.from(text)
  const tail = bytes.length & ~3
  let hash = seed
  for (let at = 0; at < tail; at += 4) {
    hash ^= scramble(bytes.readInt32LE(at))
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  if (tail < bytes.length) hash ^= scramble(bytes.readUIntLE(tail, bytes.length - tail))
  return mix(hash ^ bytes.length)
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

/** The function fmix32 of MurmurHash3. */
function mix(value: number): number {
  let hash = value
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
