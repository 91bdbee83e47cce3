/** An attempt to connect, which can say what it waits for, or why it failed. */
import * as net from 'node:net'
import type { Peer } from './address.js'

type Stage = 'files' | 'name' | 'connection' | 'tls' | 'handshake'

export class Opening {
  #stage: Stage = 'files'
  readonly #peer: Peer

  constructor(
    peer: Peer,
    /** When the attempt began, in the clock's monotonic milliseconds. */
    readonly beganAtMs: number,
  ) {
    this.#peer = peer
  }

  /** Follows the steps of a socket that has begun to connect. */
  follow(socket: net.Socket): void {
    const { endpoint, tls } = this.#peer.address
    this.#stage = endpoint.kind === 'tcp' && net.isIP(endpoint.host) === 0 ? 'name' : 'connection'
    socket.once('lookup', () => (this.#stage = 'connection'))
    socket.once('connect', () => (this.#stage = tls === undefined ? 'handshake' : 'tls'))
    socket.once('secureConnect', () => (this.#stage = 'handshake'))
  }

  /** What the attempt still waits for, as the end of a sentence. */
  get awaited(): string {
    switch (this.#stage) {
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
    // The error of a host name with several addresses; its own message is empty.
    if (error instanceof AggregateError) return error.errors.map(String).join(', ')
    const code = 'code' in error ? error.code : undefined
    if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return 'it answered, but not in TLS'
    const isTaken = this.#stage === 'tls' || this.#stage === 'handshake'
    if (isTaken && (code === 'ECONNRESET' || code === 'EPIPE')) return this.whyClosed
    return (error.message || error.name).replace(/[.!\n]+$/, '')
  }

  /** The likely reasons why the server closed the connection. */
  get whyClosed(): string {
    const { address, mayWant, orElse = '' } = this.#peer
    const wants = `${address.tls === undefined ? 'TLS' : 'a client certificate'}, or ${mayWant}`
    return this.#stage === 'tls'
      ? 'the server closed the connection in the TLS handshake (it may not speak TLS)'
      : `the server closed the connection in the handshake (it may want ${wants}${orElse})`
  }
}
