import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import Koa from 'koa'
import { SessionManager } from 'latchkey'
import { latchkey as latchkeyOfKoa } from 'latchkey/koa'
import { describe, expect, it } from 'vitest'
import { barrier, endSitesAfterEach as endExpressSites, Site as ExpressSite, until, visit } from './express/site.js'
import { endSitesAfterEach as endFastifySites, KINDS, Site as FastifySite, visit as fastifyVisit } from './fastify/site.js'
import { endSitesAfterEach as endKoaSites, Site as KoaSite } from './koa/site.js'

/** A handler that cuts its client off: nothing can be sent any more, and nobody waits for `clientGoneMs`. */

endExpressSites()
endFastifySites()
endKoaSites()

const CUTS: readonly [string, (req: IncomingMessage, res: ServerResponse) => void][] = [
  ['res.destroy()', (_req, res) => void res.destroy()],
  ['res.destroy(error)', (_req, res) => void res.destroy(new Error('enough'))],
  ['req.destroy()', (req) => void req.destroy()],
  ['req.destroy(error)', (req) => void req.on('error', () => undefined).destroy(new Error('enough'))],
  ['socket.destroy()', (req) => void req.socket.destroy()],
]

/** Far longer than the test looks, so that only what happens at once is seen. */
const LATE = { clientGoneMs: 600_000 }

describe.each(CUTS)('%s before anything has left: the session is let go at once', (_name, cut) => {
  it('Express: nothing is stored that was not saved', async () => {
    const site = await ExpressSite.start((app) => {
      app.get('/it', (req, res) => {
        visit(req).n = 1
        cut(req, res)
      })
      app.get('/save', (req, res) => {
        visit(req).n = 2
        req.session.save(() => {
          visit(req).n = 3
          cut(req, res)
        })
      })
    }, LATE)
    const visitor = await site.visitor()
    await expect(visitor.twin().get('/it')).rejects.toThrow()
    await until(() => site.isFree(visitor.sid))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
    await expect(visitor.twin().get('/save')).rejects.toThrow()
    await until(() => site.isFree(visitor.sid))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })
    expect([site.failures, site.errors]).toEqual([[], []])
  })

  it('Express: a response that is ended with it is stored as any other', async () => {
    const site = await ExpressSite.start((app) => {
      app.get('/it', (req, res) => {
        visit(req).n = 1
        cut(req, res)
        res.end()
      })
    }, LATE)
    const visitor = await site.visitor()
    await expect(visitor.twin().get('/it')).rejects.toThrow()
    await until(async () => JSON.stringify(await site.stored(visitor.sid)) === '{"user":"ada","n":1}')
    await until(() => site.isFree(visitor.sid))
  })

  it('Express: what its handler changes later is told, and not stored', async () => {
    const closed = barrier()
    const site = await ExpressSite.start((app) => {
      app.get('/it', async (req, res) => {
        res.once('close', () => closed.open())
        cut(req, res)
        await closed.passed
        await until(() => site.isFree(visitor.sid))
        visit(req).n = 1
        res.end()
      })
    }, LATE)
    const visitor = await site.visitor()
    await expect(visitor.twin().get('/it')).rejects.toThrow()
    await until(() => site.failures.length === 1)
    expect(site.failures).toMatchObject([{ code: 'LATCHKEY_MISUSE' }])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it.each(KINDS)('Fastify, %s', async (kind) => {
    const site = await FastifySite.start(kind, (app) => {
      app.get('/it', (request, reply) => {
        fastifyVisit(request).n = 1
        cut(request.raw, reply.raw)
      })
    }, LATE)
    const visitor = await site.visitor()
    await expect(visitor.twin().get('/it')).rejects.toThrow()
    await until(() => site.isFree(visitor.sid))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('Koa', async () => {
    const never = barrier()
    const site = await KoaSite.start({
      '/it': (ctx, session) => {
        session.n = 1
        cut(ctx.req, ctx.res)
        return never.passed
      },
    }, LATE)
    const visitor = await site.visitor()
    const before = await site.stored(visitor.sid)
    await expect(visitor.twin().get('/it')).rejects.toThrow()
    await until(() => site.isFree(visitor.sid))
    expect(await site.stored(visitor.sid)).toEqual(before)
    never.open()
  })
})

it('Koa: a response that a middleware above has destroyed before, is let go at once as well', async () => {
  const manager = new SessionManager()
  const app = new Koa()
  const done = barrier<unknown>()
  app.use(async (ctx, next) => {
    ctx.respond = false
    ctx.res.destroy()
    await once(ctx.res, 'close')
    await next().then(done.open, done.open)
  })
  app.keys = ['a secret']
  app.use(latchkeyOfKoa({ manager, ...LATE }, app))
  app.use((ctx) => void (ctx['session'].n = 1))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await expect(fetch(`http://127.0.0.1:${String(port)}/`)).rejects.toThrow()
  expect(await done.passed).toMatchObject({ code: 'LATCHKEY_READ_ONLY' })
  server.close()
  await manager.close()
})
