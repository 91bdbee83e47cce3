import Koa from 'koa'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/koa'
import { describe, expect, it, vi } from 'vitest'
import { storesRecord } from '../express/tap-wire.js'
import { codeOf } from '../../support/world.js'
import { endSitesAfterEach, type Handler, Site } from './site.js'

endSitesAfterEach()

const change: Handler = (_ctx, session) => {
  session.n = 1
  return {}
}

describe('a save that is refused, koa', () => {
  it('is a 503 with Retry-After that says nothing of holders, and sets no cookie', async () => {
    const site = await Site.start({ '/it': change })
    site.wire?.refuse(storesRecord)
    const stranger = await site.browser().get('/it')
    expect([stranger.status, stranger.headers['retry-after'], stranger.setCookies, stranger.body]).toEqual([503, '1', [], 'Service Unavailable'])
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_SERVER_REFUSED', expose: false }])
  })

  it('takes back the cookie of a regenerate(), and leaves those of the application', async () => {
    const pages: Handler = async (ctx, session) => {
      ctx.cookies.set('theme', 'dark', { signed: false })
      await session.regenerate()
      return {}
    }
    const site = await Site.start(
      { '/login': pages },
      {
        before: (app) =>
          app.use(async (ctx, next) => {
            try {
              await next()
            } catch {
              ctx.status = 503
            }
          }),
      },
    )
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    const { status, setCookies } = await visitor.get('/login')
    expect([status, setCookies]).toEqual([503, ['theme=dark; path=/; httponly']])
    expect(await visitor.get('/show')).toMatchObject({ status: 200, body: '{"user":"ada"}' })
  })

  it('by a lock that was lost: 503, and what the other has stored stays', async () => {
    const site = await Site.start({})
    const visitor = await site.visitor()
    site.routes.set('/it', async (_ctx, session) => {
      await site.elsewhere().store().destroy(visitor.sid)
      session.n = 1
      return {}
    })
    const { status, setCookies } = await visitor.get('/it')
    expect([status, setCookies]).toEqual([409, []])
    expect(await site.stored(visitor.sid)).toBeUndefined()
  })

  it('is told to the application that called release(), and again to a response that says otherwise', async () => {
    const site = await Site.start({
      '/it': async (ctx, session) => {
        session.n = 1
        const code = await codeOf(session.release())
        ctx.status = ctx.query['status'] === undefined ? 200 : 418
        return { code }
      },
    })
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    expect(await visitor.get('/it?status=418')).toMatchObject({ status: 418, body: '{"code":"LATCHKEY_SERVER_REFUSED"}' })
    site.wire?.refuse(storesRecord)
    expect((await visitor.get('/it')).status).toBe(503)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('a value that cannot be written down: 500, and the record is as it was', async () => {
    const site = await Site.start({
      '/it': (_ctx, session) => {
        session.big = { price: 1n }
        return {}
      },
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).status).toBe(500)
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_UNSERIALIZABLE' }])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })
})

describe('a session that cannot be had, koa', () => {
  it('is a 503, and an error page can begin no new one in its place', async () => {
    const seen: unknown[] = []
    const site = await Site.start(
      {},
      {
        managerOptions: { waitMs: 0 },
        before: (app) =>
          app.use(async (ctx, next) => {
            await next().catch(async (error: unknown) => {
              seen.push(ctx['session'].user)
              seen.push(await codeOf(Promise.resolve().then(() => void (ctx['session'].user = 'eve'))))
              seen.push(await codeOf(Promise.resolve().then(() => void (ctx['session'] = { user: 'eve' }))))
              throw error
            })
          }),
      },
    )
    const visitor = await site.visitor()
    const holder = await site.elsewhere().start(visitor.sid)
    const { status, headers, setCookies } = await visitor.get('/show')
    await holder.release()
    expect([status, headers['retry-after'], setCookies]).toEqual([503, '1', []])
    expect(seen).toEqual([undefined, 'LATCHKEY_LOCK_TIMEOUT', 'LATCHKEY_LOCK_TIMEOUT'])
  })
})

describe('a session that is over, koa', () => {
  it.each<[string, Handler]>([
    ['assigned', (_ctx, session) => void (session.n = 2)],
    ['deleted', (_ctx, session) => void delete session.user],
    ['changed within', (_ctx, session) => void session.list?.push('c')],
    ['replaced', (ctx) => void (ctx['session'] = { n: 2 })],
    ['ended', (ctx) => void (ctx['session'] = null)],
    ['given another time to live', (_ctx, session) => void (session.maxAge = 1)],
    ['saved', (_ctx, session) => session.save()],
    ['regenerated', (_ctx, session) => session.regenerate()],
  ])('by release(), and then %s: an error at that moment', async (_what, attempt) => {
    const site = await Site.start({
      '/it': async (ctx, session) => {
        session.list = ['a']
        await session.release()
        return { code: await codeOf(Promise.resolve().then(() => attempt(ctx, ctx['session']))) }
      },
    })
    const visitor = await site.visitor()
    expect(await visitor.get('/it')).toMatchObject({ status: 200, body: '{"code":"LATCHKEY_READ_ONLY"}' })
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', list: ['a'] })
  })

  it('when the middleware has run: a change above it is an error, where koa-session would lose it', async () => {
    const codes: unknown[] = []
    const site = await Site.start(
      { '/it': change },
      {
        before: (app) =>
          app.use(async (ctx, next) => {
            await next()
            codes.push(ctx['session']?.n, await codeOf(Promise.resolve().then(() => void (ctx['session'].n = 2))))
          }),
      },
    )
    const visitor = await site.visitor()
    codes.length = 0
    expect((await visitor.get('/it')).status).toBe(200)
    expect(codes).toEqual([1, 'LATCHKEY_READ_ONLY'])
  })

  it('release() lets others in before the response', async () => {
    const site = await Site.start({})
    const visitor = await site.visitor()
    site.routes.set('/it', async (_ctx, session) => {
      session.n = 1
      await session.release()
      await site.elsewhere().run<{ n: number }>(visitor.sid, ({ data }) => void (data.n = (data.n ?? 0) + 1))
      return {}
    })
    expect((await visitor.get('/it')).status).toBe(200)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })
  })
})

describe('a record that koa-session does not take for a session', () => {
  it('by `valid`: another session begins, and both are free', async () => {
    const site = await Site.start(
      {
        '/it': (_ctx, session) => {
          session.n = 1
          return {}
        },
      },
      { valid: (_ctx: unknown, { user }: { user?: string }) => user !== 'ada' },
    )
    const visitor = await site.visitor()
    const { sid } = visitor
    expect((await visitor.get('/it')).status).toBe(200)
    expect(visitor.sid).not.toBe(sid)
    expect([await site.stored(sid), await site.stored(visitor.sid)]).toEqual([{ user: 'ada' }, { n: 1 }])
    expect(await site.isFree(sid, visitor.sid)).toBe(true)
  })
})

it('a request that is over leaves no timer behind, koa', async () => {
  const site = await Site.start({}, { clientGoneMs: 12_345 })
  const visitor = await site.visitor()
  const timers = vi.spyOn(globalThis, 'setTimeout')
  for (let at = 0; at < 5; at++) await visitor.get('/show')
  const delays = timers.mock.calls.map(([, delay]) => delay)
  timers.mockRestore()
  expect(delays).not.toContain(12_345)
})

describe('options, koa', () => {
  const app = (): Koa => new Koa()
  const manager = new SessionManager()
  it.each<[string, () => unknown]>([
    ['no manager', () => latchkey(JSON.parse('{}'), app())],
    ['a store', () => latchkey({ manager, ...JSON.parse('{"store":{}}') }, app())],
    ['a ContextStore', () => latchkey({ manager, ...JSON.parse('{"ContextStore":1}') }, app())],
    ['a clientGoneMs that is none', () => latchkey({ manager, clientGoneMs: -1 }, app())],
    ['a label that is none', () => latchkey({ manager, ...JSON.parse('{"label":"GET"}') }, app())],
    ['a readOnly that is none', () => latchkey({ manager, ...JSON.parse('{"readOnly":true}') }, app())],
    [
      'a session that is there already',
      () => {
        const twice = app()
        latchkey({ manager }, twice)
        return latchkey({ manager }, twice)
      },
    ],
  ])('%s is refused at once', async (_what, make) => {
    expect(await codeOf(Promise.resolve().then(make))).toBe('LATCHKEY_INVALID_OPTION')
  })
})

function notWaitingFor(call: 'save' | 'release' | 'regenerate'): Promise<Site> {
  return Site.start({
    '/it': (_ctx, session) => {
      session.n = 1
      void session[call]()
      return {}
    },
  })
}

// Vitest fails for a rejection that nobody handles.
it.each(['save', 'release', 'regenerate'] as const)('%s() that nobody waits for, and is refused: the response says so', async (call) => {
  const site = await notWaitingFor(call)
  const visitor = await site.visitor()
  for (let times = 0; times < 3; times++) site.wire?.refuse(storesRecord)
  expect(await visitor.get('/it')).toMatchObject({ status: 503 })
})

it.each(['save', 'release', 'regenerate'] as const)('%s() that nobody waits for: the response does', async (call) => {
  const site = await notWaitingFor(call)
  const visitor = await site.visitor()
  expect(await visitor.get('/it')).toMatchObject({ status: 200 })
  expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
})
