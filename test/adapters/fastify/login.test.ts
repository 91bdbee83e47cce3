import type { Command } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { storesRecord } from '../express/tap-wire.js'
import { barrier, dataOf, endSitesAfterEach, type FastifyInstance, idOf, KINDS, Site, until, visit } from './site.js'

/** regenerate() at a login, destroy() at a logout, and requests that are under way meanwhile. */

endSitesAfterEach()

const login = (app: FastifyInstance): void => {
  app.get('/login', async (request) => {
    await visit(request).regenerate()
    visit(request).user = 'eve'
    return { id: idOf(request) }
  })
}

const logout = (app: FastifyInstance): void => {
  app.get('/logout', async (request) => {
    await visit(request).destroy()
    return {}
  })
}

describe.each(KINDS)('%s', (kind) => {
  it('regenerate(): another id, the old record and both locks are gone', async () => {
    const site = await Site.start(kind, login)
    const visitor = await site.visitor()
    const old = visitor.sid
    const { body } = await visitor.get('/login')
    expect(visitor.sid).not.toBe(old)
    expect(JSON.parse(body)).toEqual({ id: visitor.sid })
    expect(await site.stored(old)).toBeUndefined()
    expect(await site.stored(visitor.sid)).toMatchObject({ user: 'eve' })
    expect(await site.isFree(old, visitor.sid)).toBe(true)
  })

  it('regenerate() of a new session', async () => {
    const site = await Site.start(kind, login)
    const browser = site.browser()
    await browser.get('/login')
    expect(await site.stored(browser.sid)).toEqual({ user: 'eve' })
  })

  it('regenerate() that nobody waits for: the response does', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/hasty', async (request) => {
        void visit(request).regenerate()
        return {}
      })
    })
    const visitor = await site.visitor()
    const old = visitor.sid
    expect((await visitor.get('/hasty')).status).toBe(200)
    expect(visitor.sid).not.toBe(old)
    expect(await site.stored(old)).toBeUndefined()
  })

  it('the new session cannot be stored: the old one stays as it was', async () => {
    const site = await Site.start(kind, login)
    const visitor = await site.visitor()
    const { cookie } = visitor
    const storesNew = (commands: readonly Command[]): boolean => commands.some(({ op }) => op === 'add') && storesRecord(commands)
    site.wire?.refuse(storesNew)
    site.wire?.refuse(storesNew)
    const answer = await visitor.get('/login')
    expect([answer.status, answer.setCookies, visitor.cookie]).toEqual([503, [], cookie])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('regenerate() again, after one whose session was not stored: the old one ends, and no lock is left', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/login', async (request) => {
        await expect(visit(request).regenerate()).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_REFUSED' })
        await visit(request).regenerate()
        visit(request).user = 'eve'
        return {}
      })
    })
    const visitor = await site.visitor()
    const old = visitor.sid
    site.wire?.refuse(storesRecord)
    expect((await visitor.get('/login')).status).toBe(200)
    expect(await site.stored(old)).toBeUndefined()
    expect(await site.stored(visitor.sid)).toMatchObject({ user: 'eve' })
    expect(await site.isFree(old, visitor.sid)).toBe(true)
    expect(site.manager.stats().held).toBe(0)
  })

  it('destroy() after a regenerate() whose session was not stored: the old one is destroyed', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/logout', async (request) => {
        await visit(request).regenerate().catch(() => undefined)
        await visit(request).destroy()
        return {}
      })
    })
    const visitor = await site.visitor()
    const old = visitor.sid
    site.wire?.refuse(storesRecord)
    expect((await visitor.get('/logout')).status).toBe(200)
    expect(await site.stored(old)).toBeUndefined()
    expect(site.manager.stats().held).toBe(0)
  })

  it('a request that waits for the old id: an error, no cookie, and nothing is written', async () => {
    const goOn = barrier()
    const site = await Site.start(kind, (app) => {
      logout(app)
      app.get('/login', async (request) => {
        await goOn.passed
        await visit(request).regenerate()
        visit(request).user = 'eve'
        return {}
      })
    })
    const visitor = await site.visitor()
    const twin = visitor.twin()
    const entering = visitor.get('/login')
    await until(() => site.manager.stats().held === 1)
    const others = [twin.get('/set/n/1'), twin.get('/logout'), twin.get('/show')]
    await until(() => site.manager.stats().waiting === 3)
    goOn.open()
    await entering
    for (const answer of await Promise.all(others)) expect([answer.status, answer.setCookies]).toEqual([409, []])
    expect(await site.stored(visitor.sid)).toMatchObject({ user: 'eve' })
  })

  it('retiredCopySec: a request with the old id sees the copy, cannot change it, and sets no cookie', async () => {
    const site = await Site.start(kind, login, { managerOptions: { retiredCopySec: 30 } })
    const visitor = await site.visitor()
    const twin = visitor.twin()
    await visitor.get('/login')
    const seen = await twin.get('/show')
    expect([seen.status, seen.body, seen.setCookies]).toEqual([200, '{"user":"ada"}', []])
    const changed = await twin.get('/set/n/1')
    expect([changed.status, changed.setCookies]).toEqual([409, []])
    expect(changed.body).toContain('LATCHKEY_READ_ONLY')
    const again = await twin.get('/login')
    expect([again.status, again.setCookies]).toEqual([409, []])
    expect(await site.stored(twin.sid)).toEqual({ user: 'ada' })
    expect(await site.stored(visitor.sid)).toMatchObject({ user: 'eve' })
  })

  it('destroy(): the record and the lock are gone', async () => {
    const site = await Site.start(kind, logout)
    const visitor = await site.visitor()
    const old = visitor.sid
    expect((await visitor.get('/logout')).status).toBe(200)
    expect(await site.stored(old)).toBeUndefined()
    expect(await site.isFree(old)).toBe(true)
    expect((await visitor.get('/show')).body).toBe('{}')
  })

  it('destroy() that nobody waits for: the response does not store the session again', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/hasty', async (request) => {
        void visit(request).destroy()
        return {}
      })
    })
    const visitor = await site.visitor()
    const old = visitor.sid
    expect((await visitor.get('/hasty')).status).toBe(200)
    expect(await site.stored(old)).toBeUndefined()
  })

  it.each(['/change', '/login'])('%s is slower than a logout: refused, and the session does not come back', async (path) => {
    const goOn = barrier()
    const site = await Site.start(kind, (app) => {
      app.get('/change', async (request) => {
        await goOn.passed
        visit(request).n = 1
        return {}
      })
      app.get('/login', async (request) => {
        await goOn.passed
        await visit(request).regenerate()
        visit(request).user = 'eve'
        return {}
      })
    })
    const visitor = await site.visitor()
    const old = visitor.sid
    const slow = visitor.get(path)
    await until(() => site.manager.stats().held === 1)
    // Without the lock, from elsewhere: a "log out everywhere" of an administrator.
    await site.manager.store().destroy(old)
    goOn.open()
    const { status, setCookies } = await slow
    expect([409, 503]).toContain(status)
    expect(setCookies).toEqual([])
    expect(visitor.sid).toBe(old)
    expect(await site.stored(old)).toBeUndefined()
  })

  it('an id that was destroyed, or that nobody ever had, is not taken over', async () => {
    const site = await Site.start(kind, logout)
    const visitor = await site.visitor()
    const twin = visitor.twin()
    const old = visitor.sid
    await visitor.get('/logout')
    await twin.get('/set/user/eve')
    expect(twin.sid).not.toBe(old)
    expect(await site.stored(old)).toBeUndefined()
  })

  it('twenty logins at once: each session that is stored is the one of the answer, and the old one is gone', async () => {
    const site = await Site.start(kind, login)
    const visitor = await site.visitor()
    const old = visitor.sid
    const twins = Array.from({ length: 20 }, () => visitor.twin())
    const answers = await Promise.all(twins.map((twin) => twin.get('/login')))
    const winners = twins.filter((twin) => twin.sid !== old)
    expect(winners).toHaveLength(answers.filter(({ status }) => status === 200).length)
    for (const { sid } of winners) expect(await site.stored(sid)).toMatchObject({ user: 'eve' })
    expect(await site.stored(old)).toBeUndefined()
    twins.forEach((twin) => twin.close())
    visitor.cookie = winners[0]?.cookie
  })

  it('what was in the session before', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/keep', async (request) => {
        const session = request.getDecorator<{ regenerate: (keys?: string[]) => Promise<void> }>('session')
        await session.regenerate(['user'])
        return dataOf(request)
      })
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/keep')).body).toBe('{"user":"ada"}')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })
})

it('retiredCopySec: a copy whose cookie has expired is no session: a new one begins', async () => {
  const site = await Site.start('with @fastify/session', () => undefined)
  const visitor = await site.visitor()
  const old = visitor.sid
  const store = site.manager.store()
  await store.read(old)
  await store.save(old, JSON.stringify({ cookie: { expires: new Date(Date.now() - 1000) } }))
  await store.retire(old, 30)
  await store.close()
  expect((await visitor.get('/set/n/1')).status).toBe(200)
  expect(visitor.sid).not.toBe(old)
  expect(await site.stored(visitor.sid)).toEqual({ n: '1' })
})

describe.each(KINDS)('a retired copy that is destroyed, %s', (kind) => {
  it('its response sets no cookie and clears none: the browser has the new one by now', async () => {
    const routes = (app: FastifyInstance): void => {
      login(app)
      logout(app)
    }
    const site = await Site.start(kind, routes, { managerOptions: { retiredCopySec: 10 } })
    const visitor = await site.visitor()
    const late = visitor.twin()
    expect(await visitor.get('/login')).toMatchObject({ status: 200 })
    expect(await late.get('/logout')).toMatchObject({ status: 200, setCookies: [] })
    expect(await site.stored(visitor.sid)).toMatchObject({ user: 'eve' })
  })
})

// Vitest fails for a rejection that nobody handles.
describe.each(KINDS)('a call that nobody waits for, and is refused, %s', (kind) => {
  it.each(['save', 'release', 'regenerate', 'destroy'] as const)('%s(): the response says so', async (call) => {
    const site = await Site.start(kind, (app) => {
      app.get('/it', async (request) => {
        visit(request).n = 1
        void visit(request)[call]()
        return {}
      })
    })
    const visitor = await site.visitor()
    for (let times = 0; times < 3; times++) site.wire?.refuse(storesRecord)
    expect(await visitor.get('/it')).toMatchObject({ status: 503 })
  })
})
