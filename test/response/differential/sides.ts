import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { createServer as createHttp2Server, type Http2Server, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { sign } from 'cookie-signature'
import express, { type Express, type RequestHandler } from 'express'
import session from 'express-session'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { type Refusal } from '../../../src/response/held-head.js'
import { type GateKeeper, ResponseGate } from '../../../src/response/response-gate.js'
import { type Answer, type Client, clientOf, NOTHING } from './clients.js'
import { change, type Log, type Protocol, type Shape } from './shapes.js'
import { wrap, WRAPPER_NAMES } from './wrappers.js'

export const SIDES = ['Node', 'express-session', 'latchkey', 'gate'] as const
export type SideName = (typeof SIDES)[number]

/** How the visitor comes, and whether the handler changes the session. */
export const VISITS = ['new', 'changed', 'same'] as const
export type Visit = (typeof VISITS)[number]

export interface Exchange {
  readonly wrapper: string
  readonly shape: Shape
  readonly visit: Visit
  readonly sid: string
}

/** What came of it: at the client, in the handler, and in the store. */
export interface Outcome extends Answer {
  readonly cookies: string | undefined
  readonly length: string | undefined
  readonly events: readonly string[]
  readonly stored: string
}

const cookieOf = (sid: string): string => `connect.sid=${encodeURIComponent(`s:${sign(sid, SECRET)}`)}`

const SECRET = 'keyboard cat'
const OPTIONS = { secret: SECRET, resave: false, saveUninitialized: false }

/** The store, as both have it. */
interface Store {
  set(sid: string, data: session.SessionData, callback: (error?: unknown) => void): void
  get(sid: string, callback: (error: unknown, data?: session.SessionData | null) => void): void
}

const NO_STORE: Store = {
  set: (_sid, _data, callback) => {
    callback()
  },
  get: (_sid, callback) => {
    callback(null, null)
  },
}

/** One application in all its wrappers, on a server of its own; one request at a time. */
export class Side {
  private current: (Exchange & { readonly log: Log; readonly onEntered: () => void; readonly onOver: () => void }) | undefined
  private readonly apps = new Map<string, Express>()
  private store: Store = NO_STORE
  readonly manager = new SessionManager()
  private server: Server | Http2Server | undefined
  private client: Client | undefined
  private port = 0
  private handling: Promise<unknown> = Promise.resolve()

  private constructor(
    private readonly name: SideName,
    private readonly protocol: Protocol,
  ) {}

  static async start(name: SideName, protocol: Protocol): Promise<Side> {
    const side = new Side(name, protocol)
    const middleware = side.middleware()
    for (const wrapper of WRAPPER_NAMES) side.apps.set(wrapper, side.app(wrapper, middleware))
    const server = protocol === 'HTTP/2' ? createHttp2Server(side.serve) : createServer({ keepAliveTimeout: 0 }, side.serve)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    side.server = server
    side.port = typeof address === 'object' && address !== null ? address.port : 0
    side.client = clientOf(protocol, side.port)
    return side
  }

  async ask(exchange: Exchange): Promise<Outcome> {
    const { sid, shape, visit } = exchange
    const { client } = this
    if (client === undefined) throw new Error('not started')
    if (visit !== 'new') await this.seed(sid)
    const events: string[] = []
    const log: Log = (...said) => events.push(said.map(String).join(' '))
    const onEntered = (): void => {
      if (shape.leaves === true) client.leave()
    }
    const over = new Promise<void>((resolve) => (this.current = { ...exchange, log, onEntered, onOver: resolve }))
    const answer = await client.ask('/it', shape, visit === 'new' ? undefined : cookieOf(sid))
    await over
    await this.settled(sid)
    const stored = await this.stored(sid)
    return { ...comparable(shape.leaves === true ? NOTHING : answer), events: [...events], stored }
  }

  /** Requests of one visitor that come in one piece; what comes back is as it is on the wire, without the dates. */
  async pipeline(exchange: Exchange, times: number): Promise<string> {
    await this.seed(exchange.sid)
    this.current = { ...exchange, log: () => undefined, onEntered: () => undefined, onOver: () => undefined }
    const socket = connect(this.port, '127.0.0.1')
    const request = (connection: string): string =>
      `GET /it HTTP/1.1\r\nHost: localhost\r\nConnection: ${connection}\r\nCookie: ${cookieOf(exchange.sid)}\r\n\r\n`
    socket.write(request('keep-alive').repeat(times - 1) + request('close'))
    let text = ''
    socket.setEncoding('latin1')
    for await (const chunk of socket) text += String(chunk)
    return text.replace(/^Date: .*\r\n/gm, '')
  }

  async close(): Promise<void> {
    this.client?.close()
    this.server?.close()
    if (this.server !== undefined && 'closeAllConnections' in this.server) this.server.closeAllConnections()
    await this.manager.close({ graceMs: 0 })
  }

  private middleware(): RequestHandler | undefined {
    let made = ''
    // Another one for a session that is regenerated.
    const genid = (): string => {
      const { sid = 'none' } = this.current ?? {}
      made = made === sid || this.current?.visit !== 'new' ? `${sid}-2` : sid
      return made
    }
    const { manager } = this
    if (this.name === 'Node') return undefined
    if (this.name === 'gate') return gated
    if (this.name === 'latchkey') {
      const middleware = latchkey({ manager, genid, ...OPTIONS })
      this.store = middleware.store
      return middleware
    }
    const store = new session.MemoryStore()
    this.store = store
    return session({ store, genid, ...OPTIONS })
  }

  private app(wrapper: string, middleware: RequestHandler | undefined): Express {
    const app = express()
    app.set('env', 'test')
    if (this.protocol === 'HTTP/2') speakHttp2(app, this.name === 'express-session')
    wrap(app, wrapper, middleware)
    app.use((req, res, next) => {
      const { current } = this
      if (current === undefined) return next()
      const { shape, visit, log, onEntered } = current
      res.setMaxListeners(0)
      for (const event of ['finish', 'close', 'pipe', 'unpipe']) res.on(event, () => log(event))
      res.on('error', (error: Error & { code?: string }) => log('error', error.code))
      if (visit !== 'same') change(req, 'at')
      onEntered()
      return this.handled(shape.handler(req, res, log, next))
    })
    return app
  }

  private readonly serve = (req: IncomingMessage | Http2ServerRequest, res: ServerResponse | Http2ServerResponse): void => {
    const { wrapper = '', onOver } = this.current ?? {}
    res.on('close', () => {
      onOver?.()
    })
    const app = this.apps.get(wrapper)
    if (app !== undefined) Reflect.apply(app, undefined, [req, res])
  }

  /** The handler, what is called by a close, and the store have had their turns. */
  private async settled(sid: string): Promise<void> {
    await this.handling
    for (let turns = 0; turns < 4; turns++) await new Promise((resolve) => setImmediate(resolve))
    // What is ended after its client has left is stored in its own time. (Of HTTP/2 nobody is told who has cut a stream.)
    const isLeft = this.current?.shape.leaves === true
    while (isLeft && (await this.manager.holder(sid)) !== undefined) await new Promise((resolve) => setImmediate(resolve))
  }

  private handled(result: unknown): unknown {
    this.handling = Promise.resolve(result).catch(() => undefined)
    return result
  }

  private seed(sid: string): Promise<void> {
    const data = Object.assign({ cookie: new session.Cookie() }, { user: 'ada' })
    return new Promise((resolve, reject) => {
      this.store.set(sid, data, (error) => {
        if (error === undefined || error === null) resolve()
        else reject(new Error('not stored', { cause: error }))
      })
    })
  }

  private stored(sid: string): Promise<string> {
    return new Promise((resolve) => {
      this.store.get(sid, (error, data) => {
        if (Boolean(error)) resolve(String(error))
        else resolve(data === null || data === undefined ? 'nothing' : JSON.stringify({ ...data, cookie: undefined }))
      })
    })
  }
}

const REFUSAL: Refusal = { status: 500, headers: {}, message: 'refused' }
const later = (): Promise<undefined> => new Promise((resolve) => process.nextTick(resolve, undefined))

/** Lets everything out, each time a little later. */
const PATIENT: GateKeeper<Refusal> = {
  beforeStream: later,
  beforeEnd: () => undefined,
  decided: later,
  isGivenUp: () => false,
  onBroken: (error) => ({ error, refusal: REFUSAL }),
  onRefused: () => undefined,
  onLateFailure: () => undefined,
}

/** Holds responses back, for nobody's session. */
const gated: RequestHandler = (_req, res, next) => {
  new ResponseGate(res, PATIENT).watchEnd()
  next()
}

const LEFT_OUT = ['date', 'set-cookie', 'content-length', 'transfer-encoding']

/** Without what is another one each time, and without how the body was cut. */
function comparable({ headers, ...rest }: Answer): Answer & Pick<Outcome, 'cookies' | 'length'> {
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const { 'set-cookie': cookies, 'content-length': length } = lower
  const others = Object.entries(lower).filter(([name]) => !LEFT_OUT.includes(name))
  return { ...rest, headers: Object.fromEntries(others), cookies, length }
}

/** What Express adds to requests and responses. */
function added(to: object): PropertyDescriptorMap {
  const all = Object.getOwnPropertyDescriptors(to)
  return Object.fromEntries(Object.entries(all).filter(([name]) => name !== 'constructor'))
}

/** Express makes every request and response one of HTTP/1: what it adds to them goes to HTTP/2's. */
function speakHttp2(app: Express, isHelped: boolean): void {
  const own = { app: { configurable: true, enumerable: true, writable: true, value: app } }
  // HTTP/2's response has none, and without it express-session sends nothing there.
  const _implicitHeader = function (this: Http2ServerResponse): void {
    if (!this.headersSent) this.writeHead(this.statusCode)
  }
  Object.assign(app, {
    request: Object.create(Http2ServerRequest.prototype, { ...added(express.request), ...own }) as object,
    response: Object.create(Http2ServerResponse.prototype, { ...added(express.response), ...own }) as object,
  })
  if (isHelped) Object.assign(app.response, { _implicitHeader })
}
