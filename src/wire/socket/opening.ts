/** An attempt to connect, which can say what it waits for, or why it failed. */
import * as net from 'node:net'
import { type Peer, placeName, type SocketAddress } from './address.js'
import { shown } from './server-errors.js'

/** A connection that could not be opened; its cause says why. Nothing of any flight was sent. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError'
  constructor(
    message: string,
    /** When the attempt began; the clock's monotonic milliseconds. */
    readonly beganAtMs: number,
    options?: { readonly cause: unknown },
  ) {
    super(message, options)
  }
}

/** The server moved while it was connected to: it is somewhere else by now. */
export class MovedError extends Error {}

/** What an error says, as the end of a sentence. */
export function reasonIn(error: unknown): string {
  // The error of a host name with several addresses; its own message is empty.
  if (error instanceof AggregateError) return error.errors.map(String).join(', ')
  if (!(error instanceof Error)) return String(error)
  const reason = (error.message || error.name).replace(/[.!\n]+$/, '')
  // The names that it lists are what the server's certificate says.
  return 'code' in error && error.code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? shown(reason) : reason
}

type Stage = 'place' | 'files' | 'name' | 'connection' | 'tls' | 'handshake'

export class Opening {
  #stage: Stage = 'files'
  readonly #peer: Peer
  #address: SocketAddress

  constructor(
    peer: Peer,
    /** When the attempt began, in the clock's monotonic milliseconds. */
    readonly beganAtMs: number,
  ) {
    this.#peer = peer
    this.#address = peer.address
  }

  /** The server's name, and where it is where that changes. */
  get name(): string {
    const { name, address } = this.#peer
    return this.#address === address ? name : `${name}, now at ${placeName(this.#address)}`
  }

  /** Waits until somebody tells where the server is. */
  async find(told: Promise<SocketAddress>): Promise<SocketAddress> {
    this.#stage = 'place'
    this.#address = await told
    this.#stage = 'files'
    return this.#address
  }

  /** Follows the steps of a socket that has begun to connect. */
  follow(socket: net.Socket): void {
    const { endpoint, tls } = this.#address
    this.#stage = endpoint.kind === 'tcp' && net.isIP(endpoint.host) === 0 ? 'name' : 'connection'
    socket.once('lookup', () => (this.#stage = 'connection'))
    socket.once('connect', () => (this.#stage = tls === undefined ? 'handshake' : 'tls'))
    socket.once('secureConnect', () => (this.#stage = 'handshake'))
  }

  /** What the attempt still waits for, as the end of a sentence. */
  get awaited(): string {
    switch (this.#stage) {
      case 'place':
        return 'nobody has told yet where it is'
      case 'files':
        return 'its PEM files could not be read yet'
      case 'name':
        return 'its name was not resolved (check the name server)'
      case 'connection':
        return 'it did not accept the connection'
      case 'tls':
        return 'it accepted the connection and did not answer in TLS (does it speak TLS?)'
      case 'handshake':
        return `it accepted the connection and did not answer (does it run, and is it ${this.#peer.expected}?)`
    }
  }

  /** Why the attempt failed, in words that help to find the cause. */
  reasonOf(error: Error): string {
    const code = 'code' in error ? error.code : undefined
    if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return 'it answered, but not in TLS'
    const isTaken = this.#stage === 'tls' || this.#stage === 'handshake'
    if (isTaken && (code === 'ECONNRESET' || code === 'EPIPE')) return this.whyClosed
    return reasonIn(error)
  }

  /** The likely reasons why the server closed the connection. */
  get whyClosed(): string {
    const { mayWant, orElse = '' } = this.#peer
    const wants = `${this.#address.tls === undefined ? 'TLS' : 'a client certificate'}, or ${mayWant}`
    return this.#stage === 'tls'
      ? 'the server closed the connection in the TLS handshake (it may not speak TLS)'
      : `the server closed the connection in the handshake (it may want ${wants}${orElse})`
  }
}
