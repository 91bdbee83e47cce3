import { once } from 'node:events'
import { connect } from 'node:net'
import express from 'express'
import { latchkey } from 'latchkey/express'
import { describe, expect, it } from 'vitest'
import { barrier, dataOf, endSitesAfterEach, EXPRESSES, SECRET, Site, until, visit } from './site.js'

/** Several requests of one browser at once. */

endSitesAfterEach()

describe.each(EXPRESSES)('%s: requests of one browser', (_name, framework) => {
  /** Login, preferences and notifications, all of them in their handlers or in line before the first goes on. */
  async function loadPage(managerOptions: { locking?: boolean }): Promise<object | undefined> {
    const goOn = barrier()
    let inHandlers = 0
    const site = await Site.start(
      (app) => {
        const change = (path: string, change: (own: ReturnType<typeof visit>) => void): void => {
          app.get(path, async (req, res) => {
            inHandlers++
            await goOn.passed
            change(visit(req))
            res.json({})
          })
        }
        change('/login', (own) => (own.user = 'eve'))
        change('/preferences', (own) => (own.theme = 'dark'))
        change('/notifications', (own) => (own.seen = (own.seen ?? 0) + 3))
      },
      { framework, managerOptions },
    )
    const visitor = await site.visitor('n', '1')
    const answers = ['/login', '/preferences', '/notifications'].map((path) => visitor.get(path))
    await until(() => inHandlers + site.manager.stats().waiting === 3)
    goOn.open()
    for (const answer of answers) expect((await answer).status).toBe(200)
    return site.stored(visitor.sid)
  }

  it('keep what each of them changed', async () => {
    expect(await loadPage({})).toEqual({ n: '1', user: 'eve', theme: 'dark', seen: 3 })
  })

  it('lose all but the last without the lock: `locking: false`', async () => {
    const left = await loadPage({ locking: false })
    expect(Object.keys(left ?? {})).toHaveLength(2)
  })

  it.each(['/logout', '/login-as-eve'])('%s wins over those that wait for it and those that come later', async (leave) => {
    const entered = barrier()
    const goOn = barrier()
    const site = await Site.start(
      (app) => {
        app.get('/logout', async (req, res, next) => {
          entered.open()
          await goOn.passed
          req.session.destroy((error: unknown) => (error === null ? res.json({}) : next(error)))
        })
        app.get('/login-as-eve', async (req, res, next) => {
          entered.open()
          await goOn.passed
          req.session.regenerate((error: unknown) => {
            if (error !== null && error !== undefined) return next(error)
            visit(req).user = 'eve'
            res.json({})
          })
        })
        app.get('/slow', (req, res) => {
          if (visit(req).user !== undefined) visit(req).n = 1
          res.json(dataOf(req))
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    const { sid } = visitor
    const late = visitor.twin()
    const leaving = visitor.get(leave)
    await entered.passed
    const waiting = late.get('/slow')
    await until(() => site.manager.stats().waiting === 1)
    goOn.open()
    expect((await leaving).status).toBe(200)
    // It waited for a session that ended: it is told, and changes nothing.
    expect(await waiting).toMatchObject({ status: 409, setCookies: [], body: '{"error":"LATCHKEY_SESSION_GONE"}' })
    expect(await late.get('/slow')).toMatchObject({ status: 200, setCookies: [], body: '{}' })
    expect(await site.stored(sid)).toBeUndefined()
    if (leave === '/login-as-eve') expect(await site.stored(visitor.sid)).toEqual({ user: 'eve' })
  })

  it('explicit save() lets nobody in before the end; an onlooker sees it at once', async () => {
    const saved = barrier()
    const goOn = barrier()
    const site = await Site.start(
      (app) => {
        app.get('/save', (req, res) => {
          visit(req).n = 1
          req.session.save(() => {
            saved.open()
            void goOn.passed.then(() => {
              visit(req).n = 2
              res.json({})
            })
          })
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    const first = visitor.get('/save')
    await saved.passed
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
    const second = visitor.get('/show')
    await until(() => site.manager.stats().waiting === 1)
    goOn.open()
    await first
    expect((await second).body).toBe('{"user":"ada","n":2}')
  })

  it('a busy session is a 503 with Retry-After, also when too many wait', async () => {
    const goOn = barrier()
    const site = await Site.start((app) => app.get('/hold', (_req, res) => void goOn.passed.then(() => res.json({}))), {
      framework,
      managerOptions: { maxWaiters: 1 },
    })
    const visitor = await site.visitor()
    const first = visitor.get('/hold')
    await until(() => site.manager.stats().held === 1)
    const second = visitor.get('/show')
    await until(() => site.manager.stats().waiting === 1)
    const third = await visitor.get('/show')
    expect([third.status, third.headers['retry-after'], third.body]).toEqual([503, '1', '{"error":"LATCHKEY_TOO_MANY_WAITERS"}'])
    // Another browser is not concerned.
    expect((await site.browser().get('/set/user/eve')).status).toBe(200)
    goOn.open()
    expect([(await first).status, (await second).status]).toEqual([200, 200])
  })

  it('two latchkeys in one app: the first one counts', async () => {
    const site = await Site.start(
      (app, own) => {
        app.use(latchkey({ manager: own.manager, secret: SECRET, resave: false, saveUninitialized: false }))
        const inner = express()
        inner.use(latchkey({ manager: own.manager, secret: SECRET, resave: false, saveUninitialized: false }))
        inner.get('/it', (req, res) => void ((visit(req).n = 1), res.json({})))
        app.use('/inner', inner)
      },
      { framework },
    )
    const visitor = await site.visitor()
    await visitor.get('/inner/it')
    expect(site.ops).toEqual([['add', 'get'], ['cas', 'cad']])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('two apps mounted in one, a cookie each', async () => {
    const site = await Site.start(() => undefined, {
      framework,
      before: (app) => {
        const other = express()
        other.use((req, res, next) => otherSession(req, res, next))
        other.get('/it', (req, res) => void ((visit(req).n = 1), res.json({ id: req.sessionID })))
        app.use('/other', other)
      },
    })
    const otherSession = latchkey({ manager: site.manager, secret: SECRET, resave: false, saveUninitialized: false, name: 'other' })
    const visitor = await site.visitor()
    const { setCookies, body } = await visitor.get('/other/it')
    expect(setCookies).toMatchObject([expect.stringMatching(/^other=/)])
    const { id }: { id: string } = JSON.parse(body)
    expect(await site.stored(id)).toEqual({ n: 1 })
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it("next('route'), and a cookie path that is not the request's", async () => {
    const site = await Site.start(
      (app) => {
        app.get('/it', (req, _res, next) => void ((visit(req).n = 1), next('route')))
        app.get('/it', (req, res) => void ((visit(req).seen = 2), res.json({})))
      },
      { framework },
    )
    const visitor = await site.visitor()
    await visitor.get('/it')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1, seen: 2 })
    const elsewhere = await Site.start((app) => app.get('/it', (req, res) => void res.json({ has: 'session' in req })), {
      framework,
      cookie: { path: '/admin' },
    })
    expect(await elsewhere.browser().get('/it')).toMatchObject({ status: 200, body: '{"has":false}' })
  })

  it('one after the other on a kept connection, and a 404', async () => {
    const site = await Site.start(() => undefined, { framework })
    const visitor = site.browser({ maxSockets: 1 })
    for (const name of ['user', 'theme', 'n']) await visitor.get(`/set/${name}/1`)
    expect((await visitor.get('/nowhere')).status).toBe(404)
    expect((await visitor.get('/show')).body).toBe('{"user":"1","theme":"1","n":"1"}')
  })

  it('pipelined on one socket: answered in order, each with what the ones before it stored', async () => {
    const site = await Site.start(
      (app) => {
        app.get('/add', (req, res) => {
          visit(req).n = (visit(req).n ?? 0) + 1
          res.end(`n=${String(visit(req).n)};`)
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    const socket = connect(site.port, '127.0.0.1')
    await once(socket, 'connect')
    const requests = Array.from({ length: 5 }, (_, at) => `GET /add HTTP/1.1\r\nHost: x\r\n${at === 4 ? 'Connection: close\r\n' : ''}Cookie: ${visitor.cookie ?? ''}\r\n\r\n`)
    socket.write(requests.join(''))
    let text = ''
    socket.setEncoding('utf8').on('data', (more: string) => (text += more))
    await once(socket, 'close')
    expect(text.match(/n=\d;/g)).toEqual(['n=1;', 'n=2;', 'n=3;', 'n=4;', 'n=5;'])
  })
})
