import { createServer, type Server } from 'node:http'
import Koa, { type Context } from 'koa'
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { latchkey, type LatchkeyOptions, type LatchkeySession } from 'latchkey/koa'
import { afterEach, expect } from 'vitest'
import { admit } from '../admit.js'
import { portOf } from '../express/site.js'
import { TapWire } from '../express/tap-wire.js'
import { KoaBrowser } from './browser.js'

/** What the tests keep in a session. */
export interface Visit extends LatchkeySession {
  n?: number
  user?: string
  list?: string[]
  big?: unknown
}

export interface SiteOptions extends Partial<Omit<LatchkeyOptions, 'manager'>> {
  readonly managerOptions?: SessionManagerOptions
  /** Above the session. */
  readonly before?: (app: Koa) => void
}

export type Handler = (ctx: Context, session: Visit) => unknown

const sites = new Set<Site>()

/** A Koa application with latchkey, on a loopback port. Ends with the test, which fails when it still holds a lock. */
export class Site {
  /** What Koa was told of. */
  readonly errors: { code?: string; status?: number }[] = []
  /** By path. */
  readonly routes = new Map<string, Handler>()
  private readonly browsers: KoaBrowser[] = []

  private constructor(
    readonly wire: TapWire | undefined,
    readonly manager: SessionManager,
    readonly app: Koa,
    readonly server: Server,
    /** Looks into the store without being seen in `flights`. */
    private readonly observer: SessionManager,
  ) {}

  static async start(routes: Readonly<Record<string, Handler>>, options: SiteOptions = {}): Promise<Site> {
    const { managerOptions = {}, before, ...latchkeyOptions } = options
    const wire = managerOptions.savePath === undefined && managerOptions.wire === undefined ? new TapWire() : undefined
    const manager = new SessionManager(wire === undefined ? managerOptions : { wire, ...managerOptions })
    const observer = wire === undefined ? manager : new SessionManager({ wire: wire.inner })
    const app = new Koa()
    if (managerOptions.php === undefined) app.keys = ['keyboard cat']
    before?.(app)
    app.use(latchkey({ manager, ...latchkeyOptions }, app))
    const site = new Site(wire, manager, app, createServer(), observer)
    sites.add(site)
    app.on('error', (error: { code?: string }) => site.errors.push(error))
    for (const [path, handler] of Object.entries({ ...ROUTES, ...routes })) site.routes.set(path, handler)
    app.use(async (ctx) => {
      const handler = site.routes.get(ctx.path)
      if (handler === undefined) return
      const body = await handler(ctx, ctx['session'])
      if (body !== undefined) ctx.body = body
    })
    site.server.on('request', app.callback())
    await new Promise<void>((resolve) => site.server.listen(0, '127.0.0.1', resolve))
    return site
  }

  browser(options: { readonly maxSockets?: number } = {}): KoaBrowser {
    const browser = new KoaBrowser(portOf(this.server), options)
    this.browsers.push(browser)
    return browser
  }

  /** A browser with a session that is stored. */
  async visitor(): Promise<KoaBrowser> {
    const browser = this.browser()
    await admit(() => browser.get('/visit'))
    expect(browser.sid, 'the id of a new visitor').not.toBe('')
    this.wire?.flights.splice(0)
    return browser
  }

  /** What is stored, without koa-session's own; undefined when nothing is. */
  async stored(sid: string): Promise<object | undefined> {
    const data = await this.observer.peek<Record<string, unknown>>(sid)
    return data === undefined ? undefined : Object.fromEntries(Object.entries(data).filter(([name]) => !name.startsWith('_')))
  }

  async isFree(...sids: string[]): Promise<boolean> {
    const { held, waiting } = this.manager.stats()
    const holders = await Promise.all(sids.map((sid) => this.observer.holder(sid)))
    return held === 0 && waiting === 0 && holders.every((holder) => holder === undefined)
  }

  holder(sid: string): ReturnType<SessionManager['holder']> {
    return this.observer.holder(sid)
  }

  /** Another process. */
  elsewhere(): SessionManager {
    return this.observer
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
      expect(await this.observer.holder(sid), 'holder at the end of the test').toBeUndefined()
    }
    await this.manager.close()
    await this.observer.close()
  }
}

const ROUTES: Readonly<Record<string, Handler>> = {
  '/visit': async (_ctx, session) => {
    session.user = 'ada'
    await session.save()
    return {}
  },
  '/show': (ctx) => ctx['session'] ?? {},
}

/** In every file that starts sites. */
export function endSitesAfterEach(): void {
  afterEach(async () => {
    for (const site of [...sites]) await site.end()
  })
}

export { barrier, until } from '../express/site.js'
