import { createServer, type Server } from 'node:http'
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from 'express'
import express4 from 'express4'
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { latchkey, type LatchkeyMiddleware, type LatchkeyOptions } from 'latchkey/express'
import { afterEach, expect } from 'vitest'
import { rowsOf } from '../../support/matrix.js'
import { admit } from '../admit.js'
import { Browser } from './browser.js'
import { TapWire } from './tap-wire.js'

/** What the tests keep in a session. Not merged into SessionData: the examples do that, each for itself. */
export interface Visit {
  n?: number
  user?: string
  seen?: number
  theme?: string
  list?: string[]
  big?: unknown
}

export const visit = (req: Request): Request['session'] & Visit => req.session

/** `npm test` plays with Express 4 what every framework must do (every-framework.test.ts), and `npm run test:all` everything. */
export const EXPRESSES = rowsOf([
  ['Express 5', express],
  ['Express 4', express4],
] as const)

export interface SiteOptions extends Partial<Omit<LatchkeyOptions, 'manager'>> {
  readonly framework?: typeof express
  readonly managerOptions?: SessionManagerOptions
  /** Mounted before the session. */
  readonly before?: (app: Express) => void
  /** In place of the site's own, which answers with the error's status, headers and code. */
  readonly onError?: ErrorRequestHandler | 'default'
}

export const SECRET = 'keyboard cat'
const sites = new Set<Site>()

/** An Express app with latchkey, on a loopback port. Ends with the test, which fails when it still holds a lock. */
export class Site {
  /** What the error handler saw. */
  readonly errors: unknown[] = []
  /** What `store.on('failure')` said. */
  readonly failures: { code: string }[] = []
  private readonly browsers: Browser[] = []

  private constructor(
    readonly wire: TapWire | undefined,
    readonly manager: SessionManager,
    readonly app: Express,
    readonly middleware: LatchkeyMiddleware,
    readonly server: Server,
    /** Looks into the store without being seen in `ops`. */
    private readonly observer: SessionManager,
  ) {}

  static async start(routes: (app: Express, site: Site) => void, options: SiteOptions = {}): Promise<Site> {
    const { framework = express, managerOptions = {}, before, onError, ...latchkeyOptions } = options
    const wire = managerOptions.savePath === undefined ? new TapWire() : undefined
    const manager = new SessionManager(wire === undefined ? managerOptions : { wire, ...managerOptions })
    const observer = wire === undefined ? manager : new SessionManager({ wire: wire.inner })
    const app = framework()
    before?.(app)
    const middleware = latchkey({ manager, secret: managerOptions.php === undefined && SECRET, resave: false, saveUninitialized: false, ...latchkeyOptions })
    app.use(middleware)
    const site = new Site(wire, manager, app, middleware, createServer(app), observer)
    sites.add(site)
    middleware.store.on('failure', (error: { code: string }) => site.failures.push(error))
    app.get('/set/:name/:value', (req, res) => {
      Object.assign(req.session, { [req.params.name]: req.params.value })
      res.json({ id: req.sessionID })
    })
    app.get('/show', (req, res) => void res.json(dataOf(req)))
    routes(app, site)
    if (onError !== 'default') app.use(onError ?? answerErrors(site))
    await new Promise<void>((resolve) => site.server.listen(0, '127.0.0.1', resolve))
    return site
  }

  get port(): number {
    return portOf(this.server)
  }

  browser(options: { readonly maxSockets?: number } = {}): Browser {
    const browser = new Browser(this.port, options)
    this.browsers.push(browser)
    return browser
  }

  /** A browser with a session that is stored. */
  async visitor(name = 'user', value = 'ada'): Promise<Browser> {
    const browser = this.browser()
    await admit(() => browser.get(`/set/${name}/${value}`))
    this.wire?.flights.splice(0)
    return browser
  }

  /** What is stored, without the cookie; undefined when nothing is. */
  async stored(sid: string): Promise<object | undefined> {
    const data = await this.observer.peek<Record<string, unknown>>(sid)
    if (data === undefined) return undefined
    return withoutCookie(data)
  }

  /** The commands of each flight since the visitor came, by their names. */
  get ops(): string[][] {
    const { wire } = this
    return wire === undefined ? [] : wire.flights.map((commands) => commands.map(wire.names.of))
  }

  async isFree(...sids: string[]): Promise<boolean> {
    const { held, waiting } = this.manager.stats()
    const holders = await Promise.all(sids.map((sid) => this.observer.holder(sid)))
    return held === 0 && waiting === 0 && holders.every((holder) => holder === undefined)
  }

  /** Closes everything; the locks must be free by now. */
  async end(): Promise<void> {
    sites.delete(this)
    const sids = this.browsers.map(({ sid }) => sid).filter((sid) => sid !== '')
    this.browsers.forEach((browser) => browser.close())
    const closed = new Promise((resolve) => this.server.close(resolve))
    this.server.closeAllConnections()
    await closed
    const { held, waiting } = this.manager.stats()
    expect({ held, waiting }, 'held and waiting at the end of the test').toEqual({ held: 0, waiting: 0 })
    for (const sid of new Set(sids)) {
      if (this.manager.flawOf(sid) !== undefined) continue
      expect(await this.observer.holder(sid), 'holder at the end of the test').toBeUndefined()
    }
    await this.manager.close()
    await this.observer.close()
  }
}

/** In every file that starts sites. */
export function endSitesAfterEach(): void {
  afterEach(async () => {
    for (const site of [...sites]) await site.end()
  })
}

export function portOf(server: Server): number {
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

const answerErrors =
  (site: Site): ErrorRequestHandler =>
    (error: Error & { status?: number; code?: string; headers?: Record<string, string> }, _req, res, next) => {
      site.errors.push(error)
      if (res.headersSent) next(error)
      else res.status(error.status ?? 500).set(error.headers ?? {}).json({ error: error.code ?? error.message })
    }

export function dataOf(req: Request): object {
  return withoutCookie(req.session)
}

const withoutCookie = (data: object): object => Object.fromEntries(Object.entries(data).filter(([name]) => name !== 'cookie'))

/** A promise and what settles it. */
export function barrier<T = void>(): { readonly passed: Promise<T>; readonly open: (value: T) => void } {
  let open: (value: T) => void = () => undefined
  const passed = new Promise<T>((resolve) => (open = resolve))
  return { passed, open }
}

/** Until `condition` holds, looking at each turn of the event loop; for what no promise tells. */
export async function until(condition: () => boolean | Promise<boolean>, limitMs = 15_000): Promise<void> {
  const end = Date.now() + limitMs
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${String(limitMs)} ms: ${condition.toString()}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export type { Request, Response }
