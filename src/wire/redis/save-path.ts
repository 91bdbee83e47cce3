/** `redis://[user:password@]host[:port][/database]`, `rediss://`, `redis+unix:///path?db=0`. */
import { nearestName } from '../../system/nearest-name.js'
import type { Refuse } from '../scheme.js'
import {
  type Credentials,
  decode,
  parseHost,
  parseUnix,
  type Peer,
  placeName,
  type SocketAddress,
  tlsOf,
  type TlsTexts,
} from '../socket/address.js'
import { REDIS } from './traits.js'

/** One Redis, or one Valkey. */
export interface RedisServer extends SocketAddress {
  readonly database: number
  /** How many replicas must have a change before it is acknowledged; 0: the server's own word suffices. */
  readonly replicas: number
  /** Whether it is a node of a Redis Cluster. */
  readonly isOfCluster: boolean
}

/** The primary of several servers, as the Sentinels say that watch them. */
export interface WatchedRedis extends Omit<RedisServer, 'endpoint'> {
  readonly sentinels: readonly [SocketAddress, ...SocketAddress[]]
  /** The name by which they know the primary, whichever it is. */
  readonly service: string
}

export const FORM = 'redis://user:password@host:6379/0'
export const BEGINNINGS = ['redis://', 'rediss://', 'redis+unix://'] as const

export const DEFAULT_PORT = 6379
/** The user whom a server knows that has been told no other. */
const DEFAULT_USER = 'default'
export const WHERE = 'server'
const OF_TLS = ['ca', 'cert', 'key', 'servername', 'verify'] as const
const PARAMETERS = ['db', 'replicas', 'sentinel', ...OF_TLS] as const
type Parameters = TlsTexts & { db?: string; replicas?: string; sentinel?: string }

/** Reads the path strictly; what it does not know is refused. */
export function readRedisPath(savePath: string, refuse: Refuse): RedisServer {
  const at = savePath.indexOf('://')
  const scheme = savePath.slice(0, at).toLowerCase()
  const rest = savePath.slice(at + 3)
  const mark = rest.indexOf('?')
  const location = mark < 0 ? rest : rest.slice(0, mark)
  const isUnix = scheme === 'redis+unix'
  const parameters = parametersOf(mark < 0 ? '' : rest.slice(mark + 1), scheme, refuse)
  const end = isUnix ? location.indexOf('/') + 1 : location.length
  const sign = location.slice(0, end).lastIndexOf('@')
  const credentials = sign < 0 ? undefined : credentialsOf(location.slice(0, sign), refuse)
  const address = location.slice(sign + 1)
  const replicas = replicasOf(parameters.replicas, refuse)
  if (isUnix) {
    return { endpoint: parseUnix(address, WHERE, refuse), tls: undefined, credentials, database: databaseOf(parameters.db, refuse), replicas, isOfCluster: false }
  }
  if (address.includes(',')) refuse(WHERE, 'sessions are kept on one Redis: name one server, its Sentinels by redis+sentinel://, or a cluster by redis+cluster://')
  const slash = address.indexOf('/')
  const [place, path] = slash < 0 ? [address, ''] : [address.slice(0, slash), address.slice(slash + 1)]
  return {
    endpoint: parseHost(place, DEFAULT_PORT, WHERE, refuse),
    tls: scheme === 'rediss' ? tlsOf(parameters, WHERE, refuse) : undefined,
    credentials,
    database: databaseOf(path === '' ? undefined : path, refuse),
    replicas,
    isOfCluster: false,
  }
}

/** The server in words for people. */
export function peerOf(server: RedisServer | WatchedRedis): Peer {
  return {
    address: 'sentinels' in server ? { ...server, endpoint: server.sentinels[0].endpoint } : server,
    name: nameOf(server),
    system: REDIS.name,
    expected: 'Redis or Valkey',
    mayWant: 'an address that is allowed (protected-mode, bind)',
  }
}

function nameOf(server: RedisServer | WatchedRedis): string {
  const plain = server.tls === undefined ? 'redis' : 'rediss'
  if ('sentinels' in server) return `${plain}+sentinel://${server.sentinels.map(placeName).join(',')}/${server.service}`
  const scheme = server.endpoint.kind === 'unix' ? 'redis+unix' : server.isOfCluster ? `${plain}+cluster` : plain
  return `${scheme}://${placeName(server)}`
}

export function credentialsOf(text: string, refuse: Refuse): Credentials {
  const [user = '', secret, ...more] = text.split(':')
  if (secret === undefined || secret === '' || more.length > 0) {
    return refuse(WHERE, 'credentials are user:password, or :password for the default user, both percent-encoded')
  }
  if (/[@/?#\s]/.test(text)) refuse(WHERE, 'credentials hold a sign that must be percent-encoded')
  const username = user === '' ? DEFAULT_USER : decode(user, WHERE, 'user name', refuse)
  return { username, password: decode(secret, WHERE, 'password', refuse) }
}

export function databaseOf(text: string | undefined, refuse: Refuse): number {
  if (text === undefined) return 0
  return /^(?:0|[1-9]\d{0,4})$/.test(text) ? Number(text) : refuse(WHERE, 'a database is a number', text)
}

export function replicasOf(text: string | undefined, refuse: Refuse): number {
  if (text === undefined) return 0
  return /^[1-9]$/.test(text) ? Number(text) : refuse(WHERE, 'replicas is a number from 1 to 9', text)
}

export function parametersOf(query: string, scheme: string, refuse: Refuse): Parameters {
  const found: Parameters = {}
  for (const pair of query === '' ? [] : query.split('&')) {
    const equals = pair.indexOf('=')
    const given = equals < 0 ? pair : pair.slice(0, equals)
    const name = PARAMETERS.find((known) => known === given)
    if (name === undefined) {
      const meant = nearestName(given, PARAMETERS)
      return refuse(WHERE, `unknown parameter; ${meant === undefined ? `known are ${PARAMETERS.join(', ')}` : `did you mean ${meant}?`}`, given)
    }
    if (name === 'sentinel' && !scheme.endsWith('+sentinel')) refuse(WHERE, 'the parameter sentinel needs redis+sentinel://')
    if (name === 'db' && scheme !== 'redis+unix' && !scheme.endsWith('+sentinel')) refuse(WHERE, 'the database stands behind the host: redis://host/1')
    if (OF_TLS.some((one) => one === name) && !scheme.startsWith('rediss')) refuse(WHERE, `the parameter ${name} needs rediss${scheme.slice('redis'.length)}://`)
    if (found[name] !== undefined) refuse(WHERE, `the parameter ${name} is there twice`)
    // Credentials, which are decoded one by one.
    const value = equals < 0 ? '' : name === 'sentinel' ? pair.slice(equals + 1) : decode(pair.slice(equals + 1), WHERE, `parameter ${name}`, refuse)
    if (value === '') refuse(WHERE, `the parameter ${name} has no value`)
    found[name] = value
  }
  return found
}
