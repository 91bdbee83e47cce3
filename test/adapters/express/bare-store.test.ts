import type { SessionData } from 'express-session'
import { SessionManager } from 'latchkey'
import { latchkey, type LatchkeyOptions } from 'latchkey/express'
import { describe, expect, it } from 'vitest'
import { barrier, endSitesAfterEach, SECRET, Site, until, visit } from './site.js'
import { TapWire } from './tap-wire.js'

/** `latchkey(...).store`: sessions outside of any request. */

endSitesAfterEach()

function build(options: Partial<LatchkeyOptions> = {}, lifetimeSec?: number): { store: ReturnType<typeof latchkey>['store']; wire: TapWire } {
  const wire = new TapWire()
  const manager = new SessionManager(lifetimeSec === undefined ? { wire } : { wire, lifetimeSec })
  const { store } = latchkey({ manager, secret: SECRET, resave: false, saveUninitialized: false, ...options })
  return { store, wire }
}

/** A session as a script makes it. */
const sessionOf = (cookie: Partial<SessionData['cookie']> = {}, data: object = { user: 'ada' }): SessionData => ({
  cookie: { originalMaxAge: null, ...cookie },
  ...data,
})

/** From when it is asked for, and not from when this file was loaded: the tests before it take their time. */
const endsIn = (ms: number): { readonly expires: Date } => ({
  get expires() {
    return new Date(Date.now() + ms)
  },
})

const ttlOf = (wire: TapWire): number | undefined =>
  wire.flights.flatMap((commands) => commands.flatMap((command) => ('ttlSec' in command && !command.key.endsWith('-lck') ? [command.ttlSec] : []))).at(-1)

describe('the bare store', () => {
  it('speaks promises', async () => {
    const { store } = build()
    await store.set('sid', sessionOf())
    expect(await store.get('sid')).toMatchObject({ user: 'ada' })
    await store.destroy('sid')
    expect(await store.get('sid')).toBeNull()
  })

  it('speaks callbacks, on a turn of their own', async () => {
    const { store } = build()
    const calls: unknown[] = []
    const call = (work: (callback: (error: unknown, value?: unknown) => void) => unknown): Promise<unknown[]> =>
      new Promise((resolve) => {
        void work((...args) => resolve(args))
        calls.push('returned')
      })
    expect(await call((callback) => store.set('sid', sessionOf(), callback))).toEqual([null, undefined])
    expect(await call((callback) => store.get('sid', callback))).toMatchObject([null, { user: 'ada' }])
    expect(await call((callback) => store.touch('sid', sessionOf(), callback))).toEqual([null, undefined])
    expect(await call((callback) => store.destroy('sid', callback))).toEqual([null, undefined])
    expect(await call((callback) => store.get('sid', callback))).toEqual([null, null])
    expect(calls).toHaveLength(5)
  })

  it('tells by the event what nobody waits for: a dropped promise ends no process', async () => {
    const { store, wire } = build()
    const failures: unknown[] = []
    store.on('failure', (failure) => failures.push(failure))
    wire.refuse((commands) => commands.some(({ op, key }) => op === 'add' && key === 'sess:sid'))
    void store.set('sid', sessionOf())
    // Refused before anything is sent: a throw here would be the caller's, who expects a promise.
    void store.set('sid', sessionOf({}, { n: Number.NaN }))
    await expect.poll(() => failures).toMatchObject([{ code: 'LATCHKEY_UNSERIALIZABLE' }, { code: 'LATCHKEY_SERVER_REFUSED' }])
  })

  it('tells failures both ways, with status and code', async () => {
    const { store, wire } = build()
    wire.refuse((commands) => commands.some(({ op, key }) => op === 'add' && key === 'sess:sid'))
    await expect(store.set('sid', sessionOf())).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_REFUSED', status: 503 })
    const big = sessionOf({}, { big: 'x'.repeat(2_000_000) })
    const error = await new Promise((resolve) => {
      store.set('sid', big, resolve).catch(() => undefined)
    })
    expect(error).toMatchObject({ code: 'LATCHKEY_RECORD_TOO_LARGE', status: 500 })
    expect(await store.get('sid')).toBeNull()
  })

  it('a set is locked: it waits for the request that holds the session, and overwrites it', async () => {
    const entered = barrier()
    const goOn = barrier()
    const site = await Site.start((app) => {
      app.get('/slow', async (req, res) => {
        entered.open()
        await goOn.passed
        visit(req).n = 1
        res.json({})
      })
    })
    const visitor = await site.visitor()
    const slow = visitor.get('/slow')
    await entered.passed
    const { store } = site.middleware
    // A get neither waits nor locks.
    expect(await store.get(visitor.sid)).toMatchObject({ user: 'ada' })
    const set = store.set(visitor.sid, sessionOf({}, { user: 'script' }))
    await until(() => site.manager.stats().waiting === 1)
    goOn.open()
    expect((await slow).status).toBe(200)
    await set
    expect(await site.stored(visitor.sid)).toEqual({ user: 'script' })
    expect(await site.isFree(visitor.sid)).toBe(true)
  })

  it('an object that get gave is stored only while the session is what it was then; one of its own making always', async () => {
    const { store } = build()
    await store.set('sid', sessionOf())
    const read = async (): Promise<SessionData & { theme?: string }> => (await store.get('sid')) ?? expect.fail('no session')
    const [mine, other] = [await read(), await read()]
    mine.theme = 'dark'
    await store.set('sid', mine)
    other.theme = 'light'
    await expect(store.set('sid', other)).rejects.toMatchObject({ code: 'LATCHKEY_FENCED' })
    expect(await store.get('sid')).toMatchObject({ theme: 'dark' })
    // Its own writes do not stand in its way, nor does a longer life.
    mine.theme = 'blue'
    await store.touch('sid', sessionOf({ expires: new Date(Date.now() + 60_000) }))
    await store.set('sid', mine)
    // express-session's way, as socket.io's users go: a Session made of what was read.
    const req = { sessionStore: store, sessionID: 'sid' }
    const session = store.createSession(req as never, await read())
    await store.set('sid', { ...mine, theme: 'red' } as SessionData)
    await expect(store.set('sid', session)).rejects.toMatchObject({ code: 'LATCHKEY_FENCED' })
    expect(await store.get('sid')).toMatchObject({ theme: 'red' })
    await store.destroy('sid')
    await expect(store.set('sid', mine)).rejects.toMatchObject({ code: 'LATCHKEY_SESSION_GONE' })
    // A copy knows the whole session, as whoever makes one does; and the object as another session.
    await store.set('sid', { ...mine })
    await store.set('another', mine)
    expect(await store.get('another')).toMatchObject({ theme: 'blue' })
  })

  it('get takes one flight without a lock, set two, and lets go', async () => {
    const { store, wire } = build()
    const ops = (): string[][] => wire.flights.splice(0).map((commands) => commands.map(wire.names.of))
    await store.set('sid', sessionOf())
    expect(ops()).toEqual([['add', 'get'], ['add', 'cad']])
    await store.get('sid')
    expect(ops()).toEqual([['get']])
    await store.touch('sid', sessionOf())
    expect(ops()).toEqual([['add', 'get'], ['touch', 'cad']])
    await store.touch('nobody', sessionOf())
    expect(ops()).toEqual([['add', 'get'], ['cad']])
  })

  it('touch takes over the cookie and leaves the data alone', async () => {
    const { store } = build()
    await store.set('sid', sessionOf({ expires: new Date(Date.now() + 5000) }))
    const expires = new Date(Date.now() + 60_000)
    await store.touch('sid', sessionOf({ expires }, { user: 'eve' }))
    expect(await store.get('sid')).toMatchObject({ user: 'ada', cookie: { expires: expires.toISOString() } })
  })

  it.each<[string, Partial<LatchkeyOptions>, number | undefined, Partial<SessionData['cookie']>, number]>([
    ['cookie.expires', { ttl: 7 }, 9, endsIn(100_000), 100],
    ['a ttl', { ttl: 7 }, 9, {}, 7],
    ['a ttl function', { ttl: (session) => ('user' in session ? 42.1 : 0) }, 9, {}, 43],
    ['cookie.expires, a text', { ttl: 7 }, 9, JSON.parse(JSON.stringify({ expires: new Date(Date.now() + 100_000) })), 100],
    ['cookie.expires, milliseconds since 1970', { ttl: 7 }, 9, JSON.parse(JSON.stringify({ expires: Date.now() + 100_000 })), 100],
    ["the manager's lifetimeSec", {}, 9, {}, 9],
    ['a day, when nothing is said', {}, undefined, {}, 86_400],
    ['ttl, when the expiry is no date', { ttl: 7 }, 9, { expires: new Date(Number.NaN) }, 7],
    ['100 years, when the cookie says more', {}, undefined, { expires: new Date(Date.now() + 200 * 365.25 * 86_400_000) }, 3_153_600_000],
  ])('a session lives for %s', async (_case, options, lifetimeSec, cookie, seconds) => {
    const { store, wire } = build(options, lifetimeSec)
    await store.set('sid', sessionOf(cookie))
    const ttl = ttlOf(wire)
    expect(ttl).toBeLessThanOrEqual(seconds)
    // A cookie's end counts from when this file was read, which is a while ago on a busy machine.
    expect(ttl).toBeGreaterThan(seconds / 2)
    await store.touch('sid', sessionOf(cookie))
    expect(ttlOf(wire)).toBeGreaterThan(seconds / 2)
  })

  it.each<[string, Partial<LatchkeyOptions>, Partial<SessionData['cookie']>]>([
    ['a cookie that has expired', {}, { expires: new Date(Date.now() - 1) }],
    ['a cookie that has expired, in milliseconds since 1970', {}, JSON.parse(JSON.stringify({ expires: Date.now() - 1 }))],
    ['a ttl of 0', { ttl: 0 }, {}],
    ['a ttl function that says less', { ttl: () => -5 }, {}],
  ])('%s destroys the session, in set and in touch', async (_case, options, cookie) => {
    const { store, wire } = build(options)
    for (const call of [store.set.bind(store), store.touch.bind(store)]) {
      const value = Buffer.from('{"user":"ada","cookie":{}}')
      await wire.inner.flight('', [{ op: 'set', key: 'sess:sid', value, ttlSec: 60 }])
      expect(await store.get('sid')).not.toBeNull()
      await call('sid', sessionOf(cookie))
      expect(await store.get('sid')).toBeNull()
    }
  })

  it('a session whose cookie has expired is none, though its record lives for another second', async () => {
    const { store, wire } = build()
    const value = Buffer.from(JSON.stringify(sessionOf({ expires: new Date(Date.now() - 1) })))
    await wire.inner.flight('', [{ op: 'set', key: 'sess:sid', value, ttlSec: 60 }])
    expect(await store.get('sid')).toBeNull()
  })

  it('a session without a cookie that was set is read, and keeps its place in touch', async () => {
    const { store } = build({ cookie: { maxAge: 90_000 } })
    const bare = { user: 'ada' }
    await Reflect.apply(store.set.bind(store), undefined, ['sid', bare])
    expect(await store.get('sid')).toMatchObject({ user: 'ada', cookie: { originalMaxAge: 90_000 } })
    await store.touch('sid', sessionOf({ expires: new Date(Date.now() + 60_000) }))
    await Reflect.apply(store.touch.bind(store), undefined, ['sid', bare])
    expect(await store.get('sid')).toMatchObject({ user: 'ada', cookie: { expires: expect.any(String) as string } })
  })

  it('an id that is a number is its text, in every method', async () => {
    const { store } = build()
    await store.set(42, sessionOf())
    expect(await store.get('42')).toMatchObject({ user: 'ada' })
    await store.touch(42, sessionOf())
    expect(await store.get(42)).toMatchObject({ user: 'ada' })
    await store.destroy(42)
    expect(await store.get(42)).toBeNull()
  })

  it('an id that no key can be made of has no session; setting it is refused', async () => {
    const { store, wire } = build()
    expect(await store.get('with space')).toBeNull()
    await store.destroy('with space')
    await store.touch('with space', sessionOf())
    expect(wire.flights).toEqual([])
    await expect(store.set('with space', sessionOf())).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_ID' })
  })
})
