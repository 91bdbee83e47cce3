import type { Request, RequestHandler, Response } from 'express'
import { describe, expect, it } from 'vitest'
import { dataOf, endSitesAfterEach, EXPRESSES, Site, type SiteOptions, visit } from './site.js'
import { asksForLock } from './tap-wire.js'

/** One test for each kind of request, under real HTTP; failures and long connections: when-the-lock-is-released.test.ts. */

const LOCK = ['add', 'get']
const STORE_AND_FREE = ['cas', 'cad']
const TOUCH_AND_FREE = ['touch', 'cad']

endSitesAfterEach()

describe.each(EXPRESSES)('the table of express-session, %s', (_name, framework) => {
  it('no cookie, bad signature: no lock until there is something to store', async () => {
    const site = await Site.start(() => undefined, { framework })
    const browser = site.browser()
    expect((await browser.get('/show')).setCookies).toEqual([])
    browser.cookie = 'connect.sid=s%3Asome-id.c2lnbmF0dXJl'
    expect((await browser.get('/show')).body).toBe('{}')
    expect(site.ops).toEqual([])
    await browser.get('/set/user/ada')
    expect(site.ops).toEqual([LOCK, ['add', 'cad']])
    expect(await site.stored(browser.sid)).toEqual({ user: 'ada' })
  })

  it('valid cookie, record missing: let go inside get', async () => {
    const site = await Site.start(
      (app, own) => app.get('/held', async (_req, res) => void res.json({ free: await own.isFree() })),
      { framework },
    )
    const visitor = await site.visitor()
    const { sid } = visitor
    await site.middleware.store.destroy(sid)
    expect((await visitor.get('/held')).body).toBe('{"free":true}')
    await visitor.get('/set/user/eve')
    expect(visitor.sid).not.toBe(sid)
    expect(await site.isFree(sid)).toBe(true)
  })

  it('unmodified: get, touch, let go in the touch', async () => {
    const site = await Site.start(() => undefined, { framework })
    const visitor = await site.visitor()
    expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
    expect(site.ops).toEqual([LOCK, TOUCH_AND_FREE])
  })

  it.each([
    ['modified', 'GET', (res: Response) => void res.json({})],
    ['redirect', 'GET', (res: Response) => res.redirect('/show')],
    ['HEAD', 'HEAD', (res: Response) => void res.send('a body')],
  ])('%s: stored and let go in one flight, before the response ends', async (_row, method, answer) => {
    const handler: RequestHandler = (req, res) => {
      visit(req).n = 1
      answer(res)
    }
    const site = await Site.start((app) => app.get('/change', handler), { framework })
    const visitor = await site.visitor()
    await visitor.get('/change', { method })
    expect(site.ops).toEqual([LOCK, STORE_AND_FREE])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('resave: stored and let go in one flight, though nothing changed', async () => {
    const site = await Site.start(() => undefined, { framework, resave: true })
    const visitor = await site.visitor()
    await visitor.get('/show')
    expect(site.wire?.flights.map((commands) => commands.map(({ op }) => op))).toEqual([LOCK, STORE_AND_FREE])
  })

  it('explicit save(): keeps the lock until the end', async () => {
    const held: boolean[] = []
    const site = await Site.start(
      (app, own) => {
        app.get('/save', (req, res, next) => {
          visit(req).n = 1
          req.session.save((error) => {
            if (error !== null && error !== undefined) return next(error)
            held.push(own.manager.stats().held === 1)
            res.json({})
          })
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    await visitor.get('/save')
    expect(held).toEqual([true])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
    expect(await site.isFree(visitor.sid)).toBe(true)
    // The session and a refreshed lock; then nothing is left to store.
    expect(site.ops.at(-1)).toEqual(TOUCH_AND_FREE)
  })

  it('reload(): under the same lock', async () => {
    const site = await Site.start(
      (app) => {
        app.get('/reload', (req, res, next) => {
          visit(req).user = 'eve'
          req.session.reload((error) => {
            if (error !== undefined) next(error)
            else res.json(dataOf(req))
          })
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    expect((await visitor.get('/reload')).body).toBe('{"user":"ada"}')
    expect(site.wire?.flights.filter(asksForLock)).toHaveLength(1)
  })

  it('regenerate(): the old record and lock go, the new one is locked', async () => {
    const site = await Site.start(
      (app) => {
        app.get('/login', (req, res, next) => {
          req.session.regenerate((error: unknown) => {
            if (error !== undefined && error !== null) return next(error)
            visit(req).user = 'eve'
            res.json({})
          })
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    const old = visitor.sid
    await visitor.get('/login')
    expect(visitor.sid).not.toBe(old)
    expect(await site.stored(old)).toBeUndefined()
    expect(await site.stored(visitor.sid)).toEqual({ user: 'eve' })
    expect(await site.isFree(old, visitor.sid)).toBe(true)
  })

  it.each([
    ['destroy()', {}, (req) => void req.session.destroy(() => req.res?.json({}))],
    [
      "unset: 'destroy'",
      { unset: 'destroy' },
      (req) => {
        Object.assign(req, { session: null })
        req.res?.json({})
      },
    ],
  ] satisfies [string, SiteOptions, (req: Request) => void][])('%s: deleted and let go', async (_row, options, logout) => {
    const site = await Site.start((app) => app.get('/logout', (req) => logout(req)), { framework, ...options })
    const visitor = await site.visitor()
    expect((await visitor.get('/logout')).setCookies).toEqual([])
    expect(await site.stored(visitor.sid)).toBeUndefined()
    expect(site.ops).toEqual([LOCK, STORE_AND_FREE])
  })

  it("req.session = null with unset: 'keep': let go, the record stays", async () => {
    const site = await Site.start(
      (app) => {
        app.get('/null', (req, res) => {
          Object.assign(req, { session: null })
          res.json({})
        })
      },
      { framework, unset: 'keep' },
    )
    const visitor = await site.visitor()
    expect((await visitor.get('/null')).status).toBe(200)
    expect(site.ops).toEqual([LOCK, ['cad']])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })
})
