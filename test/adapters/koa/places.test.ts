import Koa, { type Context } from 'koa'
import koaSession from 'koa-session'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/koa'
import { describe, expect, it } from 'vitest'
import { endSitesAfterEach, type Handler, Site, type SiteOptions, type Visit } from './site.js'

/** Where latchkey is mounted, and who else wants ctx.session. */

endSitesAfterEach()

const count: Handler = (_ctx, session) => {
  session.n = (session.n ?? 0) + 1
  return { n: session.n }
}

/** A middleware above latchkey. */
const above = (work: (session: Visit, ctx: Context) => unknown, after?: (session: Visit) => unknown): SiteOptions => ({
  before: (app: Koa) =>
    app.use(async (ctx, next) => {
      const session: Visit = ctx['session']
      work(session, ctx)
      await next()
      after?.(session)
    }),
})

describe('a middleware above latchkey, koa', () => {
  it.each(['new', 'known'])('that only looks at ctx.session of a %s visitor: every change of the request is stored', async (who) => {
    const site = await Site.start({ '/count': count }, above((session) => void Object.keys(session)))
    const visitor = who === 'known' ? await site.visitor() : site.browser()
    for (const n of [1, 2, 3]) expect(await visitor.get('/count')).toMatchObject({ status: 200, body: JSON.stringify({ n }) })
    expect(await site.stored(visitor.sid)).toMatchObject({ n: 3 })
  })

  it('that changes it: the request fails, with what to do, and nothing is dropped in silence', async () => {
    const site = await Site.start({ '/count': count }, above((session) => void (session.user = 'eve')))
    expect(await site.browser().get('/count')).toMatchObject({ status: 500, setCookies: [] })
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_MISUSE' }])
    expect(String(site.errors[0])).toContain('Mount latchkey above')
  })

  it('that ends it: likewise', async () => {
    const site = await Site.start({ '/count': count }, above((_session, ctx) => void (ctx['session'] = null)))
    expect(await site.browser().get('/count')).toMatchObject({ status: 500, setCookies: [] })
  })

  it('that changes afterwards what it has kept of its look: likewise', async () => {
    const site = await Site.start({ '/count': count }, above(Object.keys, (session) => void (session.user = 'eve')))
    expect((await site.browser().get('/count')).status).toBe(500)
  })
})

describe('two sessions in one Koa application', () => {
  it('koa-session below latchkey: an error that names it, at once', async () => {
    const site = await Site.start({})
    const visitor = await site.visitor()
    const second = koaSession({}, site.app)
    site.routes.set('/it', (ctx) => second(ctx, async () => undefined))
    expect((await visitor.get('/it')).status).toBe(500)
    expect(site.errors.map(String)).toEqual([expect.stringContaining('take one of them out')])
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_MISUSE' }])
  })

  it('of a mounted application with a session of its own: an error, and no session is taken for another', async () => {
    const site = await Site.start({})
    const inner = new Koa()
    const own = latchkey({ manager: new SessionManager(), key: 'inner' }, inner)
    site.routes.set('/inner', (ctx) => own(ctx, async () => undefined))
    expect((await site.browser().get('/inner')).status).toBe(500)
    expect(site.errors.map(String)).toEqual([expect.stringContaining('take one of them out')])
  })

  it('given an app that does not serve the request: an error that says which to pass', async () => {
    const [outer, inner] = [new Koa(), new Koa()]
    const own = latchkey({ manager: new SessionManager() }, inner)
    const ctx = outer.createContext(Object.create({ headers: {} }), Object.create({ req: { socket: {} } }))
    await expect(own(ctx, async () => undefined)).rejects.toThrow('pass the outermost app')
  })
})

it('latchkey twice on the way of one request, by koa-mount say: one lock, and the session is the same', async () => {
  const site = await Site.start({})
  const visitor = await site.visitor()
  const inner = latchkey({ manager: site.manager }, new Koa())
  site.routes.set('/it', async (ctx, session) => {
    session.n = 1
    await inner(ctx, async () => void (ctx['session'].list = ['a']))
    return {}
  })
  expect((await visitor.get('/it')).status).toBe(200)
  expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1, list: ['a'] })
})

describe('set up as it cannot work, koa', () => {
  it('without app', () => {
    const withoutApp: (options: object) => unknown = latchkey as never
    expect(() => withoutApp({ manager: new SessionManager() })).toThrow('app is missing')
  })

  it('app.context.session = a mock: an error that says how', () => {
    const app = new Koa()
    app.use(latchkey({ manager: new SessionManager() }, app))
    expect(() => Reflect.set(app.context, 'session', { user: 'ada' })).toThrow('Object.defineProperty(app.context')
  })

  it('a mock by defineProperty is what the application sees, and nothing is stored', async () => {
    const site = await Site.start({ '/it': (ctx) => ctx['session'] })
    const visitor = await site.visitor()
    Object.defineProperty(site.app.context, 'session', { value: { user: 'mock' }, writable: true, configurable: true })
    expect(await visitor.get('/it')).toMatchObject({ status: 200, body: '{"user":"mock"}', setCookies: [] })
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
    expect(await site.isFree(visitor.sid)).toBe(true)
  })
})
