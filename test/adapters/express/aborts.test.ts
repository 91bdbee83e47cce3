import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Express, RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import type { Browser } from './browser.js'
import { barrier, endSitesAfterEach, EXPRESSES, Site, type SiteOptions, until, visit } from './site.js'
import { asksForLock, freesLock, storesRecord } from './tap-wire.js'

/** Clients that leave at every stage of a request. */

endSitesAfterEach()

/** A request of the visitor's on a socket of its own. */
async function ask(visitor: Browser, path: string): Promise<Socket> {
  const socket = connect(visitor.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nCookie: ${visitor.cookie ?? ''}\r\n\r\n`)
  return socket
}

const HOW: readonly [string, (socket: Socket) => void][] = [
  ['reset', (socket) => void socket.resetAndDestroy()],
  ['closed', (socket) => void socket.destroy()],
]

/** A route whose handler says where it is, and goes on when it is told. */
class Stage {
  readonly entered = barrier()
  readonly goOn = barrier()
  readonly left = barrier()
  runs = 0

  readonly before = (app: Express): void => {
    app.use('/it', (_req, res, next) => {
      res.once('close', () => this.left.open())
      next()
    })
  }

  readonly route = (app: Express): void => {
    app.get('/it', this.handler)
  }

  private readonly handler: RequestHandler = async (req, res) => {
    this.runs++
    this.entered.open()
    await this.goOn.passed
    visit(req).n = 1
    res.json({})
  }
}

describe.each(EXPRESSES)('%s: the client leaves', (_name, framework) => {
  const start = (stage: Stage, options: SiteOptions = {}): Promise<Site> => Site.start(stage.route, { framework, before: stage.before, ...options })

  it.each(HOW)('before the lock has come: %s', async (_how, leave) => {
    const stage = new Stage()
    const site = await start(stage)
    const visitor = await site.visitor()
    const lock = site.wire?.stop(asksForLock)
    const socket = await ask(visitor, '/it')
    await lock?.arrived
    leave(socket)
    await stage.left.passed
    lock?.go()
    await until(() => site.ops.some((ops) => ops.includes('cad')))
    expect(await site.isFree(visitor.sid)).toBe(true)
    expect(stage.runs).toBe(0)
  })

  it.each(HOW)('while it waits for the lock: %s', async (_how, leave) => {
    const stage = new Stage()
    const site = await start(stage)
    const visitor = await site.visitor()
    const first = visitor.get('/it')
    await stage.entered.passed
    const socket = await ask(visitor, '/it')
    await until(() => site.manager.stats().waiting === 1)
    leave(socket)
    await until(() => site.manager.stats().waiting === 0)
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_CLIENT_GONE', status: 503 }])
    stage.goOn.open()
    expect((await first).status).toBe(200)
    expect(stage.runs).toBe(1)
  })

  it.each(HOW)('while the handler runs, which ends later: what it did is stored; %s', async (_how, leave) => {
    const stage = new Stage()
    const site = await start(stage)
    const visitor = await site.visitor()
    const socket = await ask(visitor, '/it')
    await stage.entered.passed
    leave(socket)
    await stage.left.passed
    // Held on behalf of the handler: the next request of the browser waits for it.
    const next = visitor.get('/show')
    await until(() => site.manager.stats().waiting === 1)
    stage.goOn.open()
    expect((await next).body).toBe('{"user":"ada","n":1}')
    expect([site.failures, site.errors]).toEqual([[], []])
  })

  it('while the handler runs, which never ends: let go after clientGoneMs, and not before', async () => {
    const stage = new Stage()
    const site = await start(stage, { clientGoneMs: 60 })
    const visitor = await site.visitor()
    const socket = await ask(visitor, '/it')
    await stage.entered.passed
    socket.destroy()
    await stage.left.passed
    const leftAt = performance.now()
    await until(() => site.isFree(visitor.sid))
    expect(performance.now() - leftAt).toBeGreaterThan(50)
    // It comes back at last: too late, and it is told to whoever listens.
    stage.goOn.open()
    await until(() => site.failures.length === 1)
    expect(site.failures).toMatchObject([{ code: 'LATCHKEY_MISUSE' }])
    expect(site.errors).toEqual([])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('while the session is stored', async () => {
    const stage = new Stage()
    const site = await start(stage)
    const visitor = await site.visitor()
    const save = site.wire?.stop(storesRecord)
    const socket = await ask(visitor, '/it')
    stage.goOn.open()
    await save?.arrived
    socket.destroy()
    await stage.left.passed
    save?.go()
    await until(() => site.isFree(visitor.sid))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
    expect([site.failures, site.errors]).toEqual([[], []])
  })

  it('while the session is stored, which fails: a failure event, since there is nobody to answer', async () => {
    const stage = new Stage()
    const site = await start(stage)
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    const save = site.wire?.stop(storesRecord)
    const socket = await ask(visitor, '/it')
    stage.goOn.open()
    await save?.arrived
    socket.destroy()
    await stage.left.passed
    save?.go()
    await until(() => site.failures.length === 1)
    expect(site.failures).toMatchObject([{ code: 'LATCHKEY_SERVER_REFUSED' }])
    expect(site.errors).toEqual([])
    await until(() => site.isFree(visitor.sid))
  })

  it('while the body is written', async () => {
    const left = barrier()
    const handler: RequestHandler = (req, res) => {
      visit(req).n = 1
      res.once('close', () => {
        res.write('goes nowhere')
        visit(req).n = 2
        res.end('nor does this')
        left.open()
      })
      res.write('x'.repeat(100_000))
    }
    const site = await Site.start((app) => app.get('/it', handler), { framework })
    const visitor = await site.visitor()
    const socket = await ask(visitor, '/it')
    await once(socket, 'data')
    socket.destroy()
    await left.passed
    await until(() => site.isFree(visitor.sid))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })
  })

  it('with a new session: what its handler stores later is stored', async () => {
    const stage = new Stage()
    const site = await start(stage)
    const socket = await ask(site.browser(), '/it')
    await stage.entered.passed
    socket.destroy()
    await stage.left.passed
    stage.goOn.open()
    await until(() => site.ops.some((ops) => ops.includes('cad')))
    expect(site.ops).toEqual([['add', 'get'], ['add', 'cad']])
    expect(site.failures).toEqual([])
  })

  it('and another response is sent while it waits for the lock (a time-out middleware)', async () => {
    const stage = new Stage()
    const answerSoon: RequestHandler = (req, res, next) => {
      if (req.query['impatient'] !== undefined) setTimeout(() => void res.status(504).end('too slow'), 5)
      next()
    }
    const site = await start(stage, { before: (app) => app.use(answerSoon) })
    const visitor = await site.visitor()
    const first = visitor.get('/it')
    await stage.entered.passed
    const { status, body } = await visitor.twin().get('/it?impatient')
    expect([status, body]).toEqual([504, 'too slow'])
    expect(site.manager.stats()).toMatchObject({ waiting: 0, timeouts: 0 })
    expect(site.errors).toEqual([])
    stage.goOn.open()
    await first
    expect(site.wire?.flights.filter(freesLock)).toHaveLength(1)
  })
})

describe.each(EXPRESSES)('%s: a client of whose leaving Node says nothing any more', (_name, framework) => {
  it('it has left while a middleware above took its time: nothing is waited for, and nothing held', async () => {
    const entered = barrier()
    const site = await Site.start((app) => void app.get('/it', () => undefined), {
      framework,
      before: (app) => {
        app.use('/it', (_req, res, next) => {
          res.once('close', () => setImmediate(next))
          entered.open()
        })
      },
    })
    const visitor = await site.visitor()
    const socket = await ask(visitor, '/it')
    await entered.passed
    socket.destroy()
    await until(() => site.errors.length === 1)
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_CLIENT_GONE' }])
    expect(await site.isFree(visitor.sid)).toBe(true)
  })

  it('its request is pipelined behind another one: let go after clientGoneMs', async () => {
    const site = await Site.start((app) => void app.get('/it', () => undefined), { framework, clientGoneMs: 20 })
    const [one, other] = [await site.visitor(), await site.visitor()]
    const socket = await ask(one, '/it')
    socket.write(`GET /it HTTP/1.1\r\nHost: localhost\r\nCookie: ${other.cookie ?? ''}\r\n\r\n`)
    await until(() => site.manager.stats().held === 2)
    socket.destroy()
    await until(() => site.manager.stats().held === 0)
  })
})
