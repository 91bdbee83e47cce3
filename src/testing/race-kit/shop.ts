import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

/** A middleware like express-session's. The types are loose, because frameworks extend request and response. */
export type SessionMiddleware = (req: never, res: never, next: (error?: unknown) => void) => unknown

/** The part of express-session's session object (`req.session`) that the stories use. */
export interface KitSession {
  [key: string]: unknown
  save(callback: (error: unknown) => void): void
  regenerate(callback: (error: unknown) => void): void
  destroy(callback: (error: unknown) => void): void
}

export interface Visit {
  readonly req: IncomingMessage & { session: KitSession }
  readonly res: ServerResponse
}

export type Handler = (visit: Visit) => Promise<void> | void

/** A small application behind the middleware under test, on a loopback port of its own. */
export class Shop {
  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async open(middleware: SessionMiddleware, handlers: Readonly<Record<string, Handler>>): Promise<Shop> {
    const server = createServer((req, res) => {
      const next = (error?: unknown): void => {
        const handler = handlers[(req.url ?? '').replace(/^\//, '')]
        if (error !== undefined && error !== null) fail(res, error)
        else if (handler === undefined || !hasSession(req)) fail(res, new Error('no handler or no session'))
        else Promise.resolve(handler({ req, res })).catch((reason: unknown) => { fail(res, reason) })
      }
      Reflect.apply(middleware, undefined, [req, res, next])
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new TypeError('the server has no port')
    return new Shop(server, `http://127.0.0.1:${String(address.port)}`)
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise<void>((resolve) => {
      this.server.close(() => { resolve() })
    })
  }
}

function hasSession(req: IncomingMessage): req is Visit['req'] {
  return 'session' in req && typeof req.session === 'object' && req.session !== null
}

function fail(res: ServerResponse, error: unknown): void {
  if (res.headersSent) return void res.destroy()
  const status = typeof error === 'object' && error !== null && 'status' in error ? Number(error.status) : 500
  res.statusCode = Number.isInteger(status) && status >= 400 && status < 600 ? status : 500
  res.end('failed')
}

/** A browser that keeps the last cookie it was sent. */
export class Browser {
  private cookie = ''

  constructor(private readonly shop: Shop) {}

  /** Sends a request with the present cookie, or with the cookie `as`. */
  async visit(path: string, options: { readonly as?: string; readonly signal?: AbortSignal } = {}): Promise<string> {
    const response = await fetch(`${this.shop.url}/${path}`, {
      headers: { cookie: options.as ?? this.cookie },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
    this.keep(response)
    return response.text()
  }

  /** Sends a request, and resolves when the first bytes of the body have arrived. `rest` reads to the end. */
  async begin(path: string): Promise<{ rest: () => Promise<void> }> {
    const response = await fetch(`${this.shop.url}/${path}`, { headers: { cookie: this.cookie } })
    this.keep(response)
    const reader = response.body?.getReader()
    await reader?.read()
    return {
      rest: async () => {
        while (reader !== undefined && !(await reader.read()).done);
      },
    }
  }

  get currentCookie(): string {
    return this.cookie
  }

  private keep(response: Response): void {
    const cookie = response.headers.getSetCookie().at(-1)
    if (cookie !== undefined) this.cookie = cookie.replace(/;.*$/, '')
  }
}

/** A point that two requests try to reach together. A request that is alone there goes on after a while. */
export class Meeting {
  private arrived = 0
  private open: () => void = () => undefined
  private readonly all = new Promise<void>((resolve) => {
    this.open = resolve
  })

  constructor(
    private readonly expected: number,
    /** After how many milliseconds a request goes on alone. Under a lock the other request never comes. */
    private readonly patienceMs: number,
  ) {}

  async reach(): Promise<void> {
    this.arrived++
    if (this.arrived >= this.expected) this.open()
    let timer: NodeJS.Timeout | undefined
    const alone = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.patienceMs)
    })
    await Promise.race([this.all, alone])
    clearTimeout(timer)
  }
}

/** Calls a method that takes a callback, and waits until the callback is called. */
export const called = (work: (callback: (error: unknown) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    work((error) => {
      if (error === null || error === undefined) resolve()
      else reject(error instanceof Error ? error : new Error(String(error)))
    })
  })
