/**
 * Where libmemcached, which PHP's extension memcached uses, keeps a key among several servers. Checked against PHP itself
 * (`Memcached::getServerByKey`) for thousands of keys.
 */
import { createHash } from 'node:crypto'
import type { Placement } from '../placement.js'
import type { ServerAddress } from './save-path.js'

const POINTS = 100
/** Where any server has a weight, a server of average weight has so many points, four of each digest. */
const WEIGHTED_POINTS = 160
const POINTS_PER_DIGEST = 4
/** libmemcached leaves it out of a server's name on the ring. */
const DEFAULT_PORT = 11211

interface Point {
  readonly value: number
  readonly server: number
}

/** The index of the server that keeps what has this hashed part. Servers are in the order of PHP's save path. */
export function createPhpRing(servers: readonly ServerAddress[], ring: Placement['ring']): (hashedPart: string) => number {
  if (servers.length === 1) return () => 0
  if (ring === 'modula') return (part) => oneAtATime(part) % servers.length
  const points = pointsOf(servers)
  return (part) => ownerOf(points, oneAtATime(part))
}

/** The first point that is not below the hash; behind the last one comes the first. */
function ownerOf(points: readonly Point[], hash: number): number {
  let from = 0
  let to = points.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if ((points[middle]?.value ?? 0) < hash) from = middle + 1
    else to = middle
  }
  return (points[from] ?? points[0])?.server ?? 0
}

function pointsOf(servers: readonly ServerAddress[]): readonly Point[] {
  const isWeighted = servers.some(({ weight }) => weight > 1)
  const points = isWeighted ? weightedPoints(servers) : plainPoints(servers)
  return points.sort((one, other) => one.value - other.value)
}

const plainPoints = (servers: readonly ServerAddress[]): Point[] =>
  servers.flatMap((address, server) => {
    const name = ringName(address)
    return Array.from({ length: POINTS }, (_, index): Point => ({ value: oneAtATime(`${name}-${String(index)}`), server }))
  })

/** One weight above 1 makes libmemcached count all servers by theirs, and take MD5 for their points (for keys it does not). */
function weightedPoints(servers: readonly ServerAddress[]): Point[] {
  const total = servers.reduce((sum, { weight }) => sum + weight, 0)
  return servers.flatMap((address, server) => {
    const name = ringName(address)
    // In floats of 32 bits, as there.
    const share = Math.fround(Math.fround(address.weight) / Math.fround(total))
    const perDigest = Math.fround(Math.fround(Math.fround(share * WEIGHTED_POINTS) / POINTS_PER_DIGEST) * servers.length)
    const digests = Math.floor(Math.fround(perDigest + 1e-10))
    return Array.from({ length: digests }, (_, index): Point[] => {
      const digest = createHash('md5').update(`${name}-${String(index)}`).digest()
      return Array.from({ length: POINTS_PER_DIGEST }, (__, part): Point => ({ value: digest.readUInt32LE(part * 4), server }))
    }).flat()
  })
}

/** As PHP spells it: `localhost` and `LocalHost` are two points on the ring. A socket has the port 0. */
function ringName({ endpoint, spelledHost }: ServerAddress): string {
  if (endpoint.kind === 'unix') return `${endpoint.path}:0`
  return endpoint.port === DEFAULT_PORT ? spelledHost : `${spelledHost}:${String(endpoint.port)}`
}

/** Bob Jenkins's one-at-a-time, http://www.burtleburtle.net/bob/hash/doobs.html, as an unsigned 32-bit integer. */
export function oneAtATime(text: string): number {
  let hash = 0
  for (let at = 0; at < text.length; at++) {
    hash = (hash + text.charCodeAt(at)) | 0
    hash = (hash + (hash << 10)) | 0
    hash ^= hash >>> 6
  }
  hash = (hash + (hash << 3)) | 0
  hash ^= hash >>> 11
  return (hash + (hash << 15)) >>> 0
}
