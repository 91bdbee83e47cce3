/** What the function `ttl` answers: never a session that is destroyed because of a slip in it. */
import type { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import type { Browser } from './express/browser.js'
import { endSitesAfterEach as endExpressAfterEach, EXPRESSES, Site as ExpressSite } from './express/site.js'
import { endSitesAfterEach as endFastifyAfterEach, Site as FastifySite } from './fastify/site.js'
import type { TapWire } from './express/tap-wire.js'

endExpressAfterEach()
endFastifyAfterEach()

interface Played {
  readonly wire: TapWire | undefined
  readonly manager: SessionManager
  visitor(): Promise<Browser>
  stored(sid: string): Promise<object | undefined>
}
/** As plain JavaScript would write it. */
type Answer = () => unknown
const ttlOf = (answer: Answer): (() => number) => answer as () => number
const ADAPTERS: [string, (answer: Answer) => Promise<Played>][] = [
  ...EXPRESSES.map(([name, framework]): [string, (answer: Answer) => Promise<Played>] => [
    name,
    (answer) => ExpressSite.start(() => undefined, { framework, ttl: ttlOf(answer) }),
  ]),
  ['@fastify/session', (answer) => FastifySite.start('with @fastify/session', () => undefined, { ttl: ttlOf(answer) })],
]

describe.each(ADAPTERS)('%s: ttl() that answers', (_name, start) => {
  it.each<[string, unknown]>([
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['-Infinity', -Infinity],
    ['null', null],
    ["'60' (a string)", '60'],
    ['4000000000', 4e9],
    ['a promise', Promise.resolve(60)],
  ])('%s: an error that names it, changed or not, and the session is as it was', async (what, wrong) => {
    let answer: unknown = 60
    const site = await start(() => answer)
    const visitor = await site.visitor()
    answer = wrong
    for (const path of ['/set/n/1', '/show']) {
      expect(await visitor.get(path)).toMatchObject({ status: 500, setCookies: [], body: expect.stringContaining('LATCHKEY_INVALID_OPTION') as string })
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
    }
    if (!(site instanceof ExpressSite)) return
    expect(site.errors).toMatchObject(Array(2).fill({ cause: { message: expect.stringContaining(`ttl() answered ${what}; it must answer a number`) as string } }))
    await expect(site.middleware.store.set(visitor.sid, { cookie: { originalMaxAge: null } })).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_OPTION' })
    await expect(site.middleware.store.touch(visitor.sid, { cookie: { originalMaxAge: null } })).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_OPTION' })
  })

  it('undefined: the default', async () => {
    const site = await start(() => undefined)
    const visitor = await site.visitor()
    expect(await visitor.get('/set/n/1')).toMatchObject({ status: 200 })
    const ttls = site.wire?.flights.flatMap((commands) => commands.flatMap((one) => ('ttlSec' in one && !one.key.endsWith('-lck') ? [one.ttlSec] : [])))
    expect(ttls?.at(-1)).toBe(86_400)
  })
})
