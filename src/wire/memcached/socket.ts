/** Sockets to a server of a save path: TCP, TLS or unix. */
import { readFile } from 'node:fs/promises'
import * as net from 'node:net'
import * as tls from 'node:tls'
import type { ServerAddress, TlsParameters } from './save-path.js'

// A peer that vanished without a word is noticed by the kernel; a flight has its own, much shorter deadline.
const KEEP_ALIVE_MS = 30_000

export interface Dialled {
  readonly socket: net.Socket
  /** The event that says that bytes may be written. */
  readonly readyEvent: 'connect' | 'secureConnect'
}

export interface PemFiles {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/** What is read at once. Node itself takes as much for each read, and makes a buffer of its own for each. */
const READ_BYTES = 64 * 1024

/**
 * Starts to connect; whatever goes wrong is an 'error' event of the socket. `pem` is needed with TLS only.
 *
 * @param receive is told what has arrived, in a buffer that holds it until it returns and no longer: all reads of the
 *   connection go into one, which spares making and collecting one for each. Without it there are 'data' events.
 */
export function dial(server: ServerAddress, pem: PemFiles = {}, receive?: (chunk: Buffer) => void): Dialled {
  const target = { ...placeOf(server), ...(receive === undefined ? {} : { onread: into(receive) }) }
  if (server.tls === undefined) return { socket: net.connect(target), readyEvent: 'connect' }
  const servername = server.tls.servername ?? (server.endpoint.kind === 'tcp' ? server.endpoint.host : '')
  const socket = tls.connect({
    ...target,
    ...pem,
    // Server Name Indication has no addresses (RFC 6066); the certificate is still checked against the address.
    ...(net.isIP(servername) === 0 ? { servername } : {}),
    rejectUnauthorized: server.tls.verify,
  })
  return { socket, readyEvent: 'secureConnect' }
}

function into(receive: (chunk: Buffer) => void) {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  const callback = (lengthBytes: number): boolean => {
    receive(buffer.subarray(0, lengthBytes))
    return true
  }
  return { buffer, callback }
}

function placeOf({ endpoint }: ServerAddress) {
  if (endpoint.kind === 'unix') return { path: endpoint.path }
  const { host, port } = endpoint
  return { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
}

/**
 * Reads the PEM files, anew for each connection, so that renewed certificates are used without a restart.
 *
 * @throws what reading a file throws.
 */
export async function readPemFiles({ ca, cert, key }: TlsParameters): Promise<PemFiles> {
  return {
    ...(ca === undefined ? {} : { ca: await readFile(ca) }),
    ...(cert === undefined ? {} : { cert: await readFile(cert) }),
    ...(key === undefined ? {} : { key: await readFile(key) }),
  }
}
