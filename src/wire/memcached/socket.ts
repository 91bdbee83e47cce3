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

/** Starts to connect; whatever goes wrong is an 'error' event of the socket. `pem` is needed with TLS only. */
export function dial(server: ServerAddress, pem: PemFiles = {}): Dialled {
  const target =
    server.endpoint.kind === 'unix'
      ? { path: server.endpoint.path }
      : {
          host: server.endpoint.host,
          port: server.endpoint.port,
          noDelay: true,
          keepAlive: true,
          keepAliveInitialDelay: KEEP_ALIVE_MS,
        }
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
