/** Opens sockets to a server of a save path: TCP, TLS or unix. */
import { readFile } from 'node:fs/promises'
import * as net from 'node:net'
import * as tls from 'node:tls'
import type { SocketAddress, TlsParameters } from './address.js'

// By keep-alive the kernel notices a peer that vanished without a word. A flight has its own, much shorter deadline.
const KEEP_ALIVE_MS = 30_000

export interface Dialled {
  readonly socket: net.Socket
  /** The event after which bytes may be written. */
  readonly readyEvent: 'connect' | 'secureConnect'
}

export interface PemFiles {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/** How much is read at once: as much as Node itself reads, which makes a new buffer for each read. */
const READ_BYTES = 64 * 1024

/**
 * Starts to connect. Every failure is an 'error' event of the socket. `pem` is needed with TLS only.
 *
 * @param receive is called with what has arrived, in a buffer that is valid only until `receive` returns: all reads
 *   of the connection go into one buffer, which saves making a new one for each. Without `receive` there are 'data'
 *   events.
 */
export function dial(server: SocketAddress, pem: PemFiles = {}, receive?: (chunk: Buffer) => void): Dialled {
  const target = { ...placeOf(server), ...(receive === undefined ? {} : { onread: into(receive) }) }
  if (server.tls === undefined) return { socket: net.connect(target), readyEvent: 'connect' }
  const servername = server.tls.servername ?? (server.endpoint.kind === 'tcp' ? server.endpoint.host : '')
  const socket = tls.connect({
    ...target,
    ...pem,
    // Server Name Indication takes no addresses (RFC 6066). The certificate is still checked against the address.
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

function placeOf({ endpoint }: SocketAddress) {
  if (endpoint.kind === 'unix') return { path: endpoint.path }
  const { host, port } = endpoint
  return { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
}

/** What is being read. A file that does not answer takes a thread of Node's few, and no other one for each attempt to connect. */
const underWay = new Map<string, Promise<Buffer>>()

function read(path: string): Promise<Buffer> {
  let reading = underWay.get(path)
  if (reading === undefined) {
    reading = readFile(path).finally(() => underWay.delete(path))
    underWay.set(path, reading)
  }
  return reading
}

/**
 * Reads the PEM files. They are read again for each connection, so that renewed certificates are used without a
 * restart. It may take for ever: a file may be on a mount that hangs. Without TLS there are none.
 *
 * @throws what reading a file throws.
 */
export async function readPemFiles({ ca, cert, key }: Partial<TlsParameters> = {}): Promise<PemFiles> {
  return {
    ...(ca === undefined ? {} : { ca: await read(ca) }),
    ...(cert === undefined ? {} : { cert: await read(cert) }),
    ...(key === undefined ? {} : { key: await read(key) }),
  }
}
