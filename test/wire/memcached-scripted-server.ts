/** A server that shakes hands like memcached and then does what a test says, byte by byte. */
import { createServer, type Server, type Socket } from 'node:net'

export interface ScriptedOptions {
  /** What to do with a chunk that came after the handshake. `count` counts the chunks of all connections from 1. */
  readonly onRequest: (socket: Socket, request: Buffer, count: number) => void
  /** Instead of the handshake. Default: answers it. */
  readonly onConnect?: (socket: Socket) => void
  readonly protocol?: 'binary' | 'text'
  /** What it says that it is, by the text protocol. Default: one that has all that latchkey uses. */
  readonly release?: string
  readonly port?: number
}

export class ScriptedServer implements AsyncDisposable {
  connections = 0
  /** What came after the handshakes, one for each chunk. */
  readonly requests: Buffer[] = []
  readonly sockets: Socket[] = []

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static start(options: ScriptedOptions): Promise<ScriptedServer> {
    const { onRequest, onConnect, protocol = 'text', release = '1.6.18' } = options
    const server = createServer({ noDelay: true })
    return new Promise((resolve) => {
      server.listen(options.port ?? 0, '127.0.0.1', () => {
        const address = server.address()
        const scripted = new ScriptedServer(server, address !== null && typeof address === 'object' ? address.port : 0)
        server.on('connection', (socket) => {
          scripted.connections += 1
          scripted.sockets.push(socket)
          socket.on('error', () => undefined)
          if (onConnect !== undefined) {
            onConnect(socket)
            return
          }
          socket.once('data', (handshake: Buffer) => {
            socket.write(protocol === 'text' ? `VERSION ${release}\r\nEND\r\nEND\r\n` : binaryReplies(handshake))
            socket.on('data', (request: Buffer) => {
              scripted.requests.push(request)
              onRequest(socket, request, scripted.requests.length)
            })
          })
        })
        resolve(scripted)
      })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

export interface BinaryReply {
  readonly magic?: number
  readonly opcode: number
  readonly status?: number
  readonly opaque: number
  readonly cas?: number
  readonly extras?: Buffer
  readonly value?: Buffer
  /** Default: what it is. */
  readonly bodyBytes?: number
}

export function binaryReply(reply: BinaryReply): Buffer {
  const { extras = Buffer.alloc(0), value = Buffer.alloc(0) } = reply
  const header = Buffer.alloc(24)
  header[0] = reply.magic ?? 0x81
  header[1] = reply.opcode
  header[4] = extras.length
  header.writeUInt16BE(reply.status ?? 0, 6)
  header.writeUInt32BE(reply.bodyBytes ?? extras.length + value.length, 8)
  header.writeUInt32BE(reply.opaque, 12)
  header.writeUInt32BE(reply.cas ?? 0, 20)
  return Buffer.concat([header, extras, value])
}

/** The requests in a chunk of whole messages. */
export function binaryRequests(chunk: Buffer): { opcode: number; opaque: number }[] {
  const found = []
  for (let at = 0; at + 24 <= chunk.length; at += 24 + chunk.readUInt32BE(at + 8)) {
    found.push({ opcode: chunk.readUInt8(at + 1), opaque: chunk.readUInt32BE(at + 12) })
  }
  return found
}

/** An empty success for each request in a chunk. */
export function binaryReplies(chunk: Buffer): Buffer {
  return Buffer.concat(binaryRequests(chunk).map(binaryReply))
}
