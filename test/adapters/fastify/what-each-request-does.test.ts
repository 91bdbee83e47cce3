import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { endSitesAfterEach, KINDS, Site, visit } from './site.js'

/** One test for each kind of request, under real HTTP; failures and long connections: when-the-lock-is-released.test.ts. */

const LOCK = ['add', 'get']
const STORE_AND_FREE = ['cas', 'cad']
const TOUCH_AND_FREE = ['touch', 'cad']
const FREE = ['cad']

endSitesAfterEach()

describe.each(KINDS)('%s', (kind) => {
  it('no cookie: no flight until there is something to store', async () => {
    const site = await Site.start(kind, () => undefined)
    const browser = site.browser()
    const { body, setCookies } = await browser.get('/show')
    expect([body, setCookies, site.ops]).toEqual(['{}', [], []])
    await browser.get('/set/user/ada')
    expect(site.ops).toEqual([LOCK, ['add', 'cad']])
    expect(await site.stored(browser.sid)).toEqual({ user: 'ada' })
  })

  it('bad signature: as no cookie', async () => {
    const site = await Site.start(kind, () => undefined)
    const visitor = await site.visitor()
    visitor.cookie = `sessionId=${visitor.sid}.c2lnbmF0dXJl`
    expect((await visitor.get('/show')).body).toBe('{}')
    expect(site.ops).toEqual([])
  })

  it('modified: two flights, stored and let go before the response leaves', async () => {
    const site = await Site.start(kind, () => undefined)
    const visitor = await site.visitor()
    await visitor.get('/set/user/eve')
    expect(site.ops).toEqual([LOCK, STORE_AND_FREE])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'eve' })
  })

  it('unmodified: prolonged and let go in one flight', async () => {
    const site = await Site.start(kind, () => undefined)
    const visitor = await site.visitor()
    expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
    expect(site.ops).toEqual([LOCK, TOUCH_AND_FREE])
  })

  it('404', async () => {
    const site = await Site.start(kind, () => undefined)
    const visitor = await site.visitor()
    expect((await visitor.get('/nowhere')).status).toBe(404)
    expect(site.ops).toEqual([LOCK, TOUCH_AND_FREE])
  })

  it('the handler throws: what it had changed is stored, as by @fastify/session', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/throw', async (request) => {
        visit(request).n = 1
        throw new Error('planned')
      })
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/throw')).status).toBe(500)
    expect(site.ops).toEqual([LOCK, STORE_AND_FREE])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('a stream: stored and let go before its first byte', async () => {
    const free: boolean[] = []
    const site = await Site.start(kind, (app, own) => {
      app.get('/stream', (request, reply) => {
        visit(request).n = 1
        const body = async function *(): AsyncGenerator<string> {
          free.push(await own.isFree())
          yield 'text'
        }
        return reply.type('text/plain').send(Readable.from(body()))
      })
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/stream')).body).toBe('text')
    expect(free).toEqual([true])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('hijack(): never stored, let go at the end of the response', async () => {
    const site = await Site.start(kind, (app, own) => {
      app.get('/hijack', (request, reply) => {
        visit(request).n = 1
        reply.hijack()
        reply.raw.end(String(own.manager.stats().held))
      })
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/hijack')).body).toBe('1')
    await visitor.get('/show')
    expect(site.ops.slice(0, 2)).toEqual([LOCK, FREE])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })
})
