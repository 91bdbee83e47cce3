import { once } from 'node:events'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { ask, endStalledAfterEach } from '../slow-request.js'
import { barrier, endSitesAfterEach, KINDS, Site, until, visit } from './site.js'

/** Clients that leave, where Fastify has ways of its own; for the others: ../client-leaves.test.ts. */

endSitesAfterEach()
endStalledAfterEach()

describe.each(KINDS)('the client leaves, %s', (kind) => {
  it('connectionTimeout while the handler runs: let go after clientGoneMs', async () => {
    const goOn = barrier()
    const late: unknown[] = []
    let hasEntered = false
    const site = await Site.start(kind, (app) => {
      app.get('/it', async (request) => {
        hasEntered = true
        await goOn.passed
        try {
          visit(request).n = 1
        } catch (error) {
          late.push(error)
        }
        return {}
      })
    }, { clientGoneMs: 20, serverOptions: { connectionTimeout: 40 } })
    const visitor = await site.visitor()
    // On a busy machine a connection may come to its end before its handler begins.
    while (!hasEntered) await expect(visitor.twin().get('/it')).rejects.toThrow()
    await until(() => site.isFree(visitor.sid))
    goOn.open()
    await until(() => site.errors.length + late.length > 0)
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
