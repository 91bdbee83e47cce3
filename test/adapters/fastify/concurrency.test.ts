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

    it('two applications with a manager each, 16 requests: none is lost', async () => {
      const options = makeOptions()
      const sites = [await Site.start(kind, routes, options()), await Site.start(kind, routes, options())] as const
      const visitor = await sites[0].visitor()
      const other = sites[1].browser()
      other.cookie = visitor.cookie
      await Promise.all(Array.from({ length: 16 }, (_, at) => (at % 2 === 0 ? visitor : other).get('/add')))
      expect(await sites[0].stored(visitor.sid)).toEqual({ user: 'ada', n: 16 })
    })

    it('a slow session does not hold up another', async () => {
      let begun = (): void => undefined
      let end = (): void => undefined
      const slowBegun = new Promise<void>((resolve) => (begun = resolve))
      const slowEnds = new Promise<void>((resolve) => (end = resolve))
      const site = await Site.start(
        kind,
        (app) => {
          routes(app)
          app.get('/slow', async () => {
            begun()
            await slowEnds
            return {}
          })
        },
        makeOptions()(),
      )
      const [slow, quick] = [await site.visitor(), await site.visitor()]
      const answer = slow.get('/slow')
      await slowBegun
      for (let count = 0; count < 10; count++) expect(await quick.get('/add')).toMatchObject({ status: 200 })
      end()
      expect(await answer).toMatchObject({ status: 200 })
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
