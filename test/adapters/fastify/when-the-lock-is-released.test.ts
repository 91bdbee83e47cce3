import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { describe, expect, it } from 'vitest'
import { asksForLock, storesRecord } from '../express/tap-wire.js'
import { barrier, endSitesAfterEach, KINDS, Site, until, visit } from './site.js'

/** When the lock is released where something fails, a save is refused, or a connection lasts. */

const LOCK = ['add', 'get']
const WITH = 'with @fastify/session'
/** Within it a handler is certain to come to its end. */
const HANDLER_MS = 1200

endSitesAfterEach()

describe('rolling: false', () => {
  it('unmodified: only read, and let go before the response ends', async () => {
    const site = await Site.start(WITH, () => undefined, { rolling: false })
    const visitor = await site.visitor()
    await visitor.get('/show')
    expect(site.ops).toEqual([LOCK, ['cad']])
  })

  it('404', async () => {
    const site = await Site.start(WITH, () => undefined, { rolling: false })
    const visitor = await site.visitor()
    expect((await visitor.get('/nowhere')).status).toBe(404)
    expect(site.ops).toEqual([LOCK, ['cad']])
  })

  it('a handler that throws without having changed anything', async () => {
    const site = await Site.start(WITH, (app) => void app.get('/throw', () => Promise.reject(new Error('planned'))), { rolling: false })
    const visitor = await site.visitor()
    expect((await visitor.get('/throw')).status).toBe(500)
    expect(site.ops).toEqual([LOCK, ['cad']])
  })
})

describe.each(KINDS)('%s', (kind) => {
  it.each(['outOfMemory', 'exists', 'missing'] as const)('a save that is answered "%s": an error without Set-Cookie', async (status) => {
    let beforeTheSave = (): Promise<unknown> => Promise.resolve()
    const site = await Site.start(kind, (app) => {
      app.get('/change', async (request, reply) => {
        visit(request).n = 1
        await beforeTheSave()
        return reply.setCookie('other', 'x').header('cache-control', 'max-age=60').redirect('/show')
      })
    })
    const visitor = await site.visitor()
    if (status === 'exists') beforeTheSave = () => site.storeAgain(visitor.sid)
    else site.wire?.refuse(storesRecord, status)
    const { status: answered, setCookies, headers } = await visitor.get('/change')
    expect(answered).toBe(status === 'missing' ? 409 : 503)
    expect(setCookies).toEqual([])
    expect([headers.location, headers['cache-control']]).toEqual([undefined, undefined])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
    expect(site.errors).toHaveLength(1)
  })

  it('a new session whose save is refused: 503, no cookie', async () => {
    const site = await Site.start(kind, () => undefined)
    site.wire?.refuse(storesRecord)
    const answer = await site.browser().get('/set/user/ada')
    expect([answer.status, answer.setCookies]).toEqual([503, []])
  })

  it("an application's own error handler answers for a save that was refused", async () => {
    const site = await Site.start(kind, (app) => {
      app.setErrorHandler((error: Error & { code?: string; status?: number }, request, reply) => {
        visit(request)
        return reply.code(error.status ?? 500).send({ mine: error.code })
      })
    })
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    const { status, body, setCookies } = await visitor.get('/set/n/1')
    expect([status, body, setCookies]).toEqual([503, '{"mine":"LATCHKEY_SERVER_REFUSED"}', []])
  })

  it('a stream whose session is not stored is not sent, and is destroyed', async () => {
    const destroyed = barrier()
    const { Readable } = await import('node:stream')
    const site = await Site.start(kind, (app) => {
      app.get('/stream', (request, reply) => {
        visit(request).n = 1
        const stream = new Readable({ read: () => undefined, destroy: () => void destroyed.open() })
        return reply.send(stream)
      })
    })
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    expect((await visitor.get('/stream')).status).toBe(503)
    await destroyed.passed
  })

  it.each([
    [1, 200, { user: 'ada', n: 1 }],
    [2, 503, { user: 'ada' }],
  ])('save() that nobody waits for, %i saves refused: %i', async (refusals, expected, stored) => {
    const site = await Site.start(kind, (app) => {
      app.get('/save', async (request) => {
        const session = visit(request)
        session.n = 1
        void session.save().catch(() => undefined)
        return {}
      })
    })
    const visitor = await site.visitor()
    for (let left = refusals; left > 0; left--) site.wire?.refuse(storesRecord)
    // The response stores it again, which makes up for the first, or is refused as well.
    expect((await visitor.get('/save')).status).toBe(expected)
    expect(await site.stored(visitor.sid)).toEqual(stored)
  })

  it('save() keeps the lock, and the response stores what came after it', async () => {
    const held: number[] = []
    const site = await Site.start(kind, (app, own) => {
      app.get('/save', async (request) => {
        const session = visit(request)
        session.n = 1
        await session.save()
        held.push(own.manager.stats().held)
        session.n = 2
        return {}
      })
    })
    const visitor = await site.visitor()
    await visitor.get('/save')
    expect(held).toEqual([1])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })
  })

  it('a lock that does not come: 503 with Retry-After, and no handler runs', async () => {
    let runs = 0
    const goOn = barrier()
    const site = await Site.start(kind, (app) => {
      app.get('/hold', async () => {
        runs++
        await goOn.passed
        return {}
      })
    }, { managerOptions: { waitMs: 30 } })
    const visitor = await site.visitor()
    const first = visitor.get('/hold')
    await until(() => runs === 1)
    const { status, headers, body, setCookies } = await visitor.twin().get('/hold')
    expect([status, headers['retry-after'], setCookies]).toEqual([503, '1', []])
    expect(body).toContain('LATCHKEY_LOCK_TIMEOUT')
    expect(body).not.toContain('GET /hold')
    goOn.open()
    await first
    expect(runs).toBe(1)
  })

  it('a session that cannot be had is not an empty one: an error handler cannot change it', async () => {
    const codes: unknown[] = []
    const goOn = barrier()
    const site = await Site.start(
      kind,
      (app) => {
        app.setErrorHandler((error: Error & { status?: number }, request, reply) => {
          try {
            visit(request).user = 'nobody'
          } catch (thrown) {
            codes.push((thrown as { code: string }).code)
          }
          return reply.code(error.status ?? 500).send({})
        })
        app.get('/hold', async () => {
          await goOn.passed
          return {}
        })
      },
      { managerOptions: { waitMs: 20 }, saveUninitialized: true },
    )
    const visitor = await site.visitor()
    const first = visitor.get('/hold')
    await until(() => site.manager.stats().held === 1)
    const { status, setCookies } = await visitor.twin().get('/show')
    expect([status, setCookies, codes]).toEqual([503, [], ['LATCHKEY_LOCK_TIMEOUT']])
    goOn.open()
    await first
    expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
  })

  it('the holder calls itself by method and route, not by path and query', async () => {
    const labels: (string | undefined)[] = []
    const site = await Site.start(kind, (app, own) => {
      app.get('/cart/:id', async (request) => {
        labels.push((await own.holder((request.query as { sid: string }).sid))?.label)
        return {}
      })
    })
    const visitor = await site.visitor()
    await visitor.get(`/cart/17?sid=${visitor.sid}`)
    expect(labels).toEqual(['GET /cart/:id'])
  })

  it('an event stream that is written past Fastify: let go with its headers', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/events', (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(200, { 'Content-Type': 'text/event-stream' })
        reply.raw.write('data: 1\n\n')
      })
    })
    const visitor = await site.visitor()
    const socket = connect(site.port, '127.0.0.1')
    socket.write(`GET /events HTTP/1.1\r\nHost: x\r\nCookie: ${visitor.cookie ?? ''}\r\n\r\n`)
    await once(socket, 'data')
    await until(() => site.isFree(visitor.sid))
    expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
    socket.destroy()
  })

  it('a change after that is an error at once', async () => {
    const seen: unknown[] = []
    const site = await Site.start(kind, (app) => {
      app.get('/events', (request, reply) => {
        reply.hijack()
        reply.raw.writeHead(200, { 'Content-Type': 'text/event-stream' })
        try {
          visit(request).n = 1
        } catch (error) {
          seen.push((error as { code: string }).code)
        }
        reply.raw.end('data: 1\n\n')
      })
    })
    const visitor = await site.visitor()
    await visitor.get('/events')
    expect(seen).toEqual(['LATCHKEY_READ_ONLY'])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('a WebSocket upgrade reads its session, takes no lock, and cannot change it', async () => {
    const seen: unknown[] = []
    const site = await Site.start(kind, (app) => {
      app.get('/socket', async (request, reply) => {
        const session = visit(request)
        seen.push(session.user)
        try {
          session.n = 1
        } catch (error) {
          seen.push((error as { code: string }).code)
        }
        reply.hijack()
        reply.raw.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
      })
      // As @fastify/websocket does it.
      app.server.on('upgrade', (request, socket) => {
        socket.on('error', () => undefined)
        const response = new ServerResponse(request)
        response.assignSocket(socket as Socket)
        app.routing(request, response)
      })
    })
    const visitor = await site.visitor()
    const socket = connect(site.port, '127.0.0.1').on('error', () => undefined)
    socket.write(
      `GET /socket HTTP/1.1\r\nHost: x\r\nCookie: ${visitor.cookie ?? ''}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    )
    await until(() => seen.length === 2)
    expect(seen).toEqual(['ada', 'LATCHKEY_READ_ONLY'])
    expect(site.wire?.flights.filter(asksForLock)).toEqual([])
    socket.destroy()
  })

  it('handlerTimeout while the handler runs: answered, let go; what the handler does later is an error', async () => {
    const goOn = barrier()
    const late: unknown[] = []
    const site = await Site.start(kind, (app) => {
      app.get('/slow', { handlerTimeout: 30 }, async (request) => {
        await goOn.passed
        const session = visit(request)
        try {
          session.n = 1
          await session.save()
        } catch (error) {
          late.push((error as { code: string }).code)
        }
        return {}
      })
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/slow')).status).toBe(503)
    expect(await site.isFree(visitor.sid)).toBe(true)
    goOn.open()
    await until(() => late.length === 1)
    expect(late).toEqual(['LATCHKEY_READ_ONLY'])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('handlerTimeout while it waits for the lock: answered once, and no handler runs', async () => {
    const goOn = barrier()
    let runs = 0
    const site = await Site.start(kind, (app) => {
      app.get('/hold', async () => {
        await goOn.passed
        return {}
      })
      app.get('/slow', { handlerTimeout: 30 }, async () => ({ runs: ++runs }))
    })
    const visitor = await site.visitor()
    const first = visitor.get('/hold')
    await until(() => site.manager.stats().held === 1)
    expect((await visitor.twin().get('/slow')).status).toBe(503)
    goOn.open()
    await first
    await until(() => site.isFree(visitor.sid))
    expect(runs).toBe(0)
  })

  it('handlerTimeout while the session is stored: the response is sent already, and is the only one', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/slow', { handlerTimeout: HANDLER_MS }, async (request) => {
        visit(request).n = 1
        return {}
      })
    })
    const visitor = await site.visitor()
    const save = site.wire?.stop(storesRecord)
    const answer = visitor.get('/slow')
    await save?.arrived
    // Began later than Fastify's own timer, so it ends later.
    await sleep(HANDLER_MS)
    save?.go()
    expect((await answer).status).toBe(200)
    expect(site.errors).toEqual([])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it.each([
    ['does not return its reply', async (request: FastifyRequest, reply: FastifyReply) => {
      visit(request).n = 1
      reply.send({ first: true })
    }],
    ['returns it', async (request: FastifyRequest, reply: FastifyReply) => {
      visit(request).n = 1
      return reply.send({ first: true })
    }],
    ['sends a second one', async (request: FastifyRequest, reply: FastifyReply) => {
      visit(request).n = 1
      reply.send({ first: true })
      await reply.send({ first: false })
    }],
    ['throws after it', async (request: FastifyRequest, reply: FastifyReply) => {
      visit(request).n = 1
      reply.send({ first: true })
      throw new Error('too late')
    }],
  ])('an async handler that sends and %s: the first response is the one', async (_name, handler) => {
    const site = await Site.start(kind, (app) => {
      app.get('/send', handler)
    })
    const visitor = await site.visitor()
    const answer = await visitor.get('/send')
    expect(answer.body).toBe('{"first":true}')
    expect(site.ops).toEqual([LOCK, ['cas', 'cad']])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
    expect(await site.isFree(visitor.sid)).toBe(true)
  })

  it('an error in an onSend hook after it: the session is stored, once, and the error is answered', async () => {
    const site = await Site.start(kind, (app) => {
      let isFirst = true
      app.get('/change', { onSend: async () => {
        if (isFirst) {
          isFirst = false
          throw new Error('planned')
        }
      } }, async (request) => {
        visit(request).n = 1
        return {}
      })
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/change')).status).toBe(500)
    expect(site.ops).toEqual([LOCK, ['cas', 'cad']])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('a head that cannot be written is a 500, and no crash', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/bad', async (request, reply) => {
        visit(request).n = 1
        return reply.header('x-bad', 'a\nb').send('text')
      })
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/bad')).status).toBe(500)
  })
})
