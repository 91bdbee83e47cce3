import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { honoSession, type RequestSession, type SessionOptions, withSession } from 'latchkey/fetch'
import { afterEach, expect } from 'vitest'
import { admit } from '../admit.js'
import { portOf } from '../express/site.js'
import { TapWire } from '../express/tap-wire.js'
import { FetchBrowser } from './browser.js'

/** What the tests keep in a session. */
export interface Visit {
  n: number
  user: string
  list: string[]
  big: unknown
}

export type Handler = (request: Request, session: RequestSession<Visit>) => Response | Promise<Response>

export interface SiteOptions extends Partial<Omit<SessionOptions, 'manager'>> {
  readonly managerOptions?: SessionManagerOptions
}

export const KINDS = ['withSession', 'honoSession'] as const
export type Kind = (typeof KINDS)[number]

const sites = new Set<Site>()

/** A handler with a session, served by Node. Ends with the test, which fails when it still holds a lock. */
export class Site {
  /** What was thrown, and answered with 500. */
  readonly errors: unknown[] = []
  /** What `onRefused` was told. */
  readonly refused: string[] = []
  /** By path. */
  readonly routes = new Map<string, Handler>()
  /** Put round every handler. */
  around: (handler: Handler) => Handler = (handler) => handler
  private readonly browsers: FetchBrowser[] = []

  private constructor(
    readonly wire: TapWire | undefined,
    readonly manager: SessionManager,
    readonly server: Server,
    /** Another process; it is not seen in `flights`. */
    readonly elsewhere: SessionManager,
  ) {}

  static async start(kind: Kind, routes: Readonly<Record<string, Handler>>, options: SiteOptions = {}): Promise<Site> {
    const { managerOptions = {}, ...given } = options
    const wire = managerOptions.savePath === undefined && managerOptions.wire === undefined ? new TapWire() : undefined
    const manager = new SessionManager(wire === undefined ? managerOptions : { wire, ...managerOptions })
    const elsewhere = wire === undefined ? manager : new SessionManager({ wire: wire.inner })
    const site = new Site(wire, manager, createServer(), elsewhere)
    sites.add(site)
    for (const [path, handler] of Object.entries({ ...ROUTES, ...routes })) site.routes.set(path, handler)
    const route: Handler = (request, session) => {
      const handler = site.routes.get(new URL(request.url).pathname) ?? ((): Response => new Response('no such page', { status: 404 }))
      return site.around(handler)(request, session)
    }
    const sessionOptions: SessionOptions = {
      manager,
      secret: managerOptions.php === undefined && 'keyboard cat',
      onRefused: ({ code }) => void site.refused.push(code),
      ...given,
    }
    const handler = kind === 'withSession' ? withSession<Visit>(sessionOptions, route) : inHono(sessionOptions, route, site)
    const errorHandler = (error: unknown): Response => site.answerError(error)
    site.server.on('request', getRequestListener(handler, { errorHandler }))
    site.server.listen(0, '127.0.0.1')
    await once(site.server, 'listening')
    return site
  }

  answerError(error: unknown): Response {
    this.errors.push(error)
    return new Response('a bug', { status: 500 })
  }

  browser(options: { readonly maxSockets?: number } = {}): FetchBrowser {
    const browser = new FetchBrowser(portOf(this.server), options)
    this.browsers.push(browser)
    return browser
  }

  /** A browser with a session that is stored. */
  async visitor(): Promise<FetchBrowser> {
    const browser = this.browser()
    await admit(() => browser.get('/visit'))
    expect(browser.sid, 'the id of a new visitor').not.toBe('')
    this.wire?.flights.splice(0)
    return browser
  }

  stored(sid: string): Promise<object | undefined> {
    return this.elsewhere.peek(sid)
  }

  async isFree(...sids: string[]): Promise<boolean> {
    const { held, waiting } = this.manager.stats()
    const holders = await Promise.all(sids.filter((sid) => sid !== '').map((sid) => this.elsewhere.holder(sid)))
    return held === 0 && waiting === 0 && holders.every((holder) => holder === undefined)
  }

  /** Closes everything; the locks must be free by now. */
  async end(): Promise<void> {
    sites.delete(this)
    const sids = this.browsers.map(({ sid }) => sid)
    this.browsers.forEach((browser) => browser.close())
    const closed = new Promise((resolve) => this.server.close(resolve))
    this.server.closeAllConnections()
    await closed
    expect(await this.isFree(...sids.filter((sid) => this.manager.flawOf(sid) === undefined)), 'all is free at the end of the test').toBe(true)
    await this.manager.close()
    await this.elsewhere.close()
  }
}

const ROUTES: Readonly<Record<string, Handler>> = {
  '/visit': (_request, { data }) => {
    data.user = 'ada'
    return Response.json({})
  },
  '/show': (_request, { data }) => Response.json(data),
}

/** The same handler as a route of a Hono application. */
function inHono(options: SessionOptions, route: Handler, site: Site): (request: Request, env: object) => Response | Promise<Response> {
  const app = new Hono<{ Variables: { session: RequestSession<Visit> } }>()
  app.use(honoSession<Visit>(options))
  app.all('*', (c) => route(c.req.raw, c.get('session')))
  app.onError((error) => site.answerError(error))
  return (request, env) => app.fetch(request, env)
}

/** In every file that starts sites. */
export function endSitesAfterEach(): void {
  afterEach(async () => {
    for (const site of [...sites]) await site.end()
  })
}

export { barrier, until } from '../express/site.js'
