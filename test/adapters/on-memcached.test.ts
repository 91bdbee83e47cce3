/** Over a real memcached: what every framework answers while its server is refused, hangs, has gone, or has been emptied; and that it works again. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { playsAllRows } from '../support/matrix.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { FaultProxy } from '../support/proxy.js'
import type { Answer, Browser } from './express/browser.js'
import { elsewhere, endPlacesAfterEach, type Place, PLACES, type Route } from './places.js'
import { count } from './routes.js'

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
// The places end before it: what is registered last comes first.
afterEach(() => proxy.stop())
endPlacesAfterEach()

type Fault = readonly [name: string, begin: () => Promise<void> | void, end: () => Promise<void> | void]

const FAULTS: readonly Fault[] = [
  [
    'is refused',
    async () => {
      await proxy.refuse()
      proxy.cutAll('rst')
    },
    () => proxy.acceptAgain(),
  ],
  [
    'hangs',
    () => proxy.always('blackHole'),
    () => {
      proxy.clear()
      proxy.cutAll('rst')
    },
  ],
  ['has gone', () => proxy.always('rstBefore'), () => proxy.clear()],
]

describe.each(PLACES.map(([name, start], at) => ({ name, start, at })))('$name on memcached', ({ start, at }) => {
  // `npm test` plays one with each framework, and each of them with two.
  const faults = FAULTS.filter((_fault, row) => playsAllRows || row === at % FAULTS.length)
  const managerOptions = (): object => ({ savePath: `tcp://${proxy.address}`, deadlineMs: DEADLINE_MS, leaseSec: 2, waitMs: 8000 })

  it('forty requests at once in two processes: all of them count, and no lock is left', async () => {
    const options = { managerOptions: { savePath: `tcp://${server.address}` } }
    const [one, other] = [await start({ '/count': count }, options), await start({ '/count': count }, options)]
    const visitor = await one.visitor()
    const twin = other.browser()
    const headers = { cookie: visitor.cookie ?? '' }
    const answers = await Promise.all(Array.from({ length: 20 }, () => [visitor.get('/count'), twin.get('/count', { headers })]).flat())
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(await one.stored(visitor.sid)).toEqual({ user: 'ada', n: 40 })
    expect(await elsewhere(other).holder(visitor.sid)).toBeUndefined()
  })

  it.each(faults)('the server %s when the session is read: 503 within the deadline, then it works again', async (_fault, begin, end) => {
    const place = await start({ '/count': count }, { managerOptions: managerOptions() })
    const visitor = await place.visitor()
    await begin()
    const startedMs = performance.now()
    const refused = await visitor.twin().get('/count')
    expect(performance.now() - startedMs).toBeLessThan(DEADLINE_MS + SLACK_MS)
    expectRefused(place, refused)
    await end()
    expect(await countAgain(visitor)).toMatchObject({ status: 200, body: '1' })
  })

  it.each(faults)('the server %s when the session is stored: 503 and no cookie within the deadline, then it works again', async (_fault, begin, end) => {
    let brokenMs = 0
    const breaks: Route = async ({ data }) => {
      data['n'] = 1000
      brokenMs = performance.now()
      await begin()
      return {}
    }
    const place = await start({ '/count': count, '/break': breaks }, { managerOptions: managerOptions() })
    const visitor = await place.visitor()
    const refused = await visitor.twin().get('/break')
    expect(performance.now() - brokenMs).toBeLessThan(DEADLINE_MS + SLACK_MS)
    expectRefused(place, refused)
    await end()
    // Not stored: neither the request nor anything that came out of the connection later.
    expect(await countAgain(visitor)).toMatchObject({ status: 200, body: '1' })
  })

  it('the server restarts empty while the session is held: refused, and not stored anew', async () => {
    await using own = await MemcachedServer.start()
    const restarts: Route = async ({ data }) => {
      data['n'] = 1
      await own.restart()
      return {}
    }
    const place = await start({ '/restart': restarts }, { managerOptions: { savePath: `tcp://${own.address}`, deadlineMs: DEADLINE_MS } })
    const visitor = await place.visitor()
    const { status, setCookies } = await visitor.twin().get('/restart')
    expect([409, 503]).toContain(status)
    expect(setCookies).toEqual([])
    expect(await place.stored(visitor.sid)).toBeUndefined()
    await place.end()
  })
})

function expectRefused(place: Place, { status, setCookies }: Answer): void {
  expect([status, setCookies]).toEqual([503, []])
  expect(place.told()).toContainEqual(expect.stringMatching(/^LATCHKEY_(SERVER_UNAVAILABLE|OUTCOME_UNKNOWN)$/))
}

/** When the server is reached again, which a busy machine may need more than one request for; the others stored nothing. */
async function countAgain(visitor: Browser): Promise<Answer> {
  for (;;) {
    const answer = await visitor.get('/count')
    if (answer.status !== 503) return answer
  }
}
