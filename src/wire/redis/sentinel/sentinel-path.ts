/** `redis+sentinel://[user:password@]host[:port],host.../name[?db=n&replicas=n&sentinel=user:password]`, with TLS `rediss+sentinel://`. */
import type { Refuse } from '../../scheme.js'
import { parseHost, type SocketAddress } from '../../socket/address.js'
import { credentialsOf, databaseOf, partsOf, type WatchedRedis, WHERE } from '../save-path.js'

export const FORM = 'redis+sentinel://host-a:26379,host-b:26379,host-c:26379/name'
export const BEGINNINGS = ['redis+sentinel://', 'rediss+sentinel://'] as const

const DEFAULT_PORT = 26379
/** As Sentinel wants it. */
const NAME = /^[\w.-]{1,100}$/

/** Reads the path strictly; what it does not know is refused. The credentials before the hosts are those of the Redis. */
export function readSentinelPath(savePath: string, refuse: Refuse): WatchedRedis {
  const { parameters, credentials, address, tls, replicas } = partsOf(savePath, refuse)
  const [places = '', service = '', ...more] = address.split('/')
  if (!NAME.test(service) || more.length > 0) {
    refuse(WHERE, 'behind the Sentinels stands, after a slash, the name by which they know the primary (sentinel monitor <name> ...)', service)
  }
  const own = parameters.sentinel === undefined ? undefined : credentialsOf(parameters.sentinel, refuse)
  const sentinelAt = (place: string, index: number): SocketAddress => ({
    endpoint: parseHost(place, DEFAULT_PORT, `server ${String(index + 1)}`, refuse),
    tls,
    credentials: own,
  })
  const [first = '', ...others] = places.split(',')
  return {
    sentinels: [sentinelAt(first, 0), ...others.map((place, index) => sentinelAt(place, index + 1))],
    service,
    tls,
    credentials,
    database: databaseOf(parameters.db, refuse),
    replicas,
    isOfCluster: false,
  }
}
