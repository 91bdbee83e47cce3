import type { Express } from 'express'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SessionManager } from 'latchkey'
import { systemClock } from '../../../src/system/clock.js'
import { createMemcachedWire } from '../../../src/wire/memcached/memcached-wire.js'
import type { Wire } from '../../../src/wire/wire.js'
import { rowsOf } from '../../support/matrix.js'
import { MemcachedServer } from '../../support/memcached-server.js'
import { serversOf } from '../../support/servers.js'
import type { Browser } from './browser.js'
import { barrier, dataOf, endSitesAfterEach, Site, type SiteOptions, until, visit } from './site.js'
import { storesRecord } from './tap-wire.js'

/** Logins and logouts beside other requests of the same session: who stays in, who stays out, and who learns what. */

let server: MemcachedServer
beforeAll(async () => {
  server = await MemcachedServer.start()
})
afterAll(() => server.stop())
endSitesAfterEach()

let tests = 0

/** The options that would store, prolong or set a cookie on their own. */
const EAGER = { resave: true, rolling: true, saveUninitialized: true, cookie: { maxAge: 60_000 } }

describe.each(rowsOf(['memory', 'memcached']))('on %s', (store) => {
  /** A shop where one logs in and out; `/slow/:what` stops before it does what its path says. */
  async function shop(retiredCopySec: number, options: SiteOptions = {}): Promise<{
    site: Site
    visitor: Browser
    slow: (what: string) => Promise<{ answer: ReturnType<Browser['get']>; goOn: () => void }>
  }> {
    let [entered, leave] = [barrier(), barrier()]
    const routes = (app: Express): void => {
      app.get('/login', (req, res, next) => {
        req.session.regenerate((error: unknown) => {
          if (error !== undefined && error !== null) return next(error)
          visit(req).user = 'root'
          res.json({})
        })
      })
      app.get('/logout', (req, res, next) => {
        req.session.destroy((error: unknown) => (error === undefined || error === null ? res.clearCookie('connect.sid').json({}) : next(error)))
      })
      app.get('/slow/:what', async (req, res, next) => {
        const done = (error?: unknown): void => (error === undefined || error === null ? void res.json(dataOf(req)) : next(error))
        entered.open()
        await leave.passed
        const { what } = req.params
        try {
          if (what === 'write') visit(req).n = 1
        } catch (error) {
          return next(error)
        }
        if (what === 'save') req.session.save(done)
        else if (what === 'regenerate') req.session.regenerate(done)
        else done()
      })
    }
    const site = await Site.start(routes, {
      managerOptions: { retiredCopySec, ...(store === 'memory' ? {} : { savePath: `tcp://127.0.0.1:${String(server.port)}`, prefix: `r${String(++tests)}:` }) },
      readOnly: (req) => req.url?.endsWith('?readOnly') === true,
      ...options,
    })
    const visitor = await site.visitor()
    const slow = async (what: string): Promise<{ answer: ReturnType<Browser['get']>; goOn: () => void }> => {
      ;[entered, leave] = [barrier(), barrier()]
      const twin = visitor.twin()
      const answer = twin.get(`/slow/${what}`)
      void answer.finally(() => twin.close())
      const { open: goOn } = leave
      await entered.passed
      return { answer, goOn: () => goOn() }
    }
    return { site, visitor, slow }
  }

  /**
   * Another process of the same store: it takes the session from whoever holds it, as after a lease that ran out while
   * its holder stood still, and does something with it.
   */
  async function overtake(site: Site, sid: string, work: Parameters<SessionManager['run']>[1], retiredCopySec: number): Promise<string> {
    const prefix = store === 'memory' ? 'sess:' : `r${String(tests)}:`
    const wire: Wire =
      site.wire?.inner ?? createMemcachedWire({ servers: serversOf(`tcp://127.0.0.1:${String(server.port)}`), clock: systemClock, flightMs: 1000, connections: 1 })
    await wire.flight(sid, [{ op: 'delete', key: `${prefix}${sid}-lck` }])
    const other = new SessionManager({ wire, prefix, retiredCopySec })
    const session = await other.start(sid)
    await work(session)
    await session.release()
    if (store !== 'memory') await other.close()
    return session.id
  }

  describe.each([0, 2])('retiredCopySec %i', (retiredCopySec) => {
    it.each([{}, EAGER])('requests that come with the old id after a login set no cookie, and write nothing: %o', async (options) => {
      const { site, visitor } = await shop(retiredCopySec, options)
      const { sid: old } = visitor
      const late = visitor.twin()
      await visitor.get('/login')
      expect(visitor.sid).not.toBe(old)
      for (const path of retiredCopySec === 0 ? [] : ['/show', '/show?readOnly']) {
        expect(await late.get(path)).toMatchObject({ status: 200, setCookies: [], body: '{"user":"ada"}' })
      }
      if (retiredCopySec > 0) {
        for (const path of ['/set/n/1', '/login']) {
          expect(await late.get(path)).toMatchObject({ status: 409, setCookies: [], body: '{"error":"LATCHKEY_READ_ONLY"}' })
        }
        expect(await site.stored(old)).toEqual({ user: 'ada' })
      } else {
        expect((await late.get('/show')).body).toBe('{}')
        expect(await site.stored(old)).toBeUndefined()
      }
      expect(await site.stored(visitor.sid)).toEqual({ user: 'root' })
      late.close()
    })

    it('a request that waits while another logs in neither logs the user out nor writes', async () => {
      const { site, visitor, slow } = await shop(retiredCopySec, EAGER)
      const { sid: old } = visitor
      const login = await slow('regenerate')
      const waiting = [visitor.twin(), visitor.twin()]
      const answers = [waiting[0]?.get('/set/n/1'), waiting[1]?.get('/show')]
      await untilWaiting(site, 2)
      login.goOn()
      const { setCookies } = await login.answer
      expect(setCookies).toHaveLength(1)
      const [writer, reader] = await Promise.all(answers)
      expect(writer).toMatchObject({ status: 409, setCookies: [] })
      expect(reader).toMatchObject(retiredCopySec === 0 ? { status: 409, setCookies: [] } : { status: 200, setCookies: [], body: '{"user":"ada"}' })
      expect((await site.stored(old)) ?? {}).not.toHaveProperty('n')
      // As below: a waiter's answer may be here before the lock that it was given is let go.
      await until(() => site.manager.stats().held === 0, 1000)
      for (const twin of waiting) twin.close()
    })

    it('a slow writer of the old id that has lost its lock to a login is refused, and writes into neither', async () => {
      const { site, visitor, slow } = await shop(retiredCopySec)
      const writer = await slow('write')
      const login = await overtake(site, visitor.sid, (session) => session.regenerate(), retiredCopySec)
      writer.goOn()
      const { status, setCookies } = await writer.answer
      expect([409, 503]).toContain(status)
      expect(setCookies).toEqual([])
      expect(await site.stored(login)).toEqual({ user: 'ada' })
      expect(await site.stored(visitor.sid)).toEqual(retiredCopySec === 0 ? undefined : { user: 'ada' })
    })

    it('a slow login that has lost its lock to a writer is refused: the writer was first', async () => {
      const { site, visitor, slow } = await shop(retiredCopySec)
      const login = await slow('regenerate')
      await overtake(site, visitor.sid, ({ data }) => void Object.assign(data, { n: 7 }), retiredCopySec)
      login.goOn()
      expect(await login.answer).toMatchObject({ status: 503, setCookies: [] })
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 7 })
    })

    it('two logins at once: one goes on, the other is told, and only one cookie is set', async () => {
      const { site, visitor } = await shop(retiredCopySec)
      const twins = [visitor.twin(), visitor.twin()]
      const answers = await Promise.all(twins.map((twin) => twin.get('/login')))
      const [won, lost] = answers[0]?.status === 200 ? answers : [...answers].reverse()
      expect(won).toMatchObject({ status: 200 })
      // Without a copy the second may come after the first: then it is a visitor without a session who logs in.
      if (retiredCopySec > 0 || lost?.status !== 200) expect(lost).toMatchObject({ status: 409, setCookies: [] })
      const logins = twins.filter((_, index) => answers[index]?.status === 200)
      for (const twin of logins) expect(await site.stored(twin.sid)).toEqual({ user: 'root' })
      // A waiter is refused before the lock that it was given is let go: its answer may be here a flight earlier.
      await until(() => site.manager.stats().held === 0, 1000)
      for (const twin of twins) twin.close()
    })

    it('a logout wins over a slow login of the same session, and over its copy', async () => {
      const { site, visitor, slow } = await shop(retiredCopySec, EAGER)
      const { sid: old } = visitor
      const login = await slow('regenerate')
      await site.middleware.store.destroy(old)
      login.goOn()
      expect(await login.answer).toMatchObject({ status: 409, setCookies: [] })
      expect(await site.stored(old)).toBeUndefined()
    })

    it.each(['write', 'read', 'save', 'write?readOnly', 'read?readOnly'])('a logout stays one, whatever a slower request does: %s', async (what) => {
      const { site, visitor, slow } = await shop(retiredCopySec, EAGER)
      const { sid } = visitor
      const slower = await slow(what)
      await site.middleware.store.destroy(sid)
      slower.goOn()
      const { setCookies } = await slower.answer
      expect(setCookies).toEqual([])
      expect(await site.stored(sid)).toBeUndefined()
      expect((await visitor.get('/show')).body).toBe('{}')
    })

    it('a logout that waits for a slow writer comes after it, and who waits behind it finds nothing', async () => {
      const { site, visitor, slow } = await shop(retiredCopySec, EAGER)
      const { sid } = visitor
      const slower = await slow('write')
      const [out, late] = [visitor.twin(), visitor.twin()]
      const logout = out.get('/logout')
      await untilWaiting(site, 1)
      const behind = late.get('/set/n/2')
      await untilWaiting(site, 2)
      slower.goOn()
      expect((await slower.answer).status).toBe(200)
      expect((await logout).status).toBe(200)
      expect(await behind).toMatchObject({ status: 409, setCookies: [] })
      // The lock of a session that is gone is let go by a flight of its own, for which its answer does not wait.
      await until(() => site.manager.stats().held === 0)
      expect(await site.stored(sid)).toBeUndefined()
      for (const twin of [out, late]) twin.close()
    })

    it('no fixation: who planted an id before the login never gets into the session that came of it', async () => {
      const { site, visitor } = await shop(retiredCopySec, EAGER)
      const attacker = visitor.twin()
      const { cookie, sid: planted } = attacker
      // Before, while and after the victim logs in.
      await attacker.get('/show')
      const [seen, , seenToo] = await Promise.all([attacker.get('/show'), visitor.get('/login'), attacker.twin().get('/show')])
      const { sid: victims } = visitor
      expect(victims).not.toBe(planted)
      const answers = [seen, seenToo]
      for (const path of ['/show', '/set/user/eve', '/login', '/logout', '/show?readOnly']) {
        if (cookie !== undefined) attacker.cookie = cookie
        answers.push(await attacker.get(path))
      }
      for (const { body, setCookies } of answers) {
        expect(body).not.toContain('root')
        expect(body + String(setCookies)).not.toContain(victims)
      }
      expect(await site.stored(victims)).toEqual({ user: 'root' })
      expect((await visitor.get('/show')).body).toBe('{"user":"root"}')
      attacker.close()
    })

    it('an id that nobody was given is not taken over, and its owner-to-be is given another by the login', async () => {
      const { site } = await shop(retiredCopySec, EAGER)
      const victim = site.browser()
      victim.cookie = 'connect.sid=s%3Achosen-by-an-attacker.c2lnbmF0dXJl'
      await victim.get('/set/user/x')
      expect(victim.sid).not.toBe('chosen-by-an-attacker')
      expect(await site.stored('chosen-by-an-attacker')).toBeUndefined()
    })
  })

  it.each(['refused', 'unreachable'])('a server that is %s as the old session ends: 503 without Set-Cookie, and it goes on', async (how) => {
    if (store === 'memcached') return
    const { site, visitor } = await shop(2, EAGER)
    const { sid } = visitor
    if (how === 'refused') site.wire?.refuse(storesRecord)
    else site.wire?.stop(storesRecord).fail()
    expect(await visitor.get('/login')).toMatchObject({ status: 503, setCookies: [] })
    expect(await site.stored(sid)).toEqual({ user: 'ada' })
    await until(() => site.isFree(sid))
    expect((await visitor.get('/login')).status).toBe(200)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'root' })
  })

  it('the new session cannot be stored: 503 without Set-Cookie, and the old one goes on as it was', async () => {
    if (store === 'memcached') return
    const { site, visitor } = await shop(0, EAGER)
    const { sid } = visitor
    site.wire?.refuse((commands) => storesRecord(commands) && commands.some(({ key }) => !key.includes(sid)))
    expect(await visitor.get('/login')).toMatchObject({ status: 503, setCookies: [] })
    expect(visitor.sid).toBe(sid)
    expect(await site.stored(sid)).toEqual({ user: 'ada' })
    await until(() => site.isFree(sid))
  })

  it('the old one ends also where nothing is stored in its place, and where that is destroyed', async () => {
    const site = await Site.start(
      (app) => {
        app.get('/:end', (req, res, next) => {
          req.session.regenerate((error: unknown) => {
            if (error !== undefined && error !== null) return next(error)
            if (req.params.end === 'destroy') req.session.destroy(() => res.json({}))
            else if (req.params.end === 'release') void req.session.release().then(() => res.json({}))
            else if (req.params.end === 'twice') req.session.regenerate(() => res.json({}))
            else res.json({})
          })
        })
      },
      { saveUninitialized: false },
    )
    for (const end of ['empty', 'destroy', 'release', 'twice']) {
      const visitor = await site.visitor()
      const { sid } = visitor
      expect((await visitor.get(`/${end}`)).status).toBe(200)
      expect([end, await site.stored(sid)]).toEqual([end, undefined])
      expect(site.manager.stats().held).toBe(0)
    }
  })

  it('the end of the old session is not answered: the visitor goes on under the new id', async () => {
    if (store === 'memcached') return
    const { site, visitor } = await shop(0, EAGER)
    const { sid } = visitor
    site.wire?.loseReplies(2, (commands) => commands.some((command) => command.op === 'cas' && command.key.endsWith(sid)))
    expect((await visitor.get('/login')).status).toBe(200)
    expect(visitor.sid).not.toBe(sid)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'root' })
    await until(() => site.stored(sid).then((data) => data === undefined))
  })

  it('a copy may be destroyed: that logs nobody out, and sets and clears no cookie', async () => {
    const { site, visitor } = await shop(2)
    const { sid: old } = visitor
    const late = visitor.twin()
    await visitor.get('/login')
    expect(await late.get('/logout')).toMatchObject({ status: 200, setCookies: [] })
    expect(await site.stored(old)).toBeUndefined()
    expect((await visitor.get('/show')).body).toBe('{"user":"root"}')
    late.close()
  })

  it('a copy ends with its time, however often it is read', async () => {
    const { site, visitor } = await shop(1, EAGER)
    const { sid: old } = visitor
    const late = visitor.twin()
    await visitor.get('/login')
    const end = Date.now() + 5000
    while ((await site.stored(old)) !== undefined && Date.now() < end) await late.get('/show')
    expect(await site.stored(old)).toBeUndefined()
    late.close()
  })

  it('a script can write into a copy no more than a request can', async () => {
    const { site, visitor } = await shop(2)
    const { sid: old } = visitor
    await visitor.get('/login')
    const data = await site.middleware.store.get(old)
    expect(data).toMatchObject({ user: 'ada' })
    if (data === null) return
    await expect(site.middleware.store.set(old, data)).rejects.toMatchObject({ code: 'LATCHKEY_READ_ONLY', status: 409 })
    await site.middleware.store.touch(old, data)
    expect(await site.stored(old)).toEqual({ user: 'ada' })
  })
})

const untilWaiting = (site: Site, count: number): Promise<void> => until(() => site.manager.stats().waiting >= count)

describe('what a handler has kept of the session that it ended', () => {
  it.each(['destroy', 'regenerate'] as const)('%s(), and then its save(): refused, and nothing comes back under the old id', async (end) => {
    const site = await Site.start((app) => {
      app.get('/it', (req, res, next) => {
        const kept = visit(req)
        kept[end](() => {
          kept.user = 'eve'
          kept.save((error: { code?: string } | null) => {
            if (error === null) res.json({})
            else next(error)
          })
        })
      })
    })
    const visitor = await site.visitor()
    const old = visitor.sid
    expect(await visitor.twin().get('/it')).toMatchObject({ status: 409, setCookies: [] })
    expect(await site.stored(old)).toBeUndefined()
    expect(await site.isFree(old)).toBe(true)
  })
})
