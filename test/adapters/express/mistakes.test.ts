import express from 'express'
import session, { MemoryStore } from 'express-session'
import { SessionManager } from 'latchkey'
import { latchkey, type LatchkeyOptions } from 'latchkey/express'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { endSitesAfterEach, EXPRESSES, SECRET, Site, until } from './site.js'

/** What is refused at once, and cookies that are no session's. */

endSitesAfterEach()

const manager = new SessionManager()
const base = { manager, secret: SECRET, resave: false, saveUninitialized: false }
/** As plain JavaScript would call it. */
const call = (options: object): unknown => Reflect.apply(latchkey, undefined, [options])
const errorOf = (work: () => unknown): unknown => {
  try {
    work()
    return 'nothing was thrown'
  } catch (error) {
    return error
  }
}

describe('options', () => {
  it.each([
    ['store', { ...base, store: new MemoryStore() }, /store cannot be given/],
    ['no manager', { secret: SECRET }, /manager is missing/],
    ['something else for a manager', { ...base, manager: { savePath: 'memory:' } }, /manager is missing/],
    ['clientGoneMs', { ...base, clientGoneMs: -1 }, /clientGoneMs is -1; .* from 0 to 3600000/],
    ['clientGoneMs, which setTimeout would take for 1', { ...base, clientGoneMs: 2 ** 31 }, /clientGoneMs is 2147483648; .* from 0 to 3600000/],
    ['clientGoneMs, no number', { ...base, clientGoneMs: '10' }, /clientGoneMs is '10' \(a string\);/],
    ['clientGoneMs, NaN', { ...base, clientGoneMs: Number.NaN }, /clientGoneMs is NaN;/],
    ['ttl, over 100 years', { ...base, ttl: 4e9 }, /ttl is 4000000000; .* up to 3153600000/],
    ['ttl, NaN', { ...base, ttl: Number.NaN }, /ttl is NaN;/],
    ['ttl, no number', { ...base, ttl: '60' }, /ttl is '60' \(a string\);/],
    ['label', { ...base, label: 'a route' }, /label is 'a route' \(a string\); .* a function/],
  ])('%s is refused', (_name, options, message) => {
    expect(errorOf(() => call(options))).toMatchObject({ code: 'LATCHKEY_INVALID_OPTION', message: expect.stringMatching(message) })
  })

  it.each([
    ['genid', { genid: 'bogus' }, /genid option must be a function/],
    ['unset', { unset: 'bogus' }, /unset option must be/],
  ])("express-session's own %s is refused when the middleware is made, and not at the first request", (_name, options, message) => {
    expect(() => call({ ...base, ...options })).toThrow(message)
  })

  it('are taken at their limits', () => {
    const limits: Partial<LatchkeyOptions>[] = [{ clientGoneMs: 0 }, { clientGoneMs: 3_600_000 }, { ttl: 0 }, { ttl: -1 }, { ttl: 3_153_600_000 }, { ttl: () => 1 }]
    for (const options of limits) expect(() => latchkey({ ...base, ...options })).not.toThrow()
  })

  it("the store for code outside of requests, as express-session's store, throws and says what to write instead", () => {
    const { store } = latchkey(base)
    const mistaken = errorOf(() => session({ secret: SECRET, resave: false, saveUninitialized: false, store }))
    expect(mistaken).toMatchObject({ code: 'LATCHKEY_MISUSE', message: expect.stringContaining('app.use(latchkey(') })
  })

  it("a SessionStore as express-session's store throws and says what to write instead", () => {
    const options = { secret: SECRET, resave: false, saveUninitialized: false, store: manager.store() }
    const error = errorOf(() => Reflect.apply(session, undefined, [options]))
    expect(error).toMatchObject({ code: 'LATCHKEY_MISUSE', message: expect.stringMatching(/app\.use\(latchkey\(\{ manager.*latchkey\/express/s) })
  })
})

const signed = (sid: string, secret = SECRET): string => {
  const signature = createHmac('sha256', secret).update(sid).digest('base64').replace(/=+$/, '')
  return `connect.sid=${encodeURIComponent(`s:${sid}.${signature}`)}`
}

it('warns of a missing resave and saveUninitialized, and names the line that lacks them', async () => {
  const warnings: Error[] = []
  const listener = (warning: Error): void => void warnings.push(warning)
  process.on('warning', listener)
  latchkey({ manager, secret: SECRET, saveUninitialized: false })
  latchkey({ manager, secret: SECRET })
  latchkey(base)
  await until(() => warnings.length >= 2)
  process.off('warning', listener)
  expect(warnings).toMatchObject([
    { name: 'DeprecationWarning', message: expect.stringMatching(/without resave: .*mistakes\.test\.ts:\d+/) as string },
    { name: 'DeprecationWarning', message: expect.stringMatching(/without resave and saveUninitialized: .*mistakes\.test\.ts:\d+/) as string },
  ])
})

it("with the option secret left out it is cookie-parser's, as in express-session", async () => {
  const app = express()
  app.use((req, _res, next) => next(void Object.assign(req, { secret: SECRET })), Reflect.apply(latchkey, undefined, [{ manager, resave: false, saveUninitialized: false }]))
  app.get('/it', (req, res) => void res.json(Object.assign(req.session, { n: 1 }).n))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${String(port)}/it`)
  const [given = ''] = response.headers.getSetCookie()[0]?.split(';') ?? []
  const sid = decodeURIComponent(given).replace(/^connect\.sid=s:|\..*$/g, '')
  expect([response.status, decodeURIComponent(given)]).toEqual([200, decodeURIComponent(signed(sid))])
  server.close()
})

describe.each(EXPRESSES)('%s: a cookie that is no session\'s counts as none', (_name, framework) => {
  it.each([
    ['over length', signed('x'.repeat(251))],
    ['over length with the lock suffix', signed('x'.repeat(243))],
    ['over length in bytes', signed('é'.repeat(125))],
    ['a space', signed('a b')],
    ['a line break', signed('a\r\nset x 0 0 1')],
    ['a control character', signed('a\u0001b')],
    ['DEL', signed('a\u007fb')],
    ['the lock of another session', signed('somebody-lck')],
    ['empty', signed('')],
    ['signed by another', signed('good-id', 'another secret')],
    ['unsigned', 'connect.sid=good-id'],
    ['no signature', 'connect.sid=s%3Agood-id'],
    ['broken escapes', 'connect.sid=%E0%A4%A'],
  ])('%s', async (_case, cookie) => {
    const site = await Site.start(() => undefined, { framework })
    const browser = site.browser()
    browser.cookie = cookie
    expect(await browser.get('/show')).toMatchObject({ status: 200, body: '{}', setCookies: [] })
    expect(site.ops).toEqual([])
    expect((await browser.get('/set/user/ada')).status).toBe(200)
    expect(browser.sid).toMatch(/^[\w-]{32}$/)
    expect(await site.stored(browser.sid)).toEqual({ user: 'ada' })
    expect(site.errors).toEqual([])
  })

  it('a well-formed id that nobody gave out: a new id, nothing kept for the old', async () => {
    const site = await Site.start(() => undefined, { framework })
    const browser = site.browser()
    browser.cookie = signed('chosen-by-an-attacker')
    await browser.get('/set/user/ada')
    expect(browser.sid).not.toBe('chosen-by-an-attacker')
    expect(await site.stored('chosen-by-an-attacker')).toBeUndefined()
    expect(await site.isFree('chosen-by-an-attacker', browser.sid)).toBe(true)
  })

  it('a genid that makes ids no key can be made of is a 500', async () => {
    const site = await Site.start(() => undefined, { framework, genid: () => 'with space' })
    const { status, setCookies, body } = await site.browser().get('/set/user/ada')
    expect([status, setCookies, body]).toEqual([500, [], '{"error":"LATCHKEY_INVALID_ID"}'])
  })
})
