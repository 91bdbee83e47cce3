import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../../support/memcached-server.js'
import { FaultProxy } from '../../support/proxy.js'
import type { Answer, Browser } from './browser.js'
import { endSitesAfterEach, EXPRESSES, Site, visit } from './site.js'

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
    (proxy) => Promise.resolve(proxy.always('blackHole')),
    (proxy) => {
      proxy.clear()
      proxy.cutAll('rst')
      return Promise.resolve()
    },
  ],
  ['gone', (proxy) => Promise.resolve(proxy.always('rstBefore')), (proxy) => Promise.resolve(proxy.clear())],
]

describe.each(EXPRESSES)('%s on memcached', (_name, framework) => {
  const start = (): Promise<Site> =>
    Site.start(
      (app) => {
        app.get('/add', (req, res) => {
          visit(req).n = (visit(req).n ?? 0) + 1
          res.json({ n: visit(req).n })
        })
        app.get('/break', async (req, res) => {
          visit(req).n = 1000
          await breaking?.()
          res.json({})
        })
      },
      { framework, rolling: true, managerOptions: { savePath: `tcp://${proxy.address}`, deadlineMs: DEADLINE_MS, leaseSec: 2, waitMs: 8000 } },
    )
  let breaking: (() => Promise<void>) | undefined

  it('concurrent requests of one browser: none is lost', async () => {
    const site = await start()
    const visitor = await site.visitor()
    await Promise.all(Array.from({ length: 20 }, () => visitor.get('/add')))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 20 })
  })

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
    const { status, setCookies, body } = await visitor.get('/break')
    expect(performance.now() - brokenAt).toBeLessThan(DEADLINE_MS + SLACK_MS)
    expect([status, setCookies]).toEqual([503, []])
    expect(body).toMatch(/LATCHKEY_(SERVER_UNAVAILABLE|OUTCOME_UNKNOWN)/)
    await end(proxy)
    // Not stored: neither the request nor anything that came out of the connection later.
    expect(await addAgain(visitor)).toMatchObject({ status: 200, body: '{"n":1}' })
  })
})

/** When the server is reached again, which a busy machine may need more than one request for; the others stored nothing. */
async function addAgain(visitor: Browser): Promise<Answer> {
  for (;;) {
    const answer = await visitor.get('/add')
    if (!answer.body.includes('LATCHKEY_SERVER_UNAVAILABLE')) return answer
  }
}
