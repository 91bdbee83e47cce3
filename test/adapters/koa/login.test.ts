import { describe, expect, it } from 'vitest'
import { barrier, endSitesAfterEach, type Handler, Site, type SiteOptions, until } from './site.js'

endSitesAfterEach()

const login: Handler = async (_ctx, session) => {
  await session.regenerate()
  session.user = 'admin'
  return {}
}
const logout: Handler = (ctx) => {
  ctx['session'] = null
  return {}
}
const count: Handler = (_ctx, session) => {
  session.n = (session.n ?? 0) + 1
  return {}
}

const grace: SiteOptions = { managerOptions: { retiredCopySec: 60 } }

/** A site on which `slow` holds the session until it is told to go on. */
async function withSlow(slow: Handler, options: SiteOptions = {}): Promise<{ site: Site; open: () => void }> {
  const { passed, open } = barrier()
  const waiting: Handler = async (ctx, session) => {
    await passed
    return slow(ctx, session)
  }
  const site = await Site.start({ '/login': login, '/logout': logout, '/count': count, '/slow': waiting }, options)
  return { site, open: () => open() }
}

describe('login, koa', () => {
  it('a request that finds the copy: reads it, sets no cookie, and cannot change it', async () => {
    const { site } = await withSlow(login, grace)
    const visitor = await site.visitor()
    const late = visitor.twin()
    await visitor.get('/login')
    const read = await late.get('/show')
    expect([read.body, read.setCookies]).toEqual(['{"user":"ada"}', []])
    const changed = await late.get('/count')
    expect([changed.status, changed.setCookies]).toEqual([409, []])
    const loggedIn = await late.get('/login')
    expect([loggedIn.status, loggedIn.setCookies]).toEqual([409, []])
    const out = await late.get('/logout')
    expect([out.status, out.setCookies]).toEqual([200, []])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'admin' })
    late.close()
  })

  it('that is overtaken by a logout elsewhere: no session begins', async () => {
    const { site, open } = await withSlow(login)
    const visitor = await site.visitor()
    const { sid } = visitor
    const answer = visitor.get('/slow')
    await until(() => site.manager.stats().held === 1)
    await site.elsewhere().store().destroy(sid)
    open()
    const { status, setCookies } = await answer
    expect([status, setCookies]).toEqual([409, []])
    const sids: string[] = []
    for await (const { id } of site.elsewhere().all()) sids.push(id)
    expect(sids).toEqual([])
  })
})

describe('logout, koa', () => {
  it('and login in one request: the session goes on under its id with the new data only', async () => {
    const { site } = await withSlow(count)
    site.routes.set('/swap', (ctx) => {
      ctx['session'] = null
      ctx['session'] = { n: 5 }
      return {}
    })
    const visitor = await site.visitor()
    await visitor.get('/swap')
    expect(await site.stored(visitor.sid)).toEqual({ n: 5 })
  })

  it('after a regenerate() that failed ends the old session', async () => {
    const { site } = await withSlow(count)
    site.routes.set('/it', async (ctx, session) => {
      const refuse = site.wire?.refuse((commands) => commands.some(({ op, key }) => op === 'add' && !key.endsWith('-lck')))
      expect(refuse).toBeUndefined()
      await session.regenerate().catch(() => undefined)
      return logout(ctx, session)
    })
    const visitor = await site.visitor()
    const { sid } = visitor
    await visitor.get('/it')
    expect(await site.stored(sid)).toBeUndefined()
  })
})
