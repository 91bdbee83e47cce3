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
  type TlsParameters,
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
const UNIX = 'redis+unix'
const OF_TLS = ['ca', 'cert', 'key', 'servername', 'verify'] as const
const PARAMETERS = ['db', 'replicas', 'sentinel', ...OF_TLS] as const
type Parameters = TlsTexts & { db?: string; replicas?: string; sentinel?: string }

/** Reads the path strictly; what it does not know is refused. */
export function readRedisPath(savePath: string, refuse: Refuse): RedisServer {
  const { scheme, parameters, credentials, address, tls, replicas } = partsOf(savePath, refuse)
  if (scheme === UNIX) {
    return { endpoint: parseUnix(address, WHERE, refuse), tls: undefined, credentials, database: databaseOf(parameters.db, refuse), replicas, isOfCluster: false }
  }
  if (address.includes(',')) refuse(WHERE, 'sessions are kept on one Redis: name one server, its Sentinels by redis+sentinel://, or a cluster by redis+cluster://')
  const slash = address.indexOf('/')
  const [place, path] = slash < 0 ? [address, ''] : [address.slice(0, slash), address.slice(slash + 1)]
  return {
    endpoint: parseHost(place, DEFAULT_PORT, WHERE, refuse),
    tls,
    credentials,
    database: databaseOf(path === '' ? undefined : path, refuse),
    replicas,
    isOfCluster: false,
  }
}

/** What all save paths of Redis have in common: `scheme://[user:password@]address[?parameters]`. */
interface Parts {
  readonly scheme: string
  readonly parameters: Parameters
  readonly credentials: Credentials | undefined
  readonly address: string
  /** Of the schemes that begin with `rediss`. */
  readonly tls: TlsParameters | undefined
  readonly replicas: number
}

export function partsOf(savePath: string, refuse: Refuse): Parts {
  const at = savePath.indexOf('://')
  const scheme = savePath.slice(0, at).toLowerCase()
  const [location = '', ...query] = savePath.slice(at + 3).split('?')
  const parameters = parametersOf(query.join('?'), scheme, refuse)
  // The path of a socket may have an '@'.
  const end = scheme === UNIX ? location.indexOf('/') + 1 : location.length
  const sign = location.slice(0, end).lastIndexOf('@')
  return {
    scheme,
    parameters,
    credentials: sign < 0 ? undefined : credentialsOf(location.slice(0, sign), refuse),
    address: location.slice(sign + 1),
    tls: scheme.startsWith('rediss') ? tlsOf(parameters, WHERE, refuse) : undefined,
    replicas: replicasOf(parameters.replicas, refuse),
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

function replicasOf(text: string | undefined, refuse: Refuse): number {
  if (text === undefined) return 0
  return /^[1-9]$/.test(text) ? Number(text) : refuse(WHERE, 'replicas is a number from 1 to 9', text)
}

function parametersOf(query: string, scheme: string, refuse: Refuse): Parameters {
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
    if (name === 'db' && scheme !== UNIX && !scheme.endsWith('+sentinel')) refuse(WHERE, 'the database stands behind the host: redis://host/1')
    if (OF_TLS.some((one) => one === name) && !scheme.startsWith('rediss')) refuse(WHERE, `the parameter ${name} needs rediss${scheme.slice('redis'.length)}://`)
    if (found[name] !== undefined) refuse(WHERE, `the parameter ${name} is there twice`)
    // Credentials, which are decoded one by one.
    const value = equals < 0 ? '' : name === 'sentinel' ? pair.slice(equals + 1) : decode(pair.slice(equals + 1), WHERE, `parameter ${name}`, refuse)
    if (value === '') refuse(WHERE, `the parameter ${name} has no value`)
    found[name] = value
  }
  return found
}
