import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { RouteHandlerMethod } from 'fastify'
import { describe, expect, it } from 'vitest'
import { asksForLock, storesRecord } from '../express/tap-wire.js'
import type { FastifyBrowser } from './browser.js'
import { barrier, endSitesAfterEach, type FastifyInstance, type Kind, KINDS, Site, type SiteOptions, until, visit } from './site.js'

/** Clients that leave at every stage of a request. */

endSitesAfterEach()

/** A request of the visitor's on a socket of its own. */
async function ask(visitor: FastifyBrowser, path: string): Promise<Socket> {
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
  readonly late: unknown[] = []
  runs = 0

  readonly before = (app: FastifyInstance): void => {
    app.addHook('onRequest', async (request, reply) => {
      if (request.url === '/it') reply.raw.once('close', () => this.left.open())
    })
  }

  readonly route = (app: FastifyInstance): void => {
    app.get('/it', this.handler)
  }

  private readonly handler: RouteHandlerMethod = async (request) => {
    this.runs++
    this.entered.open()
    await this.goOn.passed
    try {
      visit(request).n = 1
    } catch (error) {
      this.late.push((error as { code: string }).code)
    }
    return {}
  }
}

describe.each(KINDS)('the client leaves, %s', (kind: Kind) => {
  const start = (stage: Stage, options: SiteOptions = {}): Promise<Site> => Site.start(kind, stage.route, { before: stage.before, ...options })

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
    await until(() => site.errors.length === 1)
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_CLIENT_GONE' }])
    await until(() => site.isFree(visitor.sid))
    expect(stage.runs).toBe(0)
  })

  it.each(HOW)('while it waits for the lock: it stops waiting; %s', async (_how, leave) => {
    const goOn = barrier()
    const stage = new Stage()
    const site = await Site.start(
      kind,
      (app) => {
        stage.route(app)
        app.get('/hold', async () => {
          await goOn.passed
          return {}
        })
      },
      { before: stage.before },
    )
    const visitor = await site.visitor()
    const first = visitor.get('/hold')
    await until(() => site.manager.stats().held === 1)
    const socket = await ask(visitor, '/it')
    await until(() => site.manager.stats().waiting === 1)
    leave(socket)
    await until(() => site.manager.stats().waiting === 0)
    goOn.open()
    expect((await first).status).toBe(200)
    expect(stage.runs).toBe(0)
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
    expect(site.errors).toEqual([])
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
    // It comes back at last: too late, and an error says so.
    stage.goOn.open()
    await until(() => site.errors.length + stage.late.length > 0)
    expect([...site.errors.map(({ code }) => code), ...stage.late][0]).toBe('LATCHKEY_READ_ONLY')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('connectionTimeout while the handler runs: let go after clientGoneMs', async () => {
    const stage = new Stage()
    const site = await start(stage, { clientGoneMs: 20, serverOptions: { connectionTimeout: 40 } })
    const visitor = await site.visitor()
    let hasEntered = false
    void stage.entered.passed.then(() => (hasEntered = true))
    // On a busy machine a connection may come to its end before its handler begins.
    while (!hasEntered) await expect(visitor.twin().get('/it')).rejects.toThrow()
    await until(() => site.isFree(visitor.sid))
    stage.goOn.open()
    await until(() => site.errors.length + stage.late.length > 0)
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
    expect(site.errors).toEqual([])
  })

  it('while the session is stored, which fails: an error for the log, since there is nobody to answer', async () => {
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
    await until(() => site.errors.length === 1)
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_SERVER_REFUSED' }])
    await until(() => site.isFree(visitor.sid))
  })

  it('after hijack(), before the response has ended: let go after clientGoneMs', async () => {
    const entered = barrier()
    const site = await Site.start(kind, (app) => {
      app.get('/hijack', (_request, reply) => {
        reply.hijack()
        entered.open()
      })
    }, { clientGoneMs: 20 })
    const visitor = await site.visitor()
    const socket = await ask(visitor, '/hijack')
    await entered.passed
    socket.destroy()
    await until(() => site.isFree(visitor.sid))
  })

  it('while a stream is written: it was let go before', async () => {
    const { Readable } = await import('node:stream')
    const closed = barrier()
    const site = await Site.start(kind, (app) => {
      app.get('/stream', (request, reply) => {
        visit(request).n = 1
        const stream = new Readable({ read() { this.push('x'.repeat(10_000)) }, destroy: () => void closed.open() })
        return reply.type('text/plain').send(stream)
      })
    })
    const visitor = await site.visitor()
    const socket = await ask(visitor, '/stream')
    await once(socket, 'data')
    expect(await site.isFree(visitor.sid)).toBe(true)
    socket.destroy()
    await closed.passed
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })
})

describe.each(KINDS)('a client of whose leaving Node says nothing any more, %s', (kind) => {
  it('it has left while a hook before took its time: nothing is waited for, and nothing held', async () => {
    const entered = barrier()
    const site = await Site.start(kind, (app) => void app.get('/it', () => undefined), {
      before: (app) => {
        app.addHook('onRequest', (request, reply, done) => {
          if (request.url !== '/it') return done()
          reply.raw.once('close', () => setImmediate(done))
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
    const site = await Site.start(kind, (app) => void app.get('/it', () => undefined), { clientGoneMs: 20 })
    const [one, other] = [await site.visitor(), await site.visitor()]
    const socket = await ask(one, '/it')
    socket.write(`GET /it HTTP/1.1\r\nHost: localhost\r\nCookie: ${other.cookie ?? ''}\r\n\r\n`)
    await until(() => site.manager.stats().held === 2)
    socket.destroy()
    await until(() => site.manager.stats().held === 0)
  })
})
