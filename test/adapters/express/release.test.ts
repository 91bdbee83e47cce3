import type { Express, RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { barrier, dataOf, endSitesAfterEach, EXPRESSES, Site, visit, type Visit } from './site.js'
import { storesRecord } from './tap-wire.js'

/** req.session.release(): stored and let go in the middle of a request. */

endSitesAfterEach()

const only = (handler: RequestHandler) => (app: Express) => app.get('/it', handler)
const code = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : error)

function codeOfChange(change: () => unknown): unknown {
  try {
    change()
    return 'nothing'
  } catch (error) {
    return code(error)
  }
}

describe.each(EXPRESSES)('%s: req.session.release()', (_name, framework) => {
  it('stores in one flight and lets others in, while the handler goes on', async () => {
    const [released, leave] = [barrier(), barrier()]
    const site = await Site.start(
      only(async (req, res) => {
        visit(req).n = 1
        await req.session.release()
        released.open()
        await leave.passed
        res.json(dataOf(req))
      }),
      { framework, resave: true, rolling: true, saveUninitialized: true },
    )
    const visitor = await site.visitor()
    const going = visitor.get('/it')
    await released.passed
    expect(site.ops).toEqual([['add', 'get'], ['cas', 'cad']])
    expect((await visitor.get('/set/seen/2')).status).toBe(200)
    site.wire?.flights.splice(0)
    leave.open()
    expect(await going).toMatchObject({ status: 200, body: '{"user":"ada","n":1}' })
    // The response's end neither stores nor prolongs, and what came in between stays.
    expect(site.ops).toEqual([])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1, seen: '2' })
  })

  it('from the call on every change is an error, through what was taken before as well', async () => {
    const site = await Site.start(
      only(async (req, res) => {
        const before = visit(req)
        // As it was decoded for this request. A list that the application made is its own: its view only refuses.
        const list = before.list ?? []
        const changes = [
          () => (visit(req).n = 1),
          () => (before.n = 1),
          () => list.push('b'),
          () => visit(req).list?.push('b'),
          () => delete visit(req).list,
          () => (req.session.cookie.maxAge = 1000),
        ]
        const releasing = req.session.release()
        const codes = changes.map(codeOfChange)
        await releasing
        res.json([...codes, ...changes.map(codeOfChange)])
      }),
      { framework },
    )
    const visitor = await site.visitor()
    await site.manager.run<Visit>(visitor.sid, (session) => {
      session.data.list = ['a']
    })
    expect(JSON.parse((await visitor.get('/it')).body)).toEqual(Array.from({ length: 12 }, () => 'LATCHKEY_READ_ONLY'))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', list: ['a'] })
  })

  it('of a session that nothing has changed prolongs it; of a new one in which nothing is sends nothing', async () => {
    const site = await Site.start(
      only(async (req, res) => {
        await req.session.release()
        await req.session.release()
        res.json({})
      }),
      { framework },
    )
    const visitor = await site.visitor()
    await visitor.get('/it')
    expect(site.ops).toEqual([['add', 'get'], ['touch', 'cad']])
    site.wire?.flights.splice(0)
    expect(await site.browser().get('/it')).toMatchObject({ status: 200, setCookies: [] })
    expect(site.ops).toEqual([])
  })

  it('of a new session stores it, and the response sets its cookie', async () => {
    for (const saveUninitialized of [true, false]) {
      const site = await Site.start(
        only(async (req, res) => {
          if (!saveUninitialized) visit(req).n = 1
          await req.session.release()
          res.json({ stored: (await site.stored(req.sessionID)) !== undefined })
        }),
        { framework, saveUninitialized },
      )
      const browser = site.browser()
      const answer = await browser.get('/it')
      expect(answer.body).toBe('{"stored":true}')
      expect(answer.setCookies).toHaveLength(1)
      expect((await browser.get('/show')).body).toBe(saveUninitialized ? '{}' : '{"n":1}')
    }
  })

  it.each([
    ['save()', (req, done) => req.session.save(done)],
    ['regenerate()', (req, done) => req.session.regenerate(done)],
    ['destroy()', (req, done) => req.session.destroy(done)],
  ] satisfies [string, (req: Parameters<RequestHandler>[0], done: (error?: unknown) => void) => void][])(
    '%s after it is told, and nothing of it is done',
    async (_call, call) => {
      const site = await Site.start(
        only(async (req, _res, next) => {
          await req.session.release()
          const { sessionID } = req
          call(req, (error) => {
            expect(req.sessionID).toBe(sessionID)
            expect(visit(req).user).toBe('ada')
            next(error)
          })
        }),
        { framework },
      )
      const visitor = await site.visitor()
      expect(await visitor.get('/it')).toMatchObject({ status: 500, body: '{"error":"LATCHKEY_READ_ONLY"}' })
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
    },
  )

  it('reload() after it reads what others have stored since', async () => {
    const site = await Site.start(
      (app, own) => {
        app.get('/it', async (req, res, next) => {
          await req.session.release()
          await own.manager.run(req.sessionID, ({ data }) => void (data['n'] = 2))
          req.session.reload((error: unknown) => {
            if (error !== undefined) return next(error)
            res.json({ ...dataOf(req), change: codeOfChange(() => (visit(req).n = 3)), again: typeof req.session.release })
          })
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).body).toBe('{"user":"ada","n":2,"change":"LATCHKEY_READ_ONLY","again":"function"}')
  })

  it('after reload() and after regenerate() it is there as well', async () => {
    const site = await Site.start(
      only((req, res, next) => {
        req.session.reload(() => {
          req.session.regenerate((error) => {
            visit(req).n = 1
            req.session.release().then(() => res.json({}), () => next(error))
          })
        })
      }),
      { framework },
    )
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).setCookies).toHaveLength(1)
    expect(await site.stored(visitor.sid)).toEqual({ n: 1 })
  })

  it('of the session before a regenerate() does nothing to the one after it', async () => {
    const site = await Site.start(
      only((req, res, next) => {
        const old = req.session
        req.session.regenerate(() => {
          old.release().then(() => {
            visit(req).n = 1
            res.json({})
          }, next)
        })
      }),
      { framework },
    )
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).status).toBe(200)
    expect(await site.stored(visitor.sid)).toEqual({ n: 1 })
  })

  it('of a session that is not wanted any more stores nothing: null, or destroyed', async () => {
    const site = await Site.start(
      (app) => {
        app.get('/null', async (req, res) => {
          const { session } = req
          Object.assign(req, { session: null })
          await session.release()
          res.json({})
        })
        app.get('/destroyed', (req, res) => {
          const { session } = req
          session.destroy(() => void session.release().then(() => res.json({})))
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    for (const path of ['/null', '/destroyed']) expect(await visitor.get(path)).toMatchObject({ status: 200, setCookies: [] })
    expect(await site.stored(visitor.sid)).toBeUndefined()
  })

  it('that is not stored rejects, and the response is refused even if nobody looks', async () => {
    for (const isHeeded of [true, false]) {
      const seen: unknown[] = []
      const site = await Site.start(
        only((req, res, next) => {
          visit(req).n = 1
          req.session.release().then(
            () => seen.push('stored'),
            (error: unknown) => {
              seen.push(code(error))
              if (isHeeded) next(error)
              else res.json({})
            },
          )
        }),
        { framework },
      )
      const visitor = await site.visitor()
      site.wire?.refuse(storesRecord)
      expect(await visitor.get('/it')).toMatchObject({ status: 503, setCookies: [], body: '{"error":"LATCHKEY_SERVER_REFUSED"}' })
      expect(seen).toEqual(['LATCHKEY_SERVER_REFUSED'])
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
      expect(await site.isFree(visitor.sid)).toBe(true)
    }
  })

  it('that nobody waits for is decided before the response leaves', async () => {
    const site = await Site.start(
      only((req, res) => {
        visit(req).n = 1
        void req.session.release()
        res.redirect('/show')
      }),
      { framework },
    )
    const visitor = await site.visitor()
    const stopped = site.wire?.stop(storesRecord)
    let isAnswered = false
    const going = visitor.get('/it').then((answer) => ((isAnswered = true), answer))
    await stopped?.arrived
    // A whole request of somebody else, in the meantime.
    await site.browser().get('/show')
    expect(isAnswered).toBe(false)
    stopped?.go()
    expect((await going).status).toBe(302)
    expect((await visitor.get('/show')).body).toBe('{"user":"ada","n":1}')
  })

  it('after a save() that nobody waited for stores what came after it', async () => {
    const site = await Site.start(
      only(async (req, res) => {
        visit(req).n = 1
        req.session.save()
        visit(req).n = 2
        await req.session.release()
        res.json({})
      }),
      { framework },
    )
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).status).toBe(200)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })
  })

  it('of what cannot be written down rejects, and the session can be mended', async () => {
    const site = await Site.start(
      only(async (req, res) => {
        visit(req).big = 1n
        const error = await req.session.release().catch(code)
        delete visit(req).big
        visit(req).n = 1
        res.json({ error })
      }),
      { framework },
    )
    const visitor = await site.visitor()
    expect(await visitor.get('/it')).toMatchObject({ status: 200, body: '{"error":"LATCHKEY_UNSERIALIZABLE"}' })
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('lets others be destroyed through the same store', async () => {
    const site = await Site.start(
      only(async (req, res) => {
        await req.session.release()
        req.sessionStore.destroy(String(req.query['other']), () => res.json({}))
      }),
      { framework },
    )
    const [visitor, other] = [await site.visitor(), await site.visitor()]
    expect((await visitor.get(`/it?other=${other.sid}`)).status).toBe(200)
    expect(await site.stored(other.sid)).toBeUndefined()
  })

  it('before an event stream, or a destroy by another, changes nothing for either', async () => {
    const site = await Site.start(
      (app, own) => {
        app.get('/it', async (req, res) => {
          await req.session.release()
          await own.middleware.store.destroy(req.sessionID)
          res.type('text/event-stream').write('data: 1\n\n')
          res.end()
        })
      },
      { framework, resave: true },
    )
    const visitor = await site.visitor()
    expect(await visitor.get('/it')).toMatchObject({ status: 200, body: 'data: 1\n\n' })
    expect(await site.stored(visitor.sid)).toBeUndefined()
    expect(site.failures).toEqual([])
  })
})

// Vitest fails for a rejection that nobody handles.
it('release() that nobody waits for, and is refused: the response says so', async () => {
  const site = await Site.start((app) => {
    app.get('/it', (req, res) => {
      visit(req).n = 1
      void req.session.release()
      res.json({})
    })
  })
  const visitor = await site.visitor()
  site.wire?.refuse(storesRecord)
  expect(await visitor.get('/it')).toMatchObject({ status: 503 })
})
