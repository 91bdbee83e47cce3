/** Where a server of a save path is, how it is reached, and what is expected to answer there. */
import { isIP, isIPv6 } from 'node:net'
import type { Refuse } from '../scheme.js'

/** User name and password, percent-decoded. */
export interface Credentials {
  readonly username: string
  readonly password: string
}

/**
 * The TLS parameters of one server. The certificate is verified unless the path says `verify=off`. Files are read for
 * each connection.
 */
export interface TlsParameters {
  /** The PEM file of the authority to trust. Default: Node's own list. */
  readonly ca: string | undefined
  /** The PEM files of a client certificate and its key; both or neither. */
  readonly cert: string | undefined
  readonly key: string | undefined
  /** The name in the server's certificate. Default: the host. */
  readonly servername: string | undefined
  readonly verify: boolean
}

export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface SocketAddress {
  readonly endpoint: Endpoint
  readonly tls: TlsParameters | undefined
  readonly credentials: Credentials | undefined
}

/** A server, in words for people. */
export interface Peer {
  readonly address: SocketAddress
  /** Its scheme and address, without credentials and parameters. */
  readonly name: string
  /** The name of the store, as in `StoreTraits`. */
  readonly system: string
  /** What is expected to answer, as the end of a sentence: `memcached that speaks protocol=text`. */
  readonly expected: string
  /** What it may want of a client besides TLS, if it closes the connection in the handshake: `SASL credentials`. */
  readonly mayWant: string
  /** What else the reason may be, with its punctuation. */
  readonly orElse?: string
}

/** `host:port`, or the path of the socket. */
export function placeName({ endpoint }: Pick<SocketAddress, 'endpoint'>): string {
  if (endpoint.kind === 'unix') return endpoint.path
  return `${isIPv6(endpoint.host) ? `[${endpoint.host}]` : endpoint.host}:${String(endpoint.port)}`
}

/** Whether a server has named a host: what else it says comes into no name, and so into no message. */
export const isHost = (host: string): boolean => isIP(host) > 0 || /^(?=.{1,253}$)[\w.-]+$/.test(host)

export function parseUnix(address: string, where: string, refuse: Refuse): Endpoint {
  const path = decode(address, where, 'socket path', refuse)
  if (!path.startsWith('/') || path.endsWith('/')) refuse(where, 'a socket needs an absolute path', address)
  // sun_path of unix(7) holds 108 bytes with its NUL.
  if (Buffer.byteLength(path) > 107) refuse(where, 'a socket path has at most 107 bytes', address)
  return { kind: 'unix', path }
}

export function parseHost(address: string, defaultPort: number, where: string, refuse: Refuse): Endpoint {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/s.exec(address)
  if (match === null) return refuse(where, 'host and port cannot be told apart (IPv6 goes in brackets)', address)
  const [, v6, name, digits] = match
  const host = (v6 ?? name ?? '').toLowerCase()
  const valid = v6 === undefined ? /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?$/.test(host) : isIPv6(host)
  if (!valid || host.includes('%')) refuse(where, 'not a host name or address (IPv6 goes in brackets)', v6 ?? name)
  if (digits === undefined) return { kind: 'tcp', host, port: defaultPort }
  const port = /^[1-9]\d{0,4}$/.test(digits) ? Number(digits) : 0
  if (port < 1 || port > 65535) refuse(where, 'a port is a number from 1 to 65535', /^[\d+.e-]{0,8}$/.test(digits) ? digits : undefined)
  return { kind: 'tcp', host, port }
}

/** The parameters of TLS, as the save path has them. */
export type TlsTexts = Partial<Record<'ca' | 'cert' | 'key' | 'servername' | 'verify', string>>

export function tlsOf({ ca, cert, key, servername, verify }: TlsTexts, where: string, refuse: Refuse): TlsParameters {
  if ((cert === undefined) !== (key === undefined)) refuse(where, 'a client certificate needs both cert and key')
  if (verify !== undefined && verify !== 'on' && verify !== 'off') refuse(where, 'verify is on or off', verify)
  return { ca, cert, key, servername, verify: verify !== 'off' }
}

export function decode(text: string, where: string, part: string, refuse: Refuse): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return refuse(where, `the ${part} has a broken percent-encoding`)
  }
}
