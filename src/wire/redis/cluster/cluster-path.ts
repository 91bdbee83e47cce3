/** `redis+cluster://[user:password@]host[:port],host...[?replicas=n]`, with TLS `rediss+cluster://`. */
import type { Refuse } from '../../scheme.js'
import { parseHost } from '../../socket/address.js'
import { DEFAULT_PORT, partsOf, type RedisServer, WHERE } from '../save-path.js'

export const FORM = 'redis+cluster://host-a:7000,host-b:7000'
export const BEGINNINGS = ['redis+cluster://', 'rediss+cluster://'] as const

/** The nodes that are asked for the others; at least one. */
export type Seeds = readonly [RedisServer, ...RedisServer[]]

/** Reads the path strictly; what it does not know is refused. */
export function readClusterPath(savePath: string, refuse: Refuse): Seeds {
  const { credentials, address: places, tls, replicas } = partsOf(savePath, refuse)
  if (places.includes('/')) refuse(WHERE, 'a cluster has one database, and no path stands behind its nodes')
  const [first = '', ...more] = places.split(',')
  const seedOf = (place: string, index: number): RedisServer => ({
    endpoint: parseHost(place, DEFAULT_PORT, `server ${index + 1}`, refuse),
    tls,
    credentials,
    database: 0,
    replicas,
    isOfCluster: true,
  })
  return [seedOf(first, 0), ...more.map((place, index) => seedOf(place, index + 1))]
}
