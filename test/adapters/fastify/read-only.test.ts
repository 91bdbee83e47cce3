import { describe, expect, it } from 'vitest'
import { storesRecord } from '../express/tap-wire.js'
import { barrier, dataOf, endSitesAfterEach, type FastifyRequest, KINDS, Site, until, visit } from './site.js'

/** Requests that only read, and release(). */

endSitesAfterEach()

const LOCK = ['add', 'get']

/** What a change threw, by its code. */
function codeOf(change: () => unknown): string {
  try {
    change()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'no error'
}

const changes = (request: FastifyRequest): string[] => {
  const session = visit(request)
  return [
    codeOf(() => (session.n = 1)),
    codeOf(() => (session.user = 'eve')),
    codeOf(() => session.list?.push('x')),
    codeOf(() => Object.assign(session, { theme: 'dark' })),
  ]
}

describe.each(KINDS)('%s', (kind) => {
  const listed = async (site: Site): ReturnType<Site['visitor']> => {
    const visitor = await site.visitor()
    await visitor.get('/list')
    site.wire?.flights.splice(0)
    return visitor
  }

  const start = (goOn = barrier()): Promise<Site> =>
    Site.start(
      kind,
      (app) => {
        app.get('/list', async (request) => void (visit(request).list = ['a']))
        app.get('/hold', async () => {
          await goOn.passed
          return {}
        })
        app.get('/marked', { config: { session: 'readOnly' } }, async (request) => dataOf(request))
        app.get('/changes', { config: { session: 'readOnly' } }, async (request) => changes(request))
        app.get('/passes', { config: { session: 'readOnly' } }, async (request) => ({ n: (visit(request).n = 1) }))
        app.get('/save', { config: { session: 'readOnly' } }, async (request) => visit(request).save())
        app.get('/login', { config: { session: 'readOnly' } }, async (request) => visit(request).regenerate())
        app.get('/logout', { config: { session: 'readOnly' } }, async (request) => visit(request).destroy())
        app.get('/let-go', { config: { session: 'readOnly' } }, async (request) => {
          await visit(request).release()
          return {}
        })
      },
      { readOnly: (request) => request.url.startsWith('/show?read') },
    )

  it('a marked route, and a predicate: neither waits nor locks; one flight, no cookie', async () => {
    const goOn = barrier()
    const site = await start(goOn)
    const visitor = await listed(site)
    const holding = visitor.get('/hold')
    await until(() => site.manager.stats().held === 1)
    site.wire?.flights.splice(0)
    for (const path of ['/marked', '/show?read']) {
      const { body, setCookies } = await visitor.twin().get(path)
      expect([body, setCookies]).toEqual(['{"user":"ada","list":["a"]}', []])
    }
    expect(site.ops).toEqual([['get'], ['get']])
    goOn.open()
    await holding
  })

  it('a change of it is an error at the moment of the change', async () => {
    const site = await start()
    const visitor = await listed(site)
    const READ_ONLY = 'LATCHKEY_READ_ONLY'
    expect(JSON.parse((await visitor.get('/changes')).body)).toEqual([READ_ONLY, READ_ONLY, READ_ONLY, READ_ONLY])
    for (const path of ['/passes', '/save', '/login', '/logout']) {
      const { status, body, setCookies } = await visitor.get(path)
      expect([path, status, setCookies]).toEqual([path, 500, []])
      expect(body).toContain(READ_ONLY)
    }
    expect((await visitor.get('/let-go')).status).toBe(200)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', list: ['a'] })
  })

  it('a new session can as little be changed', async () => {
    const site = await start()
    const { body, setCookies } = await site.browser().get('/passes')
    expect(body).toContain('LATCHKEY_READ_ONLY')
    expect(setCookies).toEqual([])
  })

  it('release(): stored and let go at once, before the handler goes on', async () => {
    const after: unknown[] = []
    const site = await Site.start(kind, (app, own) => {
      app.get('/release', async (request) => {
        const session = visit(request)
        session.n = 1
        session.list = ['a']
        await session.release()
        after.push(own.ops.at(-1), await own.isFree(), ...changes(request))
        await session.release()
        return dataOf(request)
      })
    })
    const visitor = await site.visitor()
    const { status, body } = await visitor.get('/release')
    const READ_ONLY = 'LATCHKEY_READ_ONLY'
    expect(after).toEqual([['cas', 'cad'], true, READ_ONLY, READ_ONLY, READ_ONLY, READ_ONLY])
    expect([status, body]).toEqual([200, '{"user":"ada","n":1,"list":["a"]}'])
    expect(site.ops).toHaveLength(2)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1, list: ['a'] })
  })

  it('release() of a new session: stored, and its cookie is set', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/release', async (request) => {
        visit(request).user = 'ada'
        await visit(request).release()
        return {}
      })
    })
    const browser = site.browser()
    await browser.get('/release')
    expect(await site.stored(browser.sid)).toEqual({ user: 'ada' })
  })

  it('release() of an unmodified session', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/release', async (request) => {
        await visit(request).release()
        return {}
      })
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/release')).status).toBe(200)
    expect(site.ops).toEqual([LOCK, ['touch', 'cad']])
    const browser = site.browser()
    const { status, setCookies } = await browser.get('/release')
    expect([status, setCookies, site.ops.length]).toEqual([200, [], 2])
  })

  it('release() that is refused: an error where it was called, and the response is one', async () => {
    const codes: string[] = []
    const site = await Site.start(kind, (app) => {
      app.get('/release', async (request) => {
        visit(request).n = 1
        await visit(request)
          .release()
          .catch((error: { code: string }) => codes.push(error.code))
        return {}
      })
    })
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    const { status, setCookies } = await visitor.get('/release')
    expect([status, setCookies, codes]).toEqual([503, [], ['LATCHKEY_SERVER_REFUSED']])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('release(), and then the other calls', async () => {
    const codes: string[] = []
    const site = await Site.start(kind, (app) => {
      app.get('/release', async (request) => {
        const session = visit(request)
        await session.release()
        await session.regenerate().catch((error: { code: string }) => codes.push(error.code))
        return {}
      })
    })
    const visitor = await site.visitor()
    const old = visitor.sid
    const { status, setCookies } = await visitor.get('/release')
    expect([status, setCookies, codes]).toEqual([500, [], ['LATCHKEY_READ_ONLY']])
    expect(await site.stored(old)).toEqual({ user: 'ada' })
  })
})
