/** A server that shakes hands like a Redis, and answers otherwise what a test says. */
import { createServer, type Server, type Socket } from 'node:net'
import { SCRIPT_SHA } from '../../src/wire/redis/script.js'
import { commandOf } from '../../src/wire/redis/resp.js'

/** What is answered, in RESP; undefined: nothing, ever. */
export type Answer = (words: readonly string[], node: ScriptedRedis) => string | undefined

/** What it says that it is. Default: a node of a cluster that takes writes. */
export interface Guise {
  readonly mode?: 'cluster' | 'sentinel' | 'standalone'
  readonly role?: 'master' | 'replica'
}

export class ScriptedRedis implements AsyncDisposable {
  /** All but the handshakes. */
  readonly asked: string[] = []
  private readonly sockets = new Set<Socket>()

  private constructor(
    private readonly server: Server,
    readonly port: number,
    private readonly hello: string,
  ) {}

  static start(answer: Answer, { mode = 'cluster', role = 'master' }: Guise = {}): Promise<ScriptedRedis> {
    const server = createServer({ noDelay: true })
    return new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        const node = new ScriptedRedis(server, address !== null && typeof address === 'object' ? address.port : 0, commandOf('mode', mode, 'role', role))
        server.on('connection', (socket) => {
          node.sockets.add(socket)
          socket.on('error', () => undefined)
          socket.setEncoding('latin1').on('data', (text: string) => {
            for (const words of commandsIn(text)) {
              const said = node.answerTo(words, answer)
              if (said !== undefined) socket.write(said, 'latin1')
            }
          })
        })
        resolve(node)
      })
    })
  }

  get address(): string {
    return `127.0.0.1:${String(this.port)}`
  }

  /** The table of a cluster in which this node has all slots. */
  get allSlots(): string {
    return `*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:${String(this.port)}\r\n`
  }

  /** Says something that was not asked for, on every connection. */
  say(text: string): void {
    for (const socket of this.sockets) socket.write(text, 'latin1')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private answerTo(words: readonly string[], answer: Answer): string | undefined {
    if (words[0] === 'HELLO') return this.hello
    if (words[0] === 'SCRIPT') return `$40\r\n${SCRIPT_SHA}\r\n`
    this.asked.push(words.join(' '))
    return answer(words, this)
  }
}

/** The commands in a chunk of whole ones, whose words have no line breaks; the script may have some. */
function commandsIn(text: string): string[][] {
  const found: string[][] = []
  let at = 0
  const line = (): string => {
    const end = text.indexOf('\r\n', at)
    const read = text.slice(at + 1, end)
    at = end + 2
    return read
  }
  while (at < text.length) {
    const words = Array.from({ length: Number(line()) }, () => {
      const length = Number(line())
      const word = text.slice(at, at + length)
      at += length + 2
      return word
    })
    found.push(words)
  }
  return found
}
