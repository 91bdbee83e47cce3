/**
 * A router that follows mcrouter's source as far as tests need it: mcrouter itself is no package of Debian's, and takes
 * hours to build. What it speaks: the text protocol, and the questions of mcrouter/ServiceInfo-inl.h by `get`.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { Routes, type Route } from './routes.js'
import type { Request } from './destination.js'

const STORES = ['set', 'add', 'replace', 'append', 'prepend', 'cas']
const LINES = ['get', 'gets', 'delete', 'touch', 'incr', 'decr']
/** mcrouter/Proxy-inl.h, processGetServiceInfoRequest(): a `get`, and no `gets`. */
const QUESTION = '__mcrouter__.'
const VERSION = 'mcrouter 41.0.0'

export interface McrouterOptions {
  /** What `__mcrouter__.options(name)` answers, by name. */
  readonly options?: Readonly<Record<string, string>>
  readonly random?: () => number
}

export class Mcrouter implements AsyncDisposable {
  readonly #routes: Routes
  readonly #options: Readonly<Record<string, string>>
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  address = ''

  private constructor(configuration: string, { options = {}, random }: McrouterOptions) {
    this.#routes = new Routes(configuration, random)
    this.#options = options
  }

  static async start(configuration: string, options: McrouterOptions = {}): Promise<Mcrouter> {
    const router = new Mcrouter(configuration, options)
    const server = createServer({ noDelay: true }, (socket) => router.#serve(socket))
    router.#server = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const bound = server.address()
    router.address = `127.0.0.1:${String(typeof bound === 'object' ? bound?.port : '')}`
    return router
  }

  /** It calls a server again with the next request. */
  serves(): Promise<void> {
    return Promise.resolve()
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#routes.close()
    await new Promise((resolve) => this.#server?.close(resolve))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** Requests of a client go on their ways at once, and are answered in their order. */
  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket))
    let arrived = ''
    let last: Promise<unknown> = Promise.resolve()
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      arrived += text
      for (let next = cut(arrived); next !== undefined; next = cut(arrived)) {
        arrived = arrived.slice(next.length)
        const answer = this.#answer(next)
        last = last.then(async () => socket.write(await answer, 'latin1'))
      }
    })
  }

  async #answer(bytes: string): Promise<string> {
    const [op = '', ...words] = bytes.slice(0, bytes.indexOf('\r\n')).split(' ')
    if (op === 'version') return `VERSION ${VERSION}\r\n`
    const [key] = words
    if (key === undefined || (!STORES.includes(op) && !LINES.includes(op))) return 'CLIENT_ERROR malformed request\r\n'
    if (op === 'get' && key.startsWith(QUESTION)) return valueOf(key, this.#ask(key.slice(QUESTION.length)))
    if (op !== 'get' && op !== 'gets') return (await this.#routes.root.route({ op, key, bytes })).bytes
    const reads = words.map((each) => this.#routes.root.route({ op, key: each, bytes: `${op} ${each}\r\n` }))
    let values = ''
    for (const { bytes: read } of await Promise.all(reads)) {
      // The values of the keys before it are sent all the same (AsciiSerialized.cpp, "Multi-op hack").
      if (/^\w+_ERROR/.test(read)) return values + read
      values += read.replace(/END\r\n$/, '')
    }
    return `${values}END\r\n`
  }

  /** mcrouter/ServiceInfo-inl.h, handleRequest(). */
  #ask(question: string): string {
    const [, command = question, argument = ''] = /^([^(]*)\((.*)\)$/.exec(question) ?? []
    if (command === 'version') return VERSION
    if (command === 'options') return this.#options[argument] ?? `ERROR: options: option ${argument} not found`
    if (command !== 'route' && command !== 'route_handles') return `ERROR: unknown command: ${command}`
    const comma = argument.indexOf(',')
    const request: Request = { op: argument.slice(0, comma), key: argument.slice(comma + 1), bytes: '' }
    return command === 'route' ? destinations(this.#routes.root, request).join('\r\n') : tree(this.#routes.root, request, 0).join('\n')
  }
}

const tree = (route: Route, request: Request, level: number): readonly string[] => [
  ' '.repeat(level) + route.name,
  ...route.children(request).flatMap((child) => tree(child, request, level + 1)),
]

const destinations = (route: Route, request: Request): readonly string[] =>
  route.address === undefined ? route.children(request).flatMap((child) => destinations(child, request)) : [route.address]

const valueOf = (key: string, text: string): string => `VALUE ${key} 0 ${String(text.length)}\r\n${text}\r\nEND\r\n`

/** The first request of a text, all of it; undefined where it is not all there. */
function cut(text: string): string | undefined {
  const end = text.indexOf('\r\n')
  if (end < 0) return undefined
  const [op = '', , , , length] = text.slice(0, end).split(' ')
  const bytes = end + 2 + (STORES.includes(op) ? Number(length) + 2 : 0)
  return bytes > text.length ? undefined : text.slice(0, bytes)
}
