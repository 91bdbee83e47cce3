import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach } from 'vitest'
import { until } from './express/site.js'

/** Clients that stall, in the middle of what they send, or of what they are to read; or that leave. */

const sockets: Socket[] = []
/** In every file that has some. */
export function endStalledAfterEach(): void {
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
  })
}

interface Client {
  readonly port: number
  readonly cookie?: string | undefined
}

export interface StalledUpload {
  /** Sends the rest of the body; resolves with the whole response. */
  finish(): Promise<string>
  /** The client goes. */
  leave(): void
  /** What the server has of it. */
  readonly incoming: IncomingMessage
}

/** The first half of the body is sent, and as much of it has arrived as the server takes. */
export async function stalledUpload(
  server: Server,
  { port, cookie = '' }: Client,
  { path = '/upload', type = 'text/plain', body }: { readonly path?: string; readonly type?: string; readonly body: Buffer },
): Promise<StalledUpload> {
  const arriving = once(server, 'request') as Promise<[IncomingMessage]>
  const socket = await connected(port)
  let answer = ''
  socket.setEncoding('latin1').on('data', (part: string) => (answer += part))
  const length = String(body.length)
  const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: ${type}\r\nCookie: ${cookie}\r\nContent-Length: ${length}\r\n\r\n`
  socket.write(head)
  const halfBytes = Math.floor(body.length / 2)
  socket.write(body.subarray(0, halfBytes))
  const [incoming] = await arriving
  // Kept by Node until somebody reads it, or until that is full; or read by whoever receives it.
  await until(() => incoming.readableLength >= Math.min(halfBytes, incoming.readableHighWaterMark) || incoming.readableFlowing === true)
  return {
    incoming,
    finish: async () => {
      socket.write(body.subarray(halfBytes))
      await once(socket, 'close')
      return answer
    },
    leave: () => {
      socket.destroy()
    },
  }
}

export interface StalledDownload {
  /** What the server has not got rid of. */
  readonly response: ServerResponse
  /** Reads on; resolves with how many bytes have come in all. */
  finish(): Promise<number>
}

/** A client that has seen the head of its response, and reads no further. */
export async function stalledDownload(server: Server, { port, cookie = '' }: Client, path: string): Promise<StalledDownload> {
  const arriving = once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>
  const socket = await connected(port)
  let bytes = 0
  const head = new Promise<void>((resolve) => {
    socket.on('data', (part: Buffer) => {
      if (bytes === 0) socket.pause()
      bytes += part.length
      resolve()
    })
  })
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: ${cookie}\r\n\r\n`)
  const [, response] = await arriving
  await head
  return {
    response,
    finish: async () => {
      const closed = once(socket, 'close')
      socket.resume()
      await closed
      return bytes
    },
  }
}

/** Asks on a socket of its own, to leave by it. */
export async function ask(client: Client, path = '/it'): Promise<Socket> {
  const socket = await connected(client.port)
  socket.write(requestOf(client, path))
  return socket
}

export const requestOf = ({ cookie = '' }: Client, path = '/it'): string => `GET ${path} HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\n\r\n`

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  sockets.push(socket)
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}
