import type { Express, NextFunction, RequestHandler, Response } from 'express'
import { describe, expect, it } from 'vitest'
import { barrier, endSitesAfterEach, EXPRESSES, Site, until, visit } from './site.js'
import { storesRecord } from './tap-wire.js'

/** What a request is answered with when its session was not stored, and when it could not be had. */

endSitesAfterEach()

const only = (handler: RequestHandler) => (app: Express) => app.get('/it', handler)
/** For express-session's callbacks: on with the error, or with what comes next. */
const then = (next: NextFunction, work: () => unknown) => (error: unknown) => {
  if (error === null || error === undefined) work()
  else next(error)
}
const isCad = (commands: readonly { readonly op: string }[]): boolean => commands.some(({ op }) => op === 'cas' || op === 'cad')

describe.each(EXPRESSES)('%s: a save that was refused', (_name, framework) => {
  it('SESSION_GONE is a 409 without Set-Cookie: a logout wins over a slower request', async () => {
    const entered = barrier()
    const goOn = barrier()
    const handler: RequestHandler = async (req, res) => {
      entered.open()
      await goOn.passed
      visit(req).n = 1
      res.json({})
    }
    const site = await Site.start(only(handler), { framework, rolling: true, cookie: { maxAge: 60_000 } })
    const visitor = await site.visitor()
    const answer = visitor.get('/it')
    await entered.passed
    await site.middleware.store.destroy(visitor.sid)
    goOn.open()
    const { status, setCookies, body } = await answer
    expect([status, setCookies, body]).toEqual([409, [], '{"error":"LATCHKEY_SESSION_GONE"}'])
    expect(await site.stored(visitor.sid)).toBeUndefined()
  })

  it('FENCED is a 503 without Set-Cookie, and the other\'s data stands', async () => {
    const handler: RequestHandler = async (req, res) => {
      visit(req).user = 'eve'
      await site.wire?.inner.flight('', [{ op: 'set', key: `sess:${req.sessionID}`, value: Buffer.from('{"other":1,"cookie":{}}'), ttlSec: 60 }])
      res.json({})
    }
    const site: Site = await Site.start(only(handler), { framework, rolling: true })
    const visitor = await site.visitor()
    const { status, setCookies, body } = await visitor.get('/it')
    expect([status, setCookies, body]).toEqual([503, [], '{"error":"LATCHKEY_FENCED"}'])
    expect(await site.stored(visitor.sid)).toEqual({ other: 1 })
  })

  it('express-session\'s own error page names neither holder nor session, in development', async () => {
    const held = barrier()
    const site = await Site.start((app) => app.get('/hold', (_req, res) => void held.passed.then(() => res.json({}))), {
      framework,
      onError: 'default',
      before: (app) => app.set('env', 'development').disable('x-powered-by'),
      managerOptions: { waitMs: 0 },
    })
    site.app.set('env', 'test')
    const visitor = await site.visitor()
    const first = visitor.get('/hold')
    await until(() => site.manager.stats().held === 1)
    const busy = await visitor.get('/show')
    held.open()
    await first
    expect([busy.status, busy.headers['retry-after']]).toEqual([503, '1'])
    expect(busy.body).toContain('SessionHttpError')
    for (const secret of [visitor.sid, '/hold', String(process.pid), 'LockTimeout', 'sess:']) expect(busy.body).not.toContain(secret)
    site.wire?.refuse(storesRecord)
    const refused = await visitor.get('/set/user/eve')
    expect([refused.status, refused.setCookies]).toEqual([503, []])
    expect(refused.body).not.toContain(visitor.sid)
  })

  it.each([
    ['awaited, its error passed on', (req, res, next) => void req.session.save(then(next, () => res.json({})))],
    ['awaited, its error ignored', (req, res) => void req.session.save(() => res.json({}))],
    ['not awaited', (req, res) => void (req.session.save(), res.json({}))],
    ['not awaited, the response a turn later', (req, res) => void (req.session.save(), setImmediate(() => res.json({})))],
  ] satisfies [string, RequestHandler][])('save() %s', async (_case, answer) => {
    const handler: RequestHandler = (req, res, next) => {
      visit(req).n = 1
      void answer(req, res, next)
    }
    const site = await Site.start(only(handler), { framework, rolling: true })
    const known = await site.visitor()
    for (const visitor of [known, site.browser()]) {
      site.errors.splice(0)
      site.wire?.refuse(storesRecord)
      const { status, setCookies, body } = await visitor.get('/it')
      expect([status, setCookies, body]).toEqual([503, [], '{"error":"LATCHKEY_SERVER_REFUSED"}'])
      expect(site.errors).toHaveLength(1)
    }
    expect(await site.stored(known.sid)).toEqual({ user: 'ada' })
    // The same without a fault.
    for (const visitor of [known, site.browser()]) {
      expect((await visitor.get('/it')).status).toBe(200)
      expect(await site.stored(visitor.sid)).toMatchObject({ n: 1 })
    }
  })

  it('a save that failed is made up for by a later one', async () => {
    const handler: RequestHandler = (req, res) => {
      visit(req).big = 'x'.repeat(2_000_000)
      req.session.save((error: unknown) => {
        visit(req).big = error instanceof Error && 'code' in error ? error.code : 'no error'
        res.json({})
      })
    }
    const site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).status).toBe(200)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', big: 'LATCHKEY_RECORD_TOO_LARGE' })
  })

  it.each([
    ['a record over the item size', 'x'.repeat(2_000_000), 'LATCHKEY_RECORD_TOO_LARGE'],
    ['what JSON cannot express', 1n, 'LATCHKEY_UNSERIALIZABLE'],
  ])('%s is a 500, and the old record stays', async (_case, big, code) => {
    const site = await Site.start(only((req, res) => void ((visit(req).big = big), res.json({}))), { framework })
    const visitor = await site.visitor()
    const { status, body } = await visitor.get('/it')
    expect([status, body]).toEqual([500, JSON.stringify({ error: code })])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it.each([
    ['no session of anybody', 'not JSON'],
    ['a "cookie" that is none', '{"user":"ada","cookie":"with raisins"}'],
  ])('an undecodable record (%s) is a 500 and is left as it is, whatever `unset` says', async (_case, record) => {
    const site = await Site.start(() => undefined, { framework, unset: 'destroy' })
    const visitor = await site.visitor()
    const key = `sess:${visitor.sid}`
    await site.wire?.inner.flight('', [{ op: 'set', key, value: Buffer.from(record), ttlSec: 60 }])
    const { status, body } = await visitor.get('/set/user/eve')
    expect([status, body]).toEqual([500, '{"error":"LATCHKEY_UNDECODABLE"}'])
    expect((await site.wire?.inner.flight('', [{ op: 'get', key }]))?.[0]?.value?.toString()).toBe(record)
  })

  it('a session that could not be had is not destroyed by `unset: destroy`', async () => {
    const held = barrier()
    const site = await Site.start(only((_req, res) => void held.passed.then(() => res.json({}))), {
      framework,
      unset: 'destroy',
      managerOptions: { waitMs: 0 },
    })
    const visitor = await site.visitor()
    const first = visitor.get('/it')
    await until(() => site.manager.stats().held === 1)
    expect((await visitor.get('/show')).status).toBe(503)
    held.open()
    expect((await first).status).toBe(200)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it.each([
    ['destroy(callback)', (req, res, next) => void req.session.destroy(then(next, () => res.json({})))],
    ['destroy() without a callback', (req, res) => void (Reflect.apply(req.session.destroy, req.session, []), res.json({}))],
    ['regenerate()', (req, res, next) => void req.session.regenerate(then(next, () => res.json({})))],
    ['regenerate(), its error ignored', (req, res) => void req.session.regenerate(() => ((visit(req).user = 'eve'), res.json({})))],
  ] satisfies [string, RequestHandler][])('a logout that did not happen is no 200: %s', async (_case, handler) => {
    const site = await Site.start(only(handler), { framework, managerOptions: { deadlineMs: 300 } })
    const visitor = await site.visitor()
    const { sid } = visitor
    const stop = site.wire?.stop(isCad)
    const answer = visitor.get('/it')
    await stop?.arrived
    stop?.fail()
    const { status, setCookies } = await answer
    expect([status, setCookies]).toEqual([503, []])
    expect(await site.stored(sid)).toEqual({ user: 'ada' })
    await until(() => site.isFree(sid))
  })

  it('an error of the application\'s own `ttl` is a 500', async () => {
    const broken = (): number => {
      throw new TypeError('a bug')
    }
    const site = await Site.start(() => undefined, { framework, ttl: broken })
    const { status, setCookies, body } = await site.browser().get('/set/user/ada')
    expect([status, setCookies, body]).toEqual([500, [], '{"error":"LATCHKEY_MISUSE"}'])
    expect(site.errors).toMatchObject([{ cause: { message: 'a bug' } }])
  })

  it('a closed manager is a 503', async () => {
    const site = await Site.start(() => undefined, { framework, managerOptions: { savePath: 'memory:' } })
    await site.manager.close()
    const { status, body } = await site.browser().get('/set/user/ada')
    expect([status, body]).toEqual([503, '{"error":"LATCHKEY_CLOSED"}'])
  })

  it.each([
    ['ended', (res) => void res.json({})],
    ['written', (res) => void (res.write('a '), res.end('body'))],
  ] satisfies [string, (res: Response) => void][])('a circular session: the error handler answers, nothing is stored; %s', async (_case, answer) => {
    const handler: RequestHandler = (req, res) => {
      visit(req).big = req.session
      answer(res)
    }
    for (const options of [{}, { rolling: true, cookie: { maxAge: 60_000 } }]) {
      const site = await Site.start(only(handler), { framework, ...options })
      const visitor = await site.visitor()
      const { status, setCookies } = await visitor.get('/it')
      expect([status, setCookies]).toEqual([500, []])
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
      await until(() => site.isFree(visitor.sid))
    }
  })
})
