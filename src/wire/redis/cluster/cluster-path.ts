/** `redis+cluster://[user:password@]host[:port],host...[?replicas=n]`, with TLS `rediss+cluster://`. */
import type { Refuse } from '../../scheme.js'
import { parseHost, tlsOf } from '../../socket/address.js'
import { credentialsOf, DEFAULT_PORT, parametersOf, type RedisServer, replicasOf, WHERE } from '../save-path.js'

export const FORM = 'redis+cluster://host-a:7000,host-b:7000'
export const BEGINNINGS = ['redis+cluster://', 'rediss+cluster://'] as const

/** The nodes that are asked for the others; at least one. */
export type Seeds = readonly [RedisServer, ...RedisServer[]]

/** Reads the path strictly; what it does not know is refused. */
export function readClusterPath(savePath: string, refuse: Refuse): Seeds {
  const at = savePath.indexOf('://')
  const scheme = savePath.slice(0, at).toLowerCase()
  const [location = '', ...query] = savePath.slice(at + 3).split('?')
  const parameters = parametersOf(query.join('?'), scheme, refuse)
  const sign = location.lastIndexOf('@')
  const credentials = sign < 0 ? undefined : credentialsOf(location.slice(0, sign), refuse)
  const places = location.slice(sign + 1)
  if (places.includes('/')) refuse(WHERE, 'a cluster has one database, and no path stands behind its nodes')
  const replicas = replicasOf(parameters.replicas, refuse)
  const tls = scheme === 'rediss+cluster' ? tlsOf(parameters, WHERE, refuse) : undefined
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
