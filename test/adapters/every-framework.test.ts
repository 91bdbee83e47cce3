import { describe, expect, it } from 'vitest'
import type { Command } from '../../src/wire/wire.js'
import { MemcachedServer } from '../support/memcached-server.js'
import type { Answer, Browser } from './express/browser.js'
import { storesRecord } from './express/tap-wire.js'
import { barrier, elsewhere, endPlacesAfterEach, PLACES, type Route, until } from './places.js'
import { count, login, logout } from './routes.js'
import { endStalledAfterEach, stalledUpload } from './slow-request.js'

/** What a session must be with every framework: said once, and played with each. */

endPlacesAfterEach()
endStalledAfterEach()

const shown = async (browser: Browser): Promise<unknown> => {
  const data = JSON.parse((await browser.get('/show')).body) as Record<string, unknown>
  return Object.fromEntries(Object.entries(data).filter(([name]) => name !== 'cookie'))
}

const codeOf = (error: unknown): unknown => (typeof error === 'object' && error !== null && 'code' in error ? error.code : error)

/** A route that stops in the middle until it is let on. */
function paused(work: Route): { readonly route: Route; readonly begun: Promise<void>; readonly goOn: () => void } {
  const [begun, open] = [barrier(), barrier()]
  const route: Route = async (session, page) => {
    begun.open()
    await open.passed
    return work(session, page)
  }
  return { route, begun: begun.passed, goOn: () => open.open() }
}

const isRefused = ({ setCookies }: Answer): void => expect(setCookies).toEqual([])

describe.each(PLACES)('%s', (name, start) => {
  it('a request that changes its session is two flights, and lets go', async () => {
    const place = await start({ '/count': count })
    const visitor = await place.visitor()
    expect(await visitor.get('/count')).toMatchObject({ status: 200, body: '1' })
    const flights = place.wire?.flights.map((commands) => commands.map(({ op }) => op))
    expect(flights).toEqual([['add', 'get'], ['cas', 'cad']])
    expect(await place.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
    expect(await place.isFree(visitor.sid)).toBe(true)
  })

  it('a visitor without a session who puts nothing in: nothing is sent, stored or set', async () => {
    const place = await start({ '/nothing': () => ({}) })
    expect(await place.browser().get('/nothing')).toMatchObject({ status: 200, setCookies: [] })
    expect(place.wire?.flights).toEqual([])
  })

  it('what is put into a new session is found by the next request', async () => {
    const place = await start({ '/count': count })
    const browser = place.browser()
    expect((await browser.get('/count')).setCookies.length).toBeGreaterThan(0)
    expect((await browser.get('/count')).body).toBe('2')
  })

  it('of twenty requests at once none is lost', async () => {
    const place = await start({ '/count': count })
    const visitor = await place.visitor()
    const answers = await Promise.all(Array.from({ length: 20 }, () => visitor.get('/count')))
    expect(answers.map(({ body }) => Number(body)).sort((one, other) => one - other)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1))
    expect(await place.stored(visitor.sid)).toMatchObject({ n: 20 })
  })

  it('a response does not leave before its session is stored', async () => {
    const place = await start({ '/count': count })
    const visitor = await place.visitor()
    const store = place.wire?.stop(storesRecord)
    let isAnswered = false
    const answer = visitor.get('/count').finally(() => (isAnswered = true))
    await store?.arrived
    // A whole request of somebody else, in the meantime.
    await place.browser().get('/show')
    expect(isAnswered).toBe(false)
    store?.go()
    expect((await answer).status).toBe(200)
  })

  it('a session that is held does not keep another one waiting', async () => {
    const { route, begun, goOn } = paused(count)
    const place = await start({ '/slow': route, '/count': count })
    const [slow, other] = [await place.visitor(), await place.visitor()]
    const answer = slow.get('/slow')
    await begun
    expect((await other.get('/count')).status).toBe(200)
    goOn()
    expect((await answer).status).toBe(200)
  })

  it('a session that another process holds for too long: 503 with Retry-After, no cookie, nothing changed', async () => {
    const place = await start({ '/count': count }, { managerOptions: { waitMs: 30 } })
    const visitor = await place.visitor()
    const holder = await elsewhere(place).start(visitor.sid)
    const busy = await visitor.twin().get('/count')
    expect(busy).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
    isRefused(busy)
    await holder.abort()
    expect((await visitor.get('/count')).body).toBe('1')
  })

  it('a session that ends while a request waits for it does not begin anew: 409, no cookie', async () => {
    const place = await start({ '/count': count })
    const visitor = await place.visitor()
    const holder = await elsewhere(place).start(visitor.sid)
    const waiting = visitor.twin().get('/count')
    await until(() => place.manager.stats().waiting === 1)
    await holder.destroy()
    const gone = await waiting
    expect(gone.status).toBe(409)
    isRefused(gone)
    expect(await place.stored(visitor.sid)).toBeUndefined()
  })

  it('a logout wins over a slower request, whose change is refused without a cookie', async () => {
    const { route, begun, goOn } = paused(count)
    const place = await start({ '/slow': route })
    const visitor = await place.visitor()
    const slow = visitor.twin().get('/slow')
    await begun
    await elsewhere(place).store().destroy(visitor.sid)
    goOn()
    const refused = await slow
    expect(refused.status).toBe(409)
    isRefused(refused)
    expect(await place.stored(visitor.sid)).toBeUndefined()
  })

  it('save() stores and keeps the lock; release() stores and lets go, and a change after it is refused at once', async () => {
    const [saved, goOn, released, end] = [barrier(), barrier(), barrier(), barrier()]
    const place = await start({
      '/steps': async (session) => {
        session.data['n'] = 1
        await session.save()
        saved.open()
        await goOn.passed
        session.data['n'] = 2
        await session.release()
        released.open()
        await end.passed
        try {
          session.data['n'] = 3
          return 'changed'
        } catch (error) {
          return codeOf(error)
        }
      },
    })
    const visitor = await place.visitor()
    const asked = visitor.twin().get('/steps')
    await saved.passed
    expect([await place.stored(visitor.sid), place.manager.stats().held]).toEqual([{ user: 'ada', n: 1 }, 1])
    goOn.open()
    await released.passed
    expect([await place.stored(visitor.sid), place.manager.stats().held]).toEqual([{ user: 'ada', n: 2 }, 0])
    end.open()
    expect(await asked).toMatchObject({ status: 200, body: '"LATCHKEY_READ_ONLY"' })
    expect(await place.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })
  })

  it('a save() that nobody waited for is stored before the response', async () => {
    const place = await start({
      '/save': (session) => {
        session.data['n'] = 1
        void session.save()
        return {}
      },
    })
    const visitor = await place.visitor()
    await visitor.get('/save')
    expect(await place.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('an id that an attacker has planted, signed and all, is not taken over', async () => {
    const place = await start({ '/count': count })
    const { sid, cookie = '' } = await place.visitor()
    await elsewhere(place).store().destroy(sid)
    const victim = place.browser()
    await victim.get('/count', { headers: { cookie } })
    expect(['', sid]).not.toContain(victim.sid)
    expect(await place.stored(sid)).toBeUndefined()
  })

  it.each([['login', login, { user: 'root' }], ['logout', logout, undefined]] as const)(
    'a request that waits while another ends the session by %s: 409, no cookie, and no record is touched by it',
    async (_what, work, after) => {
      const { route, begun, goOn } = paused(work)
      const place = await start({ '/slow': route, '/count': count })
      const visitor = await place.visitor()
      const { sid } = visitor
      const late = visitor.twin()
      const first = visitor.get('/slow')
      await begun
      const second = late.get('/count')
      await until(() => place.manager.stats().waiting === 1)
      goOn()
      expect((await first).status).toBe(200)
      const refused = await second
      expect(refused.status).toBe(409)
      isRefused(refused)
      expect(await place.stored(sid)).toBeUndefined()
      if (after !== undefined) expect(await place.stored(visitor.sid)).toEqual(after)
      late.close()
    },
  )

  it('a login goes on under a new id, and the old one has ended and leads nowhere', async () => {
    const place = await start({ '/login': login })
    const visitor = await place.visitor()
    const { sid: old } = visitor
    const thief = visitor.twin()
    expect((await visitor.get('/login')).setCookies.length).toBeGreaterThan(0)
    expect(visitor.sid).not.toBe(old)
    expect([await place.stored(old), await place.stored(visitor.sid)]).toEqual([undefined, { user: 'root' }])
    expect(await place.isFree(old, visitor.sid)).toBe(true)
    expect([await shown(visitor), await shown(thief)]).toEqual([{ user: 'root' }, {}])
    thief.close()
  })

  it('a login whose new session cannot be stored: the response names no session, and the old one is as it was', async () => {
    const place = await start({ '/login': login })
    const visitor = await place.visitor()
    const isNewRecord = ({ op, key }: Command): boolean => op !== 'get' && !key.includes(visitor.sid) && !key.endsWith('-lck')
    place.wire?.refuse((commands) => commands.some(isNewRecord))
    const refused = await visitor.twin().get('/login')
    expect(refused.status).toBeGreaterThanOrEqual(500)
    isRefused(refused)
    expect(await place.stored(visitor.sid)).toEqual({ user: 'ada' })
    expect(await place.isFree(visitor.sid)).toBe(true)
  })

  it('a logout: nothing is stored any more, and the next request has a new session', async () => {
    const place = await start({ '/logout': logout })
    const visitor = await place.visitor()
    const { sid } = visitor
    const { status, setCookies } = await visitor.get('/logout')
    expect(status).toBe(200)
    // express-session and @fastify/session leave the cookie with the browser.
    if (!/^Express|with @/.test(name)) expect(setCookies[0]).toMatch(/^[\w.]+=;/)
    expect(await place.stored(sid)).toBeUndefined()
    expect(await shown(visitor)).toEqual({})
  })

  it('a refused save that the handler makes good is no failure; one of which it tells itself is its own answer', async () => {
    const place = await start({
      '/save': async (session, page) => {
        session.data['n'] = 1
        await session.save().catch(() => (page.status = 507))
        return {}
      },
      '/again': async (session) => {
        session.data['n'] = 1
        await session.save().catch(() => session.save())
        return {}
      },
    })
    const visitor = await place.visitor()
    const isStore = (commands: readonly { op: string }[]): boolean => commands.some(({ op }) => op === 'cas')
    place.wire?.refuse(isStore)
    const told = await visitor.twin().get('/save')
    expect(told).toMatchObject({ status: 507, body: '{}' })
    isRefused(told)
    expect(await place.stored(visitor.sid)).toEqual({ user: 'ada' })
    place.wire?.refuse(isStore)
    expect((await visitor.get('/again')).status).toBe(200)
    expect(await place.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('a session that is refused when the response is made: 503 with Retry-After, no cookie', async () => {
    const place = await start({ '/count': count })
    const visitor = await place.visitor()
    place.wire?.refuse((commands) => commands.some(({ op }) => op === 'cas'))
    const refused = await visitor.twin().get('/count')
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
    isRefused(refused)
    expect(await place.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('a handler that throws is an error of its own, and lets go', async () => {
    const place = await start({
      '/throw': () => {
        throw new Error('a bug')
      },
    })
    const visitor = await place.visitor()
    const { status } = await visitor.get('/throw')
    expect([status, await place.isFree(visitor.sid)]).toEqual([500, true])
    expect(await shown(visitor)).toEqual({ user: 'ada' })
  })

  it('a value that cannot be written down: 500, no cookie, and the record is as it was', async () => {
    const place = await start({
      '/map': ({ data }) => {
        data['big'] = new Map([[1, 2]])
        return {}
      },
    })
    const visitor = await place.visitor()
    const refused = await visitor.twin().get('/map')
    expect(refused.status).toBe(500)
    isRefused(refused)
    expect([await place.stored(visitor.sid), await place.isFree(visitor.sid)]).toEqual([{ user: 'ada' }, true])
  })

  it('a record that cannot be read: 500, no cookie, nothing begins in its place, and it is left as it is', async () => {
    const place = await start({ '/count': count })
    const visitor = await place.visitor()
    const other = elsewhere(place)
    await (await other.lock(visitor.sid)).commit('no session')
    const refused = await visitor.twin().get('/count')
    expect(refused.status).toBe(500)
    isRefused(refused)
    expect([await other.peekText(visitor.sid), await place.isFree(visitor.sid)]).toEqual(['no session', true])
  })

  it('a server that is killed: 503 at the save, and 503 before the handler, without a cookie', async () => {
    const memcached = await MemcachedServer.start()
    const last: Route = async (session, page) => {
      await memcached.stop()
      return count(session, page)
    }
    const place = await start({ '/count': count, '/last': last }, { managerOptions: { savePath: `tcp://${memcached.address}` } })
    const visitor = await place.visitor()
    for (const path of ['/last', '/count']) expect(await visitor.twin().get(path)).toMatchObject({ status: 503, setCookies: [] })
    await until(() => place.manager.stats().held === 0)
    // Nobody can be asked who holds what.
    visitor.forget()
  })

  describe('a request that only reads', () => {
    it('neither waits nor locks, in one flight, and sets no cookie', async () => {
      const place = await start({ '/read': ({ data }) => data['user'] }, { readOnly: ['/read'], managerOptions: { waitMs: 0 } })
      const visitor = await place.visitor()
      const holder = await elsewhere(place).start(visitor.sid)
      expect(await visitor.twin().get('/read')).toMatchObject({ status: 200, body: '"ada"', setCookies: [] })
      expect(place.wire?.flights.map((commands) => commands.map(({ op }) => op)).at(-1)).toEqual(['get'])
      await holder.abort()
    })

    it('cannot change its session, and is told so at once', async () => {
      const change: Route = ({ data }) => {
        try {
          return (data['n'] = 1)
        } catch (error) {
          return codeOf(error)
        }
      }
      const place = await start({ '/read': change }, { readOnly: ['/read'] })
      const visitor = await place.visitor()
      expect((await visitor.get('/read')).body).toBe('"LATCHKEY_READ_ONLY"')
      expect(await place.stored(visitor.sid)).toEqual({ user: 'ada' })
    })

    it('waits for no upload either', async () => {
      let hasBegun = false
      const read: Route = async ({ data }, page) => {
        hasBegun = true
        return [data['user'], (await page.body()).length]
      }
      const place = await start({ '/upload': read }, { readOnly: ['/upload'] })
      const visitor = await place.visitor()
      const { finish } = await stalledUpload(place.server, visitor, { body: Buffer.from('whole') })
      // A body is waited for ten seconds (onBodyArrived).
      await until(() => hasBegun, 5000)
      expect(await finish()).toContain('["ada",5]')
    })
  })
})
