import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../../support/memcached-server.js'
import { FaultProxy } from '../../support/proxy.js'
import type { Answer } from '../express/browser.js'
import type { FastifyBrowser } from './browser.js'
import { endSitesAfterEach, KINDS, Site, visit } from './site.js'

/** Over a real memcached: a server that is refused, hung or gone is a 503 within the deadline, and then it works again. */

const DEADLINE_MS = 900
/** For the machine that the test runs on. */
const SLACK_MS = 2000

let server: MemcachedServer
beforeAll(async () => {
  server = await MemcachedServer.start()
})
afterAll(() => server.stop())

let proxy: FaultProxy
beforeEach(async () => {
  proxy = await FaultProxy.start(server)
})
// The sites end before it: what is registered last comes first.
afterEach(() => proxy.stop())
endSitesAfterEach()

type Fault = readonly [name: string, begin: (proxy: FaultProxy) => Promise<void>, end: (proxy: FaultProxy) => Promise<void>]

const FAULTS: readonly Fault[] = [
  [
    'refused',
    async (proxy) => {
      await proxy.refuse()
      proxy.cutAll('rst')
    },
    (proxy) => proxy.acceptAgain(),
  ],
  [
    'hung',
    async (proxy) => proxy.always('blackHole'),
    async (proxy) => {
      proxy.clear()
      proxy.cutAll('rst')
    },
  ],
  ['gone', async (proxy) => proxy.always('rstBefore'), async (proxy) => proxy.clear()],
]

describe.each(KINDS)('%s', (kind) => {
  const start = (): Promise<Site> =>
    Site.start(
      kind,
      (app) => {
        app.get('/add', async (request) => {
          visit(request).n = (visit(request).n ?? 0) + 1
          return { n: visit(request).n }
        })
        app.get('/break', async (request, reply) => {
          visit(request).n = 1000
          await breaking?.()
          return reply.redirect('/add')
        })
      },
      { managerOptions: { savePath: `tcp://${proxy.address}`, deadlineMs: DEADLINE_MS, leaseSec: 2, waitMs: 8000 } },
    )
  let breaking: (() => Promise<void>) | undefined

  it.each(FAULTS)('%s when the session is read: 503 within the deadline, then it works again', async (_fault, begin, end) => {
    const site = await start()
    const visitor = await site.visitor()
    await begin(proxy)
    const startedAt = performance.now()
    const { status, setCookies, body } = await visitor.get('/add')
    expect(performance.now() - startedAt).toBeLessThan(DEADLINE_MS + SLACK_MS)
    expect([status, setCookies]).toEqual([503, []])
    expect(body).toMatch(/LATCHKEY_(SERVER_UNAVAILABLE|OUTCOME_UNKNOWN)/)
    await end(proxy)
    expect(await addAgain(visitor)).toMatchObject({ status: 200, body: '{"n":1}' })
  })

  it.each(FAULTS)('%s when the session is stored: 503 without Set-Cookie within the deadline, then it works again', async (_fault, begin, end) => {
    const site = await start()
    const visitor = await site.visitor()
    let brokenAt = 0
    breaking = async () => {
      brokenAt = performance.now()
      await begin(proxy)
    }
    const { status, setCookies, headers, body } = await visitor.get('/break')
    expect(performance.now() - brokenAt).toBeLessThan(DEADLINE_MS + SLACK_MS)
    expect([status, setCookies, headers.location]).toEqual([503, [], undefined])
    expect(body).toMatch(/LATCHKEY_(SERVER_UNAVAILABLE|OUTCOME_UNKNOWN)/)
    await end(proxy)
    // Not stored: neither the request nor anything that came out of the connection later.
    expect(await addAgain(visitor)).toMatchObject({ status: 200, body: '{"n":1}' })
  })

  it('a server that restarts empty while the session is held: refused, not written over', async () => {
    const own = await MemcachedServer.start()
    const site = await Site.start(
      kind,
      (app) => {
        app.get('/restart', async (request) => {
          visit(request).n = 1
          await own.restart()
          return {}
        })
      },
      { managerOptions: { savePath: `tcp://${own.address}`, deadlineMs: DEADLINE_MS } },
    )
    const visitor = await site.visitor()
    const { sid } = visitor
    const { status, setCookies } = await visitor.get('/restart')
    expect([409, 503]).toContain(status)
    expect(setCookies).toEqual([])
    expect(await site.stored(sid)).toBeUndefined()
    await site.end()
    await own.stop()
  })
})

/** When the server is reached again, which a busy machine may need more than one request for; the others stored nothing. */
async function addAgain(visitor: FastifyBrowser): Promise<Answer> {
  for (;;) {
    const answer = await visitor.get('/add')
    if (!answer.body.includes('LATCHKEY_SERVER_UNAVAILABLE')) return answer
  }
}
