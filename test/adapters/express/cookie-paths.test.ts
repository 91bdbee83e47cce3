import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RequestHandler } from 'express'
import { SessionManager } from 'latchkey'
import { latchkey, type LatchkeyMiddleware } from 'latchkey/express'
import { afterEach, describe, expect, it } from 'vitest'
import { endSitesAfterEach, EXPRESSES, SECRET, Site, visit } from './site.js'

/** A request to a path that is not its cookie's: latchkey leaves it, and its response, to whoever comes next. */

endSitesAfterEach()

let server: Server | undefined
afterEach(() => server?.close())

const forPath = (manager: SessionManager, path: string): LatchkeyMiddleware =>
  latchkey({ manager, secret: SECRET, resave: false, saveUninitialized: false, cookie: { path } })

describe.each(EXPRESSES)('%s', (_name, framework) => {
  it.each(['/admin/count', '/shop/count'])('two cookies, a path each: %s has its session', async (path) => {
    const manager = new SessionManager()
    const site = await Site.start(
      (app) => {
        app.get('/:part/count', (req, res) => {
          const session = visit(req)
          session.n = (session.n ?? 0) + 1
          res.json({ n: session.n, sent: res.headersSent })
        })
      },
      { framework, cookie: { path: '/none' }, before: (app) => app.use(forPath(manager, '/admin'), forPath(manager, '/shop')) },
    )
    const browser = site.browser()
    await browser.get(path)
    expect(await browser.get(path)).toMatchObject({ status: 200, body: '{"n":2,"sent":false}' })
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    await manager.close()
  })

  it('outside of it there is no session, and the response is as the handler makes it', async () => {
    const site = await Site.start(
      (app) => {
        app.get('/plain', (req, res) => {
          res.writeHead(201, { 'X-Session': String('session' in req) })
          res.write('begun, ')
          res.end('ended')
        })
      },
      { framework, cookie: { path: '/admin' } },
    )
    const answer = await site.browser().get('/plain')
    expect(answer).toMatchObject({ status: 201, body: 'begun, ended', setCookies: [], headers: { 'x-session': 'false' } })
    expect(site.ops).toEqual([])
  })
})

describe.each(EXPRESSES)('%s, two of them on one response, the first one without its session by now', (_name, framework) => {
  const manager = new SessionManager()
  const ways: readonly (readonly [string, RequestHandler])[] = [
    ['destroyed', (req, _res, next) => void req.session.destroy(next)],
    ['unset', (req, _res, next) => void (Reflect.set(req, 'session', undefined), next())],
  ]
  const answers: readonly (readonly [string, RequestHandler])[] = [
    ['sent', (_req, res) => void res.send('hello')],
    ['in pieces', (_req, res) => void (res.write('hel'), res.end('lo'))],
  ]
  const cases = ways.flatMap(([way, end]) => answers.flatMap(([how, answer]) => ['/', '/admin'].map((path) => ({ way, end, how, answer, path }))))

  it.each(cases)('$way, the second for $path, the answer $how: it arrives whole, and nothing stays locked', async ({ end, answer, path }) => {
    const second = latchkey({ manager, secret: SECRET, name: 'second', resave: false, saveUninitialized: true, cookie: { path } })
    const site = await Site.start(
      (app) => {
        app.use('/leave', end, second)
        app.get('/leave', answer)
      },
      { framework },
    )
    const visitor = await site.visitor()
    const { status, body, isCut, setCookies } = await visitor.get('/leave')
    expect([status, body, isCut]).toEqual([200, 'hello', false])
    // As with express-session's own: each sets its cookie for the session that is there when the head leaves.
    expect(setCookies.map((cookie) => cookie.replace(/=.*/, ''))).toEqual(path === '/' ? ['second', 'connect.sid'] : [])
    expect(await site.isFree(visitor.sid)).toBe(true)
  })
})

it('without Express as well', async () => {
  const manager = new SessionManager()
  const [admin, all] = [forPath(manager, '/admin'), forPath(manager, '/')]
  const http = createServer((req, res) => {
    const request = Object.assign(req, { sessionID: '', session: undefined, sessionStore: undefined })
    Reflect.apply(admin, undefined, [
      request,
      res,
      () => {
        Reflect.apply(all, undefined, [
          request,
          res,
          () => {
            Object.assign(request.session ?? {}, { n: 1 })
            res.end('done')
          },
        ])
      },
    ])
  })
  server = http
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${String(port)}/x`)
  expect([response.status, await response.text(), response.headers.getSetCookie().length]).toEqual([200, 'done', 1])
  await manager.close()
})
