import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import latchkey, { type LatchkeyOptions, type OwnSessionOptions } from 'latchkey/fastify'
import { afterEach, expect } from 'vitest'
import { admit } from '../admit.js'
import { TapWire } from '../express/tap-wire.js'
import { FastifyBrowser } from './browser.js'

/** What the tests keep in a session, and what both kinds of session can do. */
export interface Visit {
  n?: number
  user?: string
  list?: string[]
  big?: unknown
  save(): Promise<void>
  release(): Promise<void>
  regenerate(): Promise<void>
  destroy(): Promise<void>
}

export const visit = (request: FastifyRequest): Visit => request.getDecorator<Visit>('session')

export const idOf = (request: FastifyRequest): string => {
  const { sessionId, id } = request.getDecorator<{ sessionId?: string; id?: string }>('session')
  return sessionId ?? id ?? ''
}

/** What tests may set: the plugin's options, but for those that the site gives. */
export type SessionOptions = Partial<Omit<LatchkeyOptions, 'manager' | 'fastifySession'>>

export interface SiteOptions extends SessionOptions {
  readonly managerOptions?: SessionManagerOptions
  readonly serverOptions?: FastifyServerOptions
  readonly own?: Partial<Omit<OwnSessionOptions, 'manager' | 'fastifySession'>>
  /** Registered before the session. */
  readonly before?: (app: FastifyInstance, site: { manager: SessionManager }) => void
}

export const KINDS = ['with @fastify/session', 'without @fastify/session'] as const
export type Kind = (typeof KINDS)[number]

export const SECRET = 'a secret of at least thirty-two characters'
const sites = new Set<Site>()

/** A Fastify application with latchkey, on a loopback port. Ends with the test, which fails when it still holds a lock. */
export class Site {
  /** What Fastify logged as errors. */
  readonly errors: { code?: string; status?: number }[] = []
  private readonly browsers: FastifyBrowser[] = []

  private constructor(
    readonly wire: TapWire | undefined,
    readonly manager: SessionManager,
    readonly app: FastifyInstance,
    /** Looks into the store without being seen in `ops`. */
    private readonly observer: SessionManager,
  ) {}

  static async start(kind: Kind, routes: (app: FastifyInstance, site: Site) => void, options: SiteOptions = {}): Promise<Site> {
    const { managerOptions = {}, serverOptions = {}, before, own, label, clientGoneMs, readOnly, ...sessionOptions } = options
    const wire = managerOptions.savePath === undefined && managerOptions.wire === undefined ? new TapWire() : undefined
    const manager = new SessionManager(wire === undefined ? managerOptions : { wire, ...managerOptions })
    const observer = wire === undefined ? manager : new SessionManager({ wire: wire.inner })
    const app = Fastify({ forceCloseConnections: true, ...serverOptions })
    const site = new Site(wire, manager, app, observer)
    sites.add(site)
    const isPhp = managerOptions.php !== undefined
    await app.register(cookie, isPhp ? {} : { secret: SECRET })
    before?.(app, site)
    const common = {
      manager,
      ...(label === undefined ? {} : { label }),
      ...(clientGoneMs === undefined ? {} : { clientGoneMs }),
      ...(readOnly === undefined ? {} : { readOnly }),
    }
    if (kind === 'with @fastify/session') {
      const ofCookie = isPhp ? { secret: false as const } : { secret: SECRET, cookie: { secure: false, ...sessionOptions.cookie } }
      const given = { saveUninitialized: false, ...sessionOptions, ...ofCookie }
      await app.register(latchkey, { ...common, ...given })
    } else await app.register(latchkey, { ...common, fastifySession: false, ...own, ...(isPhp ? {} : { cookie: { secure: false, ...own?.cookie } }) })
    app.addHook('onError', async (_request, _reply, error) => void site.errors.push(error))
    app.get<{ Params: { name: string; value: string } }>('/set/:name/:value', async (request) => {
      Object.assign(visit(request), { [request.params.name]: request.params.value })
      return { id: idOf(request) }
    })
    app.get('/show', async (request) => dataOf(request))
    routes(app, site)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return site
  }

  get port(): number {
    const address = this.app.server.address()
    return address !== null && typeof address === 'object' ? address.port : 0
  }

  browser(options: { readonly maxSockets?: number } = {}): FastifyBrowser {
    const browser = new FastifyBrowser(this.port, options)
    this.browsers.push(browser)
    return browser
  }

  /** A browser with a session that is stored. */
  async visitor(name = 'user', value = 'ada'): Promise<FastifyBrowser> {
    const browser = this.browser()
    await admit(() => browser.get(`/set/${name}/${value}`))
    expect(browser.sid, 'the id of a new visitor').not.toBe('')
    this.wire?.flights.splice(0)
    return browser
  }

  /** What is stored, without the cookie; undefined when nothing is. */
  async stored(sid: string): Promise<object | undefined> {
    const data = await this.observer.peek<Record<string, unknown>>(sid)
    return data === undefined ? undefined : withoutCookie(data)
  }

  /** As another process that stores the same: the record's version and stamp are others from now on. */
  async storeAgain(sid: string): Promise<void> {
    const key = `sess:${sid}`
    const [found] = (await this.wire?.inner.flight('', [{ op: 'get', key }])) ?? []
    if (found?.value === undefined) throw new Error('nothing is stored')
    await this.wire?.inner.flight('', [{ op: 'set', key, value: found.value, ttlSec: 1000, flags: found.flags + 1 }])
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

  holder(sid: string): ReturnType<SessionManager['holder']> {
    return this.observer.holder(sid)
  }

  /** Closes everything; the locks must be free by now. */
  async end(): Promise<void> {
    sites.delete(this)
    const sids = this.browsers.map(({ sid }) => sid).filter((sid) => sid !== '')
    this.browsers.forEach((browser) => browser.close())
    await this.app.close()
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

export const dataOf = (request: FastifyRequest): object => withoutCookie(visit(request))

const withoutCookie = (data: object): object => Object.fromEntries(Object.entries(data).filter(([name]) => name !== 'cookie'))

export { barrier, until } from '../express/site.js'
export type { FastifyInstance, FastifyReply, FastifyRequest }
