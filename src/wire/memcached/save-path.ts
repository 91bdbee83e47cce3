/**
 * Reads memcached's part of a save path, strictly: `tcp://10.0.0.1:11211,tcp://10.0.0.2:11211?weight=2`, as PHP writes
 * it.
 *
 * The functions are pure: they read no file and no environment variable, and ask no name server.
 */
import { nearestName } from '../../system/nearest-name.js'
import type { Refuse } from '../scheme.js'
import { type Credentials, decode, parseHost, parseUnix, placeName, type SocketAddress, tlsOf } from '../socket/address.js'

/** One memcached server of a save path. */
export interface ServerAddress extends SocketAddress {
  /** The host as the save path spells it; empty for a socket. PHP's clients place sessions by it. */
  readonly spelledHost: string
  /** For SASL PLAIN in the binary protocol, and for memcached's `-Y` in text. */
  readonly credentials: Credentials | undefined
  /** The server's share of the sessions relative to the other servers; an integer from 1 (the default) to 1000. */
  readonly weight: number
  /** The protocol that the save path names; undefined where it names none: see `protocolOf`. */
  readonly protocol: 'binary' | 'text' | undefined
  /** The proxy that stands at this address, with the servers behind it; undefined: memcached itself. */
  readonly via: Via | undefined
  /** Whether versions are of our own making; through memcached's own proxy, with servers from 1.6.27 on. */
  readonly hasOwnVersions: boolean
  /** How many nodes keep each session, where this server says it; undefined: it does not. */
  readonly replicas: number | undefined
  /** Of a list that is being changed: whether this server joins it, or leaves it. Undefined: it stays. */
  readonly change: 'joins' | 'leaves' | undefined
  /** How many nodes the proxy at this address is a pipe to: keys that begin with `n1/` go to the first. Undefined: none. */
  readonly pipes: number | undefined
}

/** `proxy` is memcached's own. */
const PROXIES = ['twemproxy', 'mcrouter', 'proxy'] as const
export type Via = (typeof PROXIES)[number]

export const SCHEMES = ['tcp', 'tls', 'unix'] as const

/** The form of servers in a save path, for error messages. */
export const FORM =
  'tcp://host:port[,tcp://host:port?weight=2], tls://user:password@host:port?ca=/file.pem, unix:///run/memcached.sock'

const DEFAULT_PORT = 11211

/**
 * Reads servers that are separated by commas.
 *
 * A server is `[scheme://][user:password@]host[:port][?name=value&...]`. The schemes are tcp (the default), tls and
 * unix (`unix:///path`). The port is 11211 by default; an IPv6 address stands in brackets. Parameters: `weight`
 * (1-1000), `protocol` (binary, text), `via` (twemproxy, mcrouter, proxy), `versions` (own, with via=proxy), and for tls `ca`,
 * `cert`, `key`, `servername`, `verify` (on, off). Anything else is refused, and so is a server that is named twice.
 */
export function parseServers(text: string, refuse: Refuse): readonly ServerAddress[] {
  const pieces = text.split(',').map((piece) => piece.trim())
  const servers = pieces.map((piece, index) => parseServer(piece, `server ${String(index + 1)}`, refuse))
  const seen = new Map<string, number>()
  servers.forEach((server, index) => {
    const id = nodeId(server)
    const first = seen.get(id)
    if (first !== undefined) refuse(`server ${String(index + 1)}`, `the same as server ${String(first)}; name each server once`, id)
    seen.set(id, index + 1)
    // It decides under which keys a session is kept.
    if (server.via !== servers[0]?.via) refuse(`server ${String(index + 1)}`, 'all servers or none are reached through one kind of proxy (via)')
  })
  checkReplicas(servers, refuse)
  return servers
}

/** One server says how many copies there are, and it counts for all. */
function checkReplicas(servers: readonly ServerAddress[], refuse: Refuse): void {
  const where = 'replicas'
  const given = servers.flatMap(({ replicas }) => replicas ?? [])
  const [replicas] = given
  const nodes = servers.reduce((sum, { pipes = 1 }) => sum + pipes, 0)
  if (given.some((one) => one !== replicas)) refuse(where, `it is given twice (${given.join(', ')}), and counts for all servers: write it once`)
  if (servers.some(({ pipes, via }) => pipes !== undefined && (via === undefined || via === 'twemproxy'))) {
    refuse(where, 'pipes=n is a proxy that goes by the beginning of a key (via=proxy, via=mcrouter); twemproxy has a port for each server')
  }
  checkChange(servers, replicas, refuse)
  if (replicas === undefined) return servers.some(({ pipes }) => pipes !== undefined) ? refuse(where, 'pipes=n goes with replicas=n') : undefined
  // Before the servers are counted: who has three and asks for four copies is not to be told to buy a fourth one.
  if (replicas % 2 === 0) {
    const [less, more] = [String(replicas - 1), String(replicas + 1)]
    refuse(where, `with ${String(replicas)} copies no more servers may be away than with ${less}: a majority decides. Give an odd number, ${less} or ${more}, and name at least as many servers`)
  }
  if (replicas > nodes) {
    refuse(where, `${String(replicas)} copies need as many servers, and ${String(nodes)} ${nodes === 1 ? 'is' : 'are'} named: name ${String(replicas - nodes)} more${nodes < 3 ? ', or leave replicas out' : ''}`)
  }
  if (servers.some(({ hasOwnVersions }) => hasOwnVersions)) refuse(where, 'versions=own has no order, and copies are ordered by versions: leave it out')
}

/** One node at a time: of a session's nodes by two lists most are the same then. */
function checkChange(servers: readonly ServerAddress[], replicas: number | undefined, refuse: Refuse): void {
  const where = 'change'
  const [joining, leaving] = [servers.filter(({ change }) => change === 'joins').length, servers.filter(({ change }) => change === 'leaves').length]
  if (joining + leaving === 0) return
  if (replicas === undefined || replicas < 3) refuse(where, 'sessions are carried over where each is on several servers, from replicas=3 on; without that a list is changed as docs/guide/changing-servers.md says')
  if (joining > 1 || leaving > 1) refuse(where, 'one server joins, one leaves, or one takes the place of another; change the list one by one')
  if (servers.some(({ via }) => via !== undefined)) refuse(where, 'through a proxy the list stays as it is: let the proxy lead to another server in the place of one (a proxy does not list what would be carried over)')
  for (const [nodes, list] of [[servers.length - joining, 'before'], [servers.length - leaving, 'behind']] as const) {
    if (replicas !== undefined && nodes < replicas) refuse(where, `${String(replicas)} copies need as many servers, and ${String(nodes)} are on the list ${list} the change: name who ${list === 'before' ? 'leaves (change=leaves), or all who are there already' : 'joins in its place (change=joins)'}`)
  }
}

/** How many nodes keep each session; undefined: one, and nothing is copied. */
export const replicasOf = (servers: readonly ServerAddress[]): number | undefined => servers.find(({ replicas }) => replicas !== undefined)?.replicas

/** Describes a server to people: its scheme and address, without credentials and parameters. */
export function describeServer(server: ServerAddress): string {
  if (server.endpoint.kind === 'unix') return `unix://${server.endpoint.path}`
  return `${server.tls === undefined ? 'tcp' : 'tls'}://${nodeId(server)}`
}

/**
 * The protocol to speak: with credentials binary, because only binary has SASL; otherwise text, which is faster here.
 */
export const protocolOf = ({ protocol, credentials }: ServerAddress): 'binary' | 'text' =>
  protocol ?? (credentials === undefined ? 'text' : 'binary')

/**
 * The name by which sessions are placed on this server: `host:port`, or the path of the socket. TLS and credentials are
 * no part of it, so that a change of them moves no session.
 */
export const nodeId = (server: ServerAddress): string => placeName(server)

function parseServer(piece: string, where: string, refuse: Refuse): ServerAddress {
  if (piece === '') refuse(where, 'it is empty')
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(piece)
  const kind = SCHEMES.find((known) => known === (scheme?.[1] ?? 'tcp').toLowerCase())
  if (kind === undefined) return refuse(where, `no scheme of memcached, which are ${SCHEMES.join(', ')}`, scheme?.[1])
  const rest = piece.slice(scheme?.[0].length ?? 0)
  const mark = rest.indexOf('?')
  const location = mark < 0 ? rest : rest.slice(0, mark)
  const parameters = parseParameters(mark < 0 ? undefined : rest.slice(mark + 1), kind === 'tls', where, refuse)
  // The path of a unix socket may contain an '@'. Only an '@' before the path's first slash ends the credentials.
  const at = kind === 'unix' ? location.slice(0, location.indexOf('/') + 1).lastIndexOf('@') : location.lastIndexOf('@')
  const credentials = at < 0 ? undefined : parseCredentials(location.slice(0, at), where, refuse)
  const address = location.slice(at + 1)
  const isUnix = kind === 'unix'
  const endpoint = isUnix ? parseUnix(address, where, refuse) : parseHost(address, DEFAULT_PORT, where, refuse)
  if (credentials !== undefined && parameters.protocol === 'text' && /\s/.test(credentials.username)) {
    refuse(where, 'the text protocol has no user names with spaces')
  }
  const via = parseVia(parameters.via, where, refuse)
  if (via !== undefined && parameters.protocol === 'binary') refuse(where, 'through a proxy the text protocol is spoken')
  if (via !== undefined && credentials !== undefined) refuse(where, 'a proxy takes no credentials')
  if (parameters.versions !== undefined && parameters.versions !== 'own') refuse(where, 'versions is own, or left out', parameters.versions)
  if (parameters.versions !== undefined && via !== 'proxy') refuse(where, "versions=own goes through memcached's own proxy (via=proxy)")
  return {
    endpoint,
    via,
    hasOwnVersions: parameters.versions !== undefined,
    spelledHost: isUnix ? '' : address.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1'),
    tls: kind === 'tls' ? tlsOf(parameters, where, refuse) : undefined,
    credentials,
    weight: parseWeight(parameters.weight, where, refuse),
    protocol: parseProtocol(parameters.protocol, where, refuse),
    replicas: parseCount('replicas', 'how many servers keep each session: an odd number, mostly 3, and 9 at the most', parameters.replicas, where, refuse),
    change: parseChange(parameters.change, where, refuse),
    pipes: parseCount('pipes', 'how many servers the proxy leads to: a number from 1 to 9', parameters.pipes, where, refuse),
  }
}

function parseCredentials(text: string, where: string, refuse: Refuse): Credentials {
  const parts = text.split(':')
  const [user, secret] = parts
  if (parts.length !== 2 || user === undefined || secret === undefined || user === '' || secret === '') {
    return refuse(where, 'credentials are user:password, both percent-encoded')
  }
  if (/[@/?#\s]/.test(text)) refuse(where, 'credentials hold a sign that must be percent-encoded')
  const username = decode(user, where, 'user name', refuse)
  const password = decode(secret, where, 'password', refuse)
  // SASL PLAIN separates its parts with NUL (RFC 4616).
  if (/\0/.test(username + password)) refuse(where, 'credentials hold a NUL')
  return { username, password }
}

const ANYWHERE = ['weight', 'protocol', 'via', 'versions', 'replicas', 'pipes', 'change'] as const
const PARAMETERS = [...ANYWHERE, 'ca', 'cert', 'key', 'servername', 'verify'] as const
type Parameters = Partial<Record<(typeof PARAMETERS)[number], string>>

function parseParameters(query: string | undefined, tls: boolean, where: string, refuse: Refuse): Parameters {
  const found: Parameters = {}
  if (query === undefined) return found
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=')
    const given = equals < 0 ? pair : pair.slice(0, equals)
    const name = PARAMETERS.find((known) => known === given)
    if (name === undefined) {
      const meant = nearestName(given, PARAMETERS)
      const hint = meant === undefined ? `known are ${PARAMETERS.join(', ')}` : `did you mean ${meant}?`
      return refuse(where, `unknown parameter; ${hint}`, given)
    }
    if (!tls && !ANYWHERE.some((known) => known === name)) refuse(where, `the parameter ${name} needs tls://`)
    if (found[name] !== undefined) refuse(where, `the parameter ${name} is there twice`)
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1), where, `parameter ${name}`, refuse)
    if (value === '') refuse(where, `the parameter ${name} has no value`)
    found[name] = value
  }
  return found
}

function parseWeight(text: string | undefined, where: string, refuse: Refuse): number {
  if (text === undefined) return 1
  const weight = /^[1-9]\d{0,3}$/.test(text) ? Number(text) : 0
  if (weight < 1 || weight > 1000) refuse(where, 'a weight is an integer from 1 to 1000', text)
  return weight
}

function parseCount(name: string, what: string, text: string | undefined, where: string, refuse: Refuse): number | undefined {
  if (text === undefined) return undefined
  if (/[?;]/.test(text)) refuse(where, `between two parameters goes &: ${name}=3&weight=2`, text)
  if (!/^[1-9]$/.test(text)) refuse(where, `${name} is ${what}`, text)
  return Number(text)
}

function parseChange(text: string | undefined, where: string, refuse: Refuse): ServerAddress['change'] {
  if (text === undefined || text === 'joins' || text === 'leaves') return text
  return refuse(where, 'change is joins or leaves', text)
}

function parseProtocol(text: string | undefined, where: string, refuse: Refuse): 'binary' | 'text' | undefined {
  if (text === undefined || text === 'binary' || text === 'text') return text
  return refuse(where, 'protocol is binary or text', text)
}

function parseVia(text: string | undefined, where: string, refuse: Refuse): Via | undefined {
  const via = PROXIES.find((known) => known === text)
  if (text !== undefined && via === undefined) refuse(where, `via is one of ${PROXIES.join(', ')}`, text)
  return via
}
