import { IncomingMessage, ServerResponse } from 'node:http'
import { connect, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Request, RequestHandler, Response } from 'express'
import { describe, expect, it } from 'vitest'
import { barrier, dataOf, endSitesAfterEach, EXPRESSES, SECRET, Site, type SiteOptions, until, visit } from './site.js'
import { asksForLock, storesRecord } from './tap-wire.js'

/** One test for each row of shared/facts/web-frameworks.md, under real HTTP. */

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
    expect(site.ops).toEqual([LOCK, STORE_AND_FREE])
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

  it('handler throws: what it changed is stored with the error response', async () => {
    const site = await Site.start(
      (app) => {
        app.get('/throw', (req) => {
          visit(req).n = 1
          throw new Error('a bug')
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    const answer = await visitor.get('/throw')
    expect([answer.status, answer.body]).toEqual([500, '{"error":"a bug"}'])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('get fails or the lock times out: an error with status 503, nothing stored', async () => {
    const held = barrier()
    const site = await Site.start(
      (app) => app.get('/hold', (_req, res) => void held.passed.then(() => res.json({}))),
      { framework, managerOptions: { waitMs: 0 } },
    )
    const visitor = await site.visitor()
    const first = visitor.get('/hold')
    await until(() => site.manager.stats().held === 1)
    const late = await visitor.get('/set/user/eve')
    expect([late.status, late.headers['retry-after'], late.body]).toEqual([503, '1', '{"error":"LATCHKEY_LOCK_TIMEOUT"}'])
    held.open()
    await first
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('set fails: 503 without Set-Cookie', async () => {
    const site = await Site.start(() => undefined, { framework, rolling: true, cookie: { maxAge: 60_000 } })
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    const answer = await visitor.get('/set/user/eve')
    expect([answer.status, answer.setCookies, answer.body]).toEqual([503, [], '{"error":"LATCHKEY_SERVER_REFUSED"}'])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('client aborts, handler ends later: stored, then let go', async () => {
    const entered = barrier()
    const closed = barrier()
    const site = await Site.start(
      (app) => {
        app.get('/slow', async (req, res) => {
          res.once('close', () => closed.open())
          entered.open()
          await closed.passed
          visit(req).n = 1
          res.json({})
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    const leaving = new AbortController()
    const answer = visitor.get('/slow', { signal: leaving.signal }).catch(() => 'aborted')
    await entered.passed
    leaving.abort()
    expect(await answer).toBe('aborted')
    await until(() => site.isFree(visitor.sid))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('client aborts, handler never ends: let go after the grace time', async () => {
    const entered = barrier()
    const site = await Site.start((app) => app.get('/never', () => entered.open()), { framework, graceMs: 20 })
    const visitor = await site.visitor()
    const leaving = new AbortController()
    const answer = visitor.get('/never', { signal: leaving.signal }).catch(() => 'aborted')
    await entered.passed
    leaving.abort()
    expect(await answer).toBe('aborted')
    expect(site.manager.stats().held).toBe(1)
    await until(() => site.isFree(visitor.sid))
  })

  it('SSE: stored and let go when the headers go out', async () => {
    const ending = barrier()
    const site = await Site.start(
      (app) => {
        app.get('/events', async (req, res) => {
          visit(req).n = 1
          res.set('Content-Type', 'text/event-stream').flushHeaders()
          await ending.passed
          res.end('data: 1\n\n')
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    const events = visitor.get('/events')
    await until(() => site.ops.length === 2)
    expect(site.ops).toEqual([LOCK, STORE_AND_FREE])
    expect((await visitor.twin().get('/show')).body).toBe('{"user":"ada","n":1}')
    ending.open()
    expect((await events).body).toBe('data: 1\n\n')
  })

  it('WebSocket upgrade: reads without a lock', async () => {
    const site = await Site.start(() => undefined, { framework })
    const visitor = await site.visitor()
    const req = Object.assign(new IncomingMessage(new Socket()), { headers: { cookie: visitor.cookie ?? '' }, url: '/' })
    const upgraded = barrier<unknown>()
    // What people pass in place of a response: express-session asks nothing more of it.
    Reflect.apply(site.middleware, undefined, [req, {}, upgraded.open])
    expect(await upgraded.passed).toBeUndefined()
    expect(req).toHaveProperty('session.user', 'ada')
    expect(site.ops).toEqual([['get']])
  })

  it('WebSocket upgrade with a response that was made up: reads without a lock as well', async () => {
    const site = await Site.start(() => undefined, { framework })
    const visitor = await site.visitor()
    site.server.on('upgrade', (req, socket) => {
      Reflect.apply(site.middleware, undefined, [req, new ServerResponse(req), () => {
        socket.end(`HTTP/1.1 101 Switching Protocols\r\n\r\n${'session' in req ? JSON.stringify(req.session) : ''}`)
      }])
    })
    const socket = connect(site.port, '127.0.0.1')
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: ${visitor.cookie ?? ''}\r\n\r\n`)
    expect(await text(socket)).toContain('"user":"ada"')
    expect(site.ops).toEqual([['get']])
  })

  it('nested same-cookie request in a handler: a bounded wait, and the error names the holder', async () => {
    const site: Site = await Site.start(
      (app) => {
        app.get('/outer', async (req, res) => {
          const inner = await fetch(`http://127.0.0.1:${String(site.port)}/show`, { headers: { cookie: req.headers.cookie ?? '' } })
          res.json({ inner: inner.status })
        })
      },
      { framework, managerOptions: { waitMs: 30 } },
    )
    const visitor = await site.visitor()
    expect((await visitor.get('/outer')).body).toBe('{"inner":503}')
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_LOCK_TIMEOUT', cause: { holder: { label: 'GET /outer', pid: process.pid } } }])
  })

  it('process crash: another gets the session when the lease is over', async () => {
    // The lock of a process that is no more: nobody renews it.
    const site = await Site.start(() => undefined, { framework })
    const visitor = await site.visitor()
    const key = `sess:${visitor.sid}-lck`
    await site.wire?.flight('', [{ op: 'add', key, value: Buffer.from('of a process that crashed'), ttlSec: 2 }])
    const answer = await visitor.get('/show')
    expect([answer.status, answer.body]).toEqual([200, '{"user":"ada"}'])
  })

  it('a bare get outside of any request takes no lock', async () => {
    const site = await Site.start(() => undefined, { framework, secret: SECRET })
    const visitor = await site.visitor()
    expect(await site.middleware.store.get(visitor.sid)).toMatchObject({ user: 'ada' })
    expect(site.ops).toEqual([['get']])
  })
})
