import { describe, expect, it } from 'vitest'
import * as devalue from 'devalue'
import superjson from 'superjson'
import { endSitesAfterEach, EXPRESSES, Site, visit } from './site.js'
import { valueBytes } from '../../../src/wire/wire.js'

/** Express on records that are encrypted, compressed, or another serializer's. */

endSitesAfterEach()

const managerOptions = {
  encryption: { keys: [{ id: 'k1', secret: 'correct horse battery staple, and then some' }] },
  compression: { aboveBytes: 300 },
}

const rawOf = async (site: Site, sid: string): Promise<Buffer> => {
  const [reply] = (await site.wire?.inner.flight('', [{ op: 'get', key: `sess:${sid}` }])) ?? []
  return valueBytes(reply?.value ?? '')
}

describe.each(EXPRESSES)('%s: encrypted sessions', (_name, framework) => {
  it('are changed by requests at once and none is lost; in the store nothing can be read', async () => {
    const site = await Site.start((app) => app.get('/count', (req, res) => {
      visit(req).n = (visit(req).n ?? 0) + 1
      visit(req).list = Array.from({ length: 100 }, () => 'secret')
      res.json({})
    }), { framework, managerOptions })
    const visitor = await site.visitor()
    await Promise.all(Array.from({ length: 8 }, () => visitor.get('/count')))
    expect((await visitor.get('/show')).body).toContain('"n":8')
    const raw = await rawOf(site, visitor.sid)
    expect(raw.subarray(0, 5).toString('latin1')).toBe('\0\x06\x02k1')
    expect(raw.length).toBeLessThan(400)
    expect(raw.includes('secret')).toBe(false)
  })

  it('that were changed in the store are a 500 without Set-Cookie; the body tells nothing and the record stays', async () => {
    const site = await Site.start(() => undefined, { framework, managerOptions, rolling: true, onError: 'default' })
    const visitor = await site.visitor()
    const raw = await rawOf(site, visitor.sid)
    raw[raw.length - 1] = (raw.at(-1) ?? 0) ^ 1
    await site.wire?.inner.flight('', [{ op: 'set', key: `sess:${visitor.sid}`, value: raw, ttlSec: 60 }])
    const { status, setCookies } = await visitor.get('/show')
    expect([status, setCookies]).toEqual([500, []])
    expect(await rawOf(site, visitor.sid)).toEqual(raw)
  })

  it('of another session are a 500 that says MOVED to the error handler', async () => {
    const site = await Site.start(() => undefined, { framework, managerOptions })
    const [visitor, thief] = [await site.visitor('user', 'ada'), await site.visitor('user', 'eve')]
    const value = await rawOf(site, visitor.sid)
    await site.wire?.inner.flight('', [{ op: 'set', key: `sess:${thief.sid}`, value, ttlSec: 60 }])
    const { status, body } = await thief.get('/show')
    expect([status, body]).toEqual([500, '{"error":"LATCHKEY_RECORD_MOVED"}'])
  })
})

describe.each([['superjson', superjson], ['devalue', devalue]] as const)('Express with %s', (_name, serializer) => {
  it('keeps Dates and Maps from one request to the next, and does not store what did not change', async () => {
    const site = await Site.start((app) => {
      app.get('/fill', (req, res) => {
        visit(req).big = new Map([['since', new Date(0)]])
        res.json({})
      })
      app.get('/look', (req, res) => {
        const { big } = visit(req)
        res.json(big instanceof Map ? [...big].map(([name, date]) => [name, date instanceof Date]) : 'no map')
      })
    }, { managerOptions: { serializer } })
    const visitor = await site.visitor()
    await visitor.get('/fill')
    site.wire?.flights.splice(0)
    expect((await visitor.get('/look')).body).toBe('[["since",true]]')
    expect(site.ops.at(-1)).toEqual(['touch', 'cad'])
  })
})

describe('Express with JSON', () => {
  it('a value that JSON would lose is a 500 that names it to the error handler, and nothing is stored', async () => {
    const site = await Site.start((app) => app.get('/it', (req, res) => {
      visit(req).big = { tags: new Set(['a']) }
      res.json({})
    }))
    const visitor = await site.visitor()
    const { status, setCookies, body } = await visitor.get('/it')
    expect([status, setCookies, body]).toEqual([500, [], '{"error":"LATCHKEY_UNSERIALIZABLE"}'])
    expect(site.errors.at(-1)).toMatchObject({ cause: { path: 'big.tags' } })
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic
  it.each([
    ['a BigInt', { price: 1n }, 'big.price'],
    ['a cycle', cyclic, 'big.self'],
  ])('%s, at which express-session itself throws, is named as well', async (_what, value, path) => {
    const site = await Site.start((app) => app.get('/it', (req, res) => {
      visit(req).big = value
      res.json({})
    }))
    const visitor = await site.visitor()
    const { status, setCookies, body } = await visitor.get('/it')
    expect([status, setCookies, body]).toEqual([500, [], '{"error":"LATCHKEY_UNSERIALIZABLE"}'])
    expect(site.errors.at(-1)).toMatchObject({ cause: { path } })
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })
})
