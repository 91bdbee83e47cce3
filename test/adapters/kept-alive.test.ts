import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { LockedRecord } from '../../src/session/locked-record.js'
import { endSitesAfterEach as endExpress, EXPRESSES, Site as ExpressSite, type SiteOptions } from './express/site.js'
import { endSitesAfterEach as endFastify, Site as FastifySite } from './fastify/site.js'
import { endSitesAfterEach as endKoa, Site as KoaSite } from './koa/site.js'

/** For how long each adapter lets the lock keep a session alive (test/lock/kept-alive.test.ts says how). */

endExpress()
endFastify()
endKoa()

/** What was said last: undefined is "not at all". */
let told: (number | undefined)[] = []

beforeEach(() => {
  told = []
  const original = Object.getOwnPropertyDescriptor(LockedRecord.prototype, 'keepAlive')?.value as LockedRecord['keepAlive']
  vi.spyOn(LockedRecord.prototype, 'keepAlive').mockImplementation(function (this: LockedRecord, lifetimeSec) {
    told.push(lifetimeSec)
    original.call(this, lifetimeSec)
  })
})
afterEach(() => {
  vi.restoreAllMocks()
})

const [[, framework] = []] = EXPRESSES
const EXPRESS: [string, SiteOptions, number | undefined][] = [
  ['what its cookie has left', { cookie: { maxAge: 60_000 } }, 60],
  ['ttl', { ttl: 300 }, 300],
  ['the default', {}, 86_400],
  ['not at all where ttl is a function', { ttl: () => 300 }, undefined],
  ['by the cookie although ttl is a function', { ttl: () => 300, cookie: { maxAge: 60_000 } }, 60],
  ['not at all with disableTouch', { disableTouch: true }, undefined],
]
it.each(EXPRESS)('Express: %s', async (_what, options, lifetimeSec) => {
  const site = await ExpressSite.start(() => undefined, { ...(framework === undefined ? {} : { framework }), ...options })
  const visitor = await site.visitor()
  told = []
  await visitor.get('/show')
  expect(told).toEqual([lifetimeSec])
})

it('@fastify/session: what its cookie has left', async () => {
  const site = await FastifySite.start('with @fastify/session', () => undefined, { cookie: { maxAge: 60_000, secure: false } })
  const visitor = await site.visitor()
  told = []
  await visitor.get('/show')
  expect(told).toEqual([60])
})

it.each([
  ['what it has left', 60_000, 60],
  ['a day, of which koa-session writes down the end, with a cookie of the browser’s session', 'session', 86_400],
] as const)('Koa: %s', async (_what, maxAge, lifetimeSec) => {
  const site = await KoaSite.start({}, { maxAge })
  const visitor = await site.visitor()
  told = []
  await visitor.get('/visit')
  expect(told).toEqual([lifetimeSec])
})
