import type { IncomingMessage } from 'node:http'
import type { Request, RequestHandler, Response } from 'express'
import { latchkey, readOnly } from 'latchkey/express'
import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { barrier, dataOf, endSitesAfterEach, EXPRESSES, SECRET, Site, type SiteOptions, visit } from './site.js'

/** Requests that only read: without waiting, without a lock, and nothing of them is stored. */

endSitesAfterEach()

const isFeed = (req: IncomingMessage): boolean => req.url?.startsWith('/feed') === true

/** What an attempt to change something throws, by code; 'nothing' when it does not. */
function codeOfChange(change: () => unknown): unknown {
  try {
    change()
    return 'nothing'
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
}

const told = (call: (done: (error?: unknown) => void) => unknown): Promise<unknown> =>
  new Promise((resolve) => {
    call((error) => resolve(error instanceof Error && 'code' in error ? error.code : error))
  })

describe.each(EXPRESSES)('%s: a request that only reads', (_name, framework) => {
  const start = (routes: Parameters<typeof Site.start>[0], options: SiteOptions = {}): Promise<Site> =>
    Site.start(routes, { framework, readOnly: isFeed, ...options })

  it('reads in one flight while another request holds the session, which it does not disturb', async () => {
    const [entered, leave] = [barrier(), barrier()]
    const site = await start((app) => {
      app.get('/hold', async (req, res) => {
        visit(req).n = 1
        entered.open()
        await leave.passed
        res.json({})
      })
      app.get('/feed', (req, res) => void res.json(dataOf(req)))
    })
    const visitor = await site.visitor()
    const holding = visitor.get('/hold')
    await entered.passed
    site.wire?.flights.splice(0)
    expect((await visitor.get('/feed')).body).toBe('{"user":"ada"}')
    expect(site.ops).toEqual([['get']])
    leave.open()
    expect((await holding).status).toBe(200)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it.each([true, false].flatMap((resave) => [true, false].flatMap((rolling) => [true, false].map((saveUninitialized) => ({ resave, rolling, saveUninitialized })))))(
    'stores, prolongs and sets nothing: %o',
    async (options) => {
      const site = await start((app) => app.get('/feed', (req, res) => void res.json(dataOf(req))), { ...options, cookie: { maxAge: 60_000 } })
      const visitor = await site.visitor()
      const { cookie } = visitor
      for (const method of ['GET', 'HEAD']) expect(await visitor.get('/feed', { method })).toMatchObject({ status: 200, setCookies: [] })
      expect(site.ops).toEqual([['get'], ['get']])
      // No session yet, or none any more.
      expect(await site.browser().get('/feed')).toMatchObject({ status: 200, setCookies: [], body: '{}' })
      await site.middleware.store.destroy(visitor.sid)
      expect(await visitor.get('/feed')).toMatchObject({ status: 200, setCookies: [], body: '{}' })
      expect(visitor.cookie).toBe(cookie)
    },
  )

  it.each([
    ['an assignment', (req) => (visit(req).n = 1)],
    ['a deep one', (req) => visit(req).list?.push('b')],
    ['a delete', (req) => delete visit(req).user],
    ['its cookie', (req) => (req.session.cookie.maxAge = 1000)],
    ['its cookie, deep', (req) => (req.session.cookie.path = '/x')],
  ] satisfies [string, (req: Request) => unknown][])('a change is an error at that moment, and a 500 where it is let pass: %s', async (_what, change) => {
    const seen: unknown[] = []
    const handler: RequestHandler = (req, res) => {
      seen.push(codeOfChange(() => change(req)))
      change(req)
      res.json({})
    }
    const site = await start((app) => {
      app.get('/list', (req, res) => void res.json((visit(req).list = ['a'])))
      app.get('/feed', handler)
    })
    for (const visitor of [await site.visitor(), site.browser()]) {
      if (visitor.cookie !== undefined) await visitor.get('/list')
      const before = visitor.cookie === undefined ? undefined : await site.stored(visitor.sid)
      if (before === undefined && _what === 'a deep one') continue
      expect(await visitor.get('/feed')).toMatchObject({ status: 500, setCookies: [], body: '{"error":"LATCHKEY_READ_ONLY"}' })
      if (before !== undefined) expect(await site.stored(visitor.sid)).toEqual(before)
    }
    expect(new Set(seen)).toEqual(new Set(['LATCHKEY_READ_ONLY']))
  })

  it('save(), destroy() and regenerate() say so; reload() reads again; touch() and release() do nothing', async () => {
    const site = await start((app, own) => {
      app.get('/feed', async (req, res) => {
        const { session, sessionID } = req
        const codes = [await told((done) => session.save(done)), await told((done) => session.destroy(done)), await told((done) => session.regenerate(done))]
        await session.release()
        session.touch()
        await own.manager.run(sessionID, ({ data }) => void (data['n'] = 2))
        const reloaded = await told((done) => req.session.reload(done))
        res.json({ codes, reloaded, data: dataOf(req), change: codeOfChange(() => (visit(req).n = 3)), same: req.sessionID === sessionID })
      })
    })
    const visitor = await site.visitor()
    // What it was told and did not heed is told with the response: nothing of what it wanted was done.
    expect(await visitor.get('/feed')).toMatchObject({ status: 500, setCookies: [] })
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })

    const calm = await start((app) => {
      app.get('/feed', async (req, res) => {
        await req.session.release()
        req.session.touch()
        const reloaded = await told((done) => req.session.reload(done))
        res.json({ reloaded: reloaded ?? null, data: dataOf(req), change: codeOfChange(() => (visit(req).n = 3)) })
      })
    })
    const other = await calm.visitor()
    expect((await other.get('/feed')).body).toBe('{"reloaded":null,"data":{"user":"ada"},"change":"LATCHKEY_READ_ONLY"}')
    expect(calm.ops).toEqual([['get'], ['get']])
  })

  it("req.session = null with unset: 'destroy' is refused with the response", async () => {
    const handler = (req: Request, res: Response): void => {
      Object.assign(req, { session: null })
      res.json({})
    }
    const site = await start((app) => app.get('/feed', handler), { unset: 'destroy' })
    const visitor = await site.visitor()
    expect(await visitor.get('/feed')).toMatchObject({ status: 500, body: '{"error":"LATCHKEY_READ_ONLY"}' })
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('a route is marked by mounting readOnly before the session', async () => {
    const site = await Site.start((app) => app.get('/list/:of', (req, res) => void res.json(dataOf(req))), {
      framework,
      before: (app) => app.get('/list/:of', readOnly),
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/list/1')).body).toBe('{"user":"ada"}')
    expect(site.ops).toEqual([['get']])
    await visitor.get('/show')
    expect(site.ops.slice(1)).toEqual([['add', 'get'], ['touch', 'cad']])
  })

  it('mounted in a route, after the session, readOnly lets go of it there and then', async () => {
    const held: number[] = []
    const site = await Site.start(
      (app, own) => {
        app.get('/list', readOnly, (req, res) => {
          held.push(own.manager.stats().held)
          res.json({ change: codeOfChange(() => (visit(req).n = 1)) })
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    expect((await visitor.get('/list')).body).toBe('{"change":"LATCHKEY_READ_ONLY"}')
    expect(held).toEqual([0])
    expect(site.ops).toEqual([['add', 'get'], ['touch', 'cad']])
  })

  it('a server that does not answer is a 503', async () => {
    const site = await start((app) => app.get('/feed', (req, res) => void res.json(dataOf(req))))
    const visitor = await site.visitor()
    site.wire?.stop((commands) => commands.every(({ op }) => op === 'get')).fail()
    expect(await visitor.get('/feed')).toMatchObject({ status: 503, setCookies: [], body: '{"error":"LATCHKEY_SERVER_UNAVAILABLE"}' })
    expect((await visitor.get('/feed')).body).toBe('{"user":"ada"}')
  })

  it('destroy wins over a request that only reads: its session does not come back, whenever it is answered', async () => {
    const [entered, leave] = [barrier(), barrier()]
    const site = await start((app) => {
      app.get('/feed', async (_req, res) => {
        entered.open()
        await leave.passed
        res.json({})
      })
      app.get('/logout', (req, res) => void req.session.destroy(() => res.json({})))
    }, { resave: true, rolling: true, saveUninitialized: true })
    const visitor = await site.visitor()
    const { sid, cookie } = visitor
    const reading = visitor.get('/feed')
    await entered.passed
    await visitor.get('/logout')
    leave.open()
    expect(await reading).toMatchObject({ status: 200, setCookies: [] })
    expect(await site.stored(sid)).toBeUndefined()
    visitor.cookie = cookie
    expect((await visitor.get('/show')).body).toBe('{}')
  })
})

describe('the option readOnly', () => {
  it('is a function', () => {
    const manager = new SessionManager()
    // @ts-expect-error it is no function
    expect(() => latchkey({ manager, secret: SECRET, resave: false, saveUninitialized: false, readOnly: true })).toThrow(/readOnly is true/)
  })

  it('that throws is the error of its request', async () => {
    const site = await Site.start(() => undefined, {
      readOnly: (req) => {
        if (req.url === '/show') throw new Error('no idea')
        return false
      },
    })
    expect(await site.browser().get('/show')).toMatchObject({ status: 500, body: '{"error":"no idea"}' })
  })
})
