import { IncomingMessage, ServerResponse } from 'node:http'
import { connect, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import type { Request } from 'express'
import type { Browser } from './browser.js'
import { barrier, endSitesAfterEach, EXPRESSES, SECRET, Site, until, type Visit, visit } from './site.js'
import { storesRecord } from './tap-wire.js'

/** When the lock is released where something fails, the client leaves, or a response lasts. Else: what-each-request-does.test.ts. */

endSitesAfterEach()

describe.each(EXPRESSES)('the table of express-session, %s', (_name, framework) => {
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

  it('client aborts, handler never ends: let go after clientGoneMs', async () => {
    const entered = barrier()
    const site = await Site.start((app) => app.get('/never', () => entered.open()), { framework, clientGoneMs: 20 })
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
    expect(site.ops).toEqual([['add', 'get'], ['cas', 'cad']])
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

  describe('the session of a WebSocket', () => {
    const upgrade = async (): Promise<{ site: Site; visitor: Browser; held: Request['session'] & Visit; save: () => Promise<string | undefined>; current: () => Request['session'] & Visit }> => {
      const site = await Site.start((app) => void app.get('/logout', (req, res) => void req.session.destroy(() => res.json({}))), { framework })
      const visitor = await site.visitor()
      const req = Object.assign(new IncomingMessage(new Socket()), { headers: { cookie: visitor.cookie ?? '' }, url: '/', upgrade: true })
      const upgraded = barrier<unknown>()
      Reflect.apply(site.middleware, undefined, [req, {}, upgraded.open])
      await upgraded.passed
      const current = (): Request['session'] & Visit => Reflect.get(req, 'session') as Request['session'] & Visit
      const held = current()
      const save = (): Promise<string | undefined> =>
        new Promise((resolve) => void held.save((error: { code?: string } | null) => {
          resolve(error?.code)
        }))
      return { site, visitor, held, save, current }
    }

    it('it stores what follows from what it read, and again', async () => {
      const { site, visitor, held, save } = await upgrade()
      await visitor.twin().get('/show')
      for (held.n of [1, 2]) expect(await save()).toBeUndefined()
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })
    })

    it('it does not write over what a request has stored since, until it has reloaded it', async () => {
      const { site, visitor, held, save, current } = await upgrade()
      await visitor.twin().get('/set/seen/3')
      held.n = 1
      expect(await save()).toBe('LATCHKEY_FENCED')
      expect(site.failures).toMatchObject([{ code: 'LATCHKEY_FENCED' }])
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', seen: '3' })
      await new Promise((resolve) => void held.reload(resolve))
      const reloaded = current()
      reloaded.n = 1
      await new Promise((resolve) => void reloaded.save(resolve))
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', seen: '3', n: 1 })
    })

    it('it does not bring back a session that has ended', async () => {
      const { site, visitor, held, save } = await upgrade()
      await visitor.twin().get('/logout')
      held.n = 1
      expect(await save()).toBe('LATCHKEY_SESSION_GONE')
      expect(await site.stored(visitor.sid)).toBeUndefined()
    })

    it('nor one that it did not find any more when it reloaded it', async () => {
      const { site, visitor, held, save } = await upgrade()
      await visitor.twin().get('/logout')
      expect(await new Promise((resolve) => void held.reload(resolve))).toBeInstanceOf(Error)
      held.n = 1
      expect(await save()).toBe('LATCHKEY_SESSION_GONE')
      expect(await site.stored(visitor.sid)).toBeUndefined()
    })
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
