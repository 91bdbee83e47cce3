import { connect } from 'node:http2'
import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance } from 'fastify'
import { SessionManager } from 'latchkey'
import latchkey, { type LatchkeyStore } from 'latchkey/fastify'
import { VirtualClock } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { createMemoryWire } from '../../../src/wire/memory/memory-wire.js'
import { storesRecord, TapWire } from '../express/tap-wire.js'
import { endSitesAfterEach, SECRET, Site, type SiteOptions, visit } from './site.js'

/** How long sessions live, when they are prolonged, and the other methods of the store. */

endSitesAfterEach()

const LOCK = ['add', 'get']
const WITH = 'with @fastify/session'

/** The TTL of the last record that was stored, in seconds. */
function ttlSec(wire: TapWire | undefined): number | undefined {
  const command = wire?.flights.filter(storesRecord).at(-1)?.find(({ key }) => !key.endsWith('-lck'))
  return command !== undefined && 'ttlSec' in command ? command.ttlSec : undefined
}

/** From when it is asked for, and not from when this file was loaded: the tests before it take their time. */
const endsIn = (ms: number): { readonly expires: Date } => ({
  get expires() {
    return new Date(Date.now() + ms)
  },
})

async function storedFor(options: SiteOptions): Promise<number | undefined> {
  const site = await Site.start(WITH, () => undefined, options)
  await site.browser().get('/set/user/ada')
  return ttlSec(site.wire)
}

describe('ttl', () => {
  it.each<[string, SiteOptions, number | undefined]>([
    ['nothing is said', {}, 86_400],
    ["the manager's lifetimeSec", { managerOptions: { lifetimeSec: 50 } }, 50],
    ['a number', { ttl: 70, managerOptions: { lifetimeSec: 50 } }, 70],
    ['a function', { ttl: (session) => ('user' in session ? 80 : 0) }, 80],
    ['more than thirty days', { ttl: 40 * 86_400 }, 40 * 86_400],
    ["the cookie's maxAge", { ttl: 70, cookie: { maxAge: 90_000 } }, 90],
    ["the cookie's expires", { ttl: 70, cookie: endsIn(99_500) }, 100],
    ['0 destroys', { ttl: 0 }, undefined],
    ['less than 0 destroys', { ttl: () => -1 }, undefined],
  ])('%s', async (_what, options, expected) => {
    const found = await storedFor(options)
    // A cookie's time runs meanwhile.
    if (expected === undefined) expect(found === undefined || found > 0).toBe(true)
    else expect(Math.abs((found ?? 0) - expected)).toBeLessThanOrEqual(1)
  })

  it('0 leaves no session behind', async () => {
    const site = await Site.start(WITH, () => undefined, { ttl: 0 })
    const browser = site.browser()
    await browser.get('/set/user/ada')
    expect(await site.stored(browser.sid)).toBeUndefined()
  })
})

describe('prolonging', () => {
  it.each<[string, SiteOptions, string[]]>([
    ['always', {}, ['touch', 'cad']],
    ['touchAfter: within it not', { touchAfter: 60 }, ['cad']],
    ['disableTouch: never', { disableTouch: true }, ['cad']],
    ['touchAfter, with a maxAge', { touchAfter: 60, cookie: { maxAge: 3_600_000 } }, ['cad']],
    ['a maxAge: its expiry is in the record', { cookie: { maxAge: 3_600_000 } }, ['cas', 'cad']],
  ])('of a session that was left as it was, %s', async (_what, options, last) => {
    const site = await Site.start(WITH, () => undefined, options)
    const visitor = await site.visitor()
    expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
    expect(site.ops).toEqual([LOCK, last])
    await visitor.get('/set/user/eve')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'eve' })
  })

  it('without @fastify/session: lifetimeSec, else the maxAge of the cookie, which is renewed', async () => {
    for (const [own, expected] of [[{ lifetimeSec: 33 }, 33], [{ cookie: { maxAge: 44 } }, 44], [{}, 1440]] as const) {
      const site = await Site.start('without @fastify/session', () => undefined, { own })
      const browser = site.browser()
      await browser.get('/set/user/ada')
      expect(ttlSec(site.wire)).toBe(expected)
      expect((await browser.get('/show')).setCookies).toHaveLength('cookie' in own ? 1 : 0)
    }
  })

  it('a record that has expired is no session', async () => {
    const clock = new VirtualClock()
    const manager = new SessionManager({ wire: createMemoryWire({ clock }), lifetimeSec: 100 })
    const app = Fastify()
    await app.register(cookie, { secret: SECRET })
    await app.register(latchkey, { manager, fastifySession: false })
    app.get('/', async (request) => ({ n: (visit(request).n = (visit(request).n ?? 0) + 1) }))
    const sessionId = (await app.inject('/')).cookies[0]?.value ?? ''
    expect((await app.inject({ url: '/', cookies: { sessionId } })).json()).toEqual({ n: 2 })
    clock.setTimer(() => undefined, 101_000)
    await clock.runUntil(new Promise<void>((resolve) => clock.setTimer(resolve, 101_000)))
    const answer = await app.inject({ url: '/', cookies: { sessionId } })
    expect(answer.json()).toEqual({ n: 1 })
    expect(answer.cookies[0]?.value).not.toBe(sessionId)
    await app.close()
    await manager.close()
  })
})

describe('request.sessionStore', () => {
  interface Methods {
    touch(sid: string, session: object): Promise<void>
    all(): Promise<{ id: string; user?: string }[]>
    length(): Promise<number>
  }

  it('touch() leaves data alone, inside the request and for another session', async () => {
    const site = await Site.start(WITH, (app) => {
      app.get('/touch/:sid', async (request) => {
        const { sid } = request.params as { sid: string }
        visit(request).n = 5
        const store = request.getDecorator<Methods>('sessionStore')
        await store.touch(sid, { cookie: request.session.cookie, user: 'eve' })
        delete visit(request).n
        return {}
      })
    })
    const [one, other] = [await site.visitor(), await site.visitor()]
    for (const { sid } of [one, other]) expect((await one.get(`/touch/${sid}`)).status).toBe(200)
    for (const { sid } of [one, other]) expect(await site.stored(sid)).toEqual({ user: 'ada' })
  })

  it('all() and length() without a way to list: a typed error', async () => {
    const site = await Site.start(WITH, (app) => {
      app.get('/list', async (request) => {
        const store = request.getDecorator<LatchkeyStore>('sessionStore')
        return [await store.length(), (await store.all()).map(({ id }) => id)]
      })
    })
    const visitor = await site.visitor()
    const { status, body } = await visitor.get('/list')
    expect(status === 200 ? body : JSON.parse(body).code).toBe(status === 200 ? `[1,["${visitor.sid}"]]` : 'LATCHKEY_NOT_SUPPORTED')
  })

  it('all(), length() and clear() on the embedded store', async () => {
    const site = await Site.start(
      WITH,
      (app: FastifyInstance) => {
        app.get('/list', async (request) => {
          const store = request.getDecorator<Methods>('sessionStore')
          return { length: await store.length(), users: (await store.all()).map(({ user }) => user) }
        })
      },
      { managerOptions: { savePath: 'memory:' } },
    )
    await site.visitor()
    const visitor = await site.visitor('user', 'eve')
    const { length, users } = JSON.parse((await visitor.get('/list')).body) as { length: number; users: string[] }
    expect([length, users.sort()]).toEqual([2, ['ada', 'eve']])
  })
})

describe('HTTP/2', () => {
  it('two requests on one connection: none is lost, and nothing is held', async () => {
    const manager = new SessionManager()
    const app = Fastify({ http2: true })
    await app.register(cookie)
    await app.register(latchkey, { manager, secret: SECRET, cookie: { secure: false } })
    app.get('/', async ({ session }) => ({ n: (session.n = (session.n ?? 0) + 1) }))
    const client = connect(await app.listen({ port: 0, host: '127.0.0.1' }))
    const ask = (headers: object = {}): Promise<{ cookie: string; body: string }> =>
      new Promise((resolve, reject) => {
        const stream = client.request({ ':path': '/', ...headers }).setEncoding('utf8')
        let [cookie, body] = ['', '']
        stream.on('response', (answer) => (cookie = answer['set-cookie']?.[0]?.split(';')[0] ?? ''))
        stream.on('data', (text: string) => (body += text))
        stream.on('end', () => resolve({ cookie, body }))
        stream.on('error', reject)
      })
    const first = await ask()
    await Promise.all(Array.from({ length: 8 }, () => ask({ cookie: first.cookie })))
    expect((await ask({ cookie: first.cookie })).body).toBe('{"n":10}')
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    client.close()
    await app.close()
    await manager.close()
  })
})
