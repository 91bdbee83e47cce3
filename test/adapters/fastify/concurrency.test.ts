import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMemoryWire } from '../../../src/wire/memory/memory-wire.js'
import { MemcachedServer } from '../../support/memcached-server.js'
import { endSitesAfterEach, type FastifyInstance, KINDS, Site, type SiteOptions, visit } from './site.js'

/** Requests of one browser at once, on the embedded store and on memcached, in one process and across several managers. */

let server: MemcachedServer
beforeAll(async () => {
  server = await MemcachedServer.start()
})
afterAll(() => server.stop())

endSitesAfterEach()

const routes = (app: FastifyInstance): void => {
  app.get('/add', async (request) => {
    const session = visit(request)
    const n = session.n ?? 0
    await delay(1)
    session.n = n + 1
    return { n: session.n }
  })
  app.get('/add-callback', (request, reply) => {
    // From a timer that all requests share: no asynchronous context leads from here to a request.
    later(() => {
      visit(request).n = (visit(request).n ?? 0) + 1
      void reply.send({})
    })
  })
}

const queue: (() => void)[] = []
function later(work: () => void): void {
  if (queue.push(work) > 1) return
  // As a server on the network: what was asked in one turn is answered together in a later one.
  setTimeout(() => queue.splice(0).forEach((one) => one()), 1)
}

const STORES: readonly [string, () => () => SiteOptions][] = [
  [
    'memory',
    () => {
      const wire = { ...createMemoryWire() }
      const shared = createMemoryWire()
      const outliving = { ...wire, flight: shared.flight.bind(shared), maxValueBytes: shared.maxValueBytes.bind(shared), sweep: () => 0, close: async () => undefined }
      return () => ({ managerOptions: { wire: outliving } })
    },
  ],
  ['memcached', () => () => ({ managerOptions: { savePath: `tcp://${server.address}` } })],
]

describe.each(KINDS)('%s', (kind) => {
  describe.each(STORES)('on %s', (_store, makeOptions) => {
    it.each(['/add', '/add-callback'])('8 requests at once, %s: none is lost', async (path) => {
      const site = await Site.start(kind, routes, makeOptions()())
      const visitor = await site.visitor()
      await Promise.all(Array.from({ length: 8 }, () => visitor.get(path)))
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 8 })
    })

    it('the next request, sent when the answer is there, does not wait', async () => {
      const site = await Site.start(kind, routes, makeOptions()())
      const visitor = await site.visitor()
      for (let count = 0; count < 20; count++) await visitor.get('/add')
      expect(site.manager.stats().polls).toBe(0)
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 20 })
    })

    it('a redirect that is followed at once finds what was stored', async () => {
      const site = await Site.start(
        kind,
        (app) => {
          app.get('/login', async (request, reply) => {
            visit(request).user = 'eve'
            return reply.redirect('/show')
          })
        },
        makeOptions()(),
      )
      const browser = site.browser()
      const { headers } = await browser.get('/login')
      expect((await browser.get(headers.location ?? '')).body).toBe('{"user":"eve"}')
    })
  })
})
