import { once } from 'node:events'
import type { RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { ask, endStalledAfterEach } from '../slow-request.js'
import { barrier, endSitesAfterEach, EXPRESSES, Site, until, visit } from './site.js'
import { freesLock } from './tap-wire.js'

/** Clients that leave, where Express has ways of its own; for the others: ../client-leaves.test.ts. */

endSitesAfterEach()
endStalledAfterEach()

describe.each(EXPRESSES)('%s: the client leaves', (_name, framework) => {
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
    const socket = await ask(visitor)
    await once(socket, 'data')
    socket.destroy()
    await left.passed
    await until(() => site.isFree(visitor.sid))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })
  })

  it('and another response is sent while it waits for the lock (a time-out middleware)', async () => {
    const [entered, goOn] = [barrier(), barrier()]
    const answerSoon: RequestHandler = (req, res, next) => {
      // A real timer, as such a middleware has: the request is at the lock by then, where nothing can be gated from outside.
      if (req.query['impatient'] !== undefined) setTimeout(() => void res.status(504).end('too slow'), 5)
      next()
    }
    const handler: RequestHandler = async (req, res) => {
      entered.open()
      await goOn.passed
      visit(req).n = 1
      res.json({})
    }
    const site = await Site.start((app) => app.get('/it', handler), { framework, before: (app) => app.use(answerSoon) })
    const visitor = await site.visitor()
    const first = visitor.get('/it')
    await entered.passed
    const { status, body } = await visitor.twin().get('/it?impatient')
    expect([status, body]).toEqual([504, 'too slow'])
    expect(site.manager.stats()).toMatchObject({ waiting: 0, timeouts: 0 })
    expect(site.errors).toEqual([])
    goOn.open()
    await first
    expect(site.wire?.flights.filter(freesLock)).toHaveLength(1)
  })
})
