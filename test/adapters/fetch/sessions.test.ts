import { Hono } from 'hono'
import { SessionManager } from 'latchkey'
import { honoSession, type RequestSession } from 'latchkey/fetch'
import { describe, expect, it } from 'vitest'
import { MemcachedServer } from '../../support/memcached-server.js'
import { codeOf } from '../../support/world.js'
import { storesRecord } from '../express/tap-wire.js'
import { barrier, endSitesAfterEach, type Handler, KINDS, Site, until } from './site.js'

endSitesAfterEach()

const ok = (): Response => Response.json({})
describe.each(KINDS)('requests of one session, %s', (kind) => {
  it('a session that cannot be written down: an error, and it is not held any longer', async () => {
    const it: Handler = (_request, session) => {
      session.data.big = 1n
      return ok()
    }
    const site = await Site.start(kind, { '/it': it })
    const visitor = await site.visitor()
    expect(await visitor.get('/it')).toMatchObject({ status: 500 })
    expect(site.manager.stats().held).toBe(0)
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_UNSERIALIZABLE' }])
  })

  it('a save that failed is nobody\'s any more when the session is destroyed: the Response goes out', async () => {
    const it: Handler = async (_request, session) => {
      session.data.big = 1n
      await session.save().catch(() => undefined)
      await session.destroy()
      return ok()
    }
    const site = await Site.start(kind, { '/it': it })
    const visitor = await site.visitor()
    expect(await visitor.get('/it')).toMatchObject({ status: 200 })
    expect(site.errors).toEqual([])
  })

  it('a Response that is a constant, for every visitor: nobody gets the cookie of another', async () => {
    const noContent = new Response(null, { status: 204, headers: { 'x-shop': 'open' } })
    const it: Handler = (_request, { data }) => {
      data.n = 1
      return noContent
    }
    const site = await Site.start(kind, { '/it': it })
    const [one, other] = [await site.browser().get('/it'), await site.browser().get('/it')]
    expect([one.setCookies.length, other.setCookies.length]).toEqual([1, 1])
    expect(other.setCookies).not.toEqual(one.setCookies)
    expect(noContent.headers.getSetCookie()).toEqual([])
  })

  it('a body that streams holds nothing, and a change that is made meanwhile is an error', async () => {
    const { passed, open } = barrier()
    const codes: unknown[] = []
    const streaming: Handler = (_request, session) => {
      session.data.n = 1
      const body = new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          await passed
          codes.push(await codeOf(Promise.resolve().then(() => void (session.data.n = 2))))
          controller.enqueue(new TextEncoder().encode('data: 1\n\n'))
          controller.close()
        },
      })
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    }
    const site = await Site.start(kind, { '/events': streaming })
    const visitor = await site.visitor()
    const answer = visitor.get('/events')
    await until(async () => JSON.stringify(await site.stored(visitor.sid)) === '{"user":"ada","n":1}')
    await until(() => site.isFree(visitor.sid))
    open()
    expect((await answer).body).toBe('data: 1\n\n')
    expect(codes).toEqual(['LATCHKEY_READ_ONLY'])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })
})

describe.each(KINDS)('a save that is refused, %s', (kind) => {
  it('is a 503 that says nothing of holders and keeps no header of the response, whose body is cancelled', async () => {
    let isCancelled = false
    const site = await Site.start(kind, {
      '/it': (_request, { data }) => {
        data.n = 1
        const body = new ReadableStream({ cancel: () => void (isCancelled = true) })
        return new Response(body, { headers: { location: '/paid', 'set-cookie': 'receipt=1' } })
      },
    })
    site.wire?.refuse(storesRecord)
    const { status, headers, setCookies, body } = await site.browser().get('/it')
    expect([status, headers['retry-after'], headers.location, setCookies]).toEqual([503, '1', undefined, []])
    expect(body).toBe('Sessions are not available at the moment.\n')
    expect(isCancelled).toBe(true)
    expect(site.refused).toEqual(['LATCHKEY_SERVER_REFUSED'])
  })

  it('of save() in the handler, which lets it pass: 503', async () => {
    const site = await Site.start(kind, {
      '/it': async (_request, session) => {
        session.data.n = 1
        await session.save()
        return ok()
      },
    })
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    expect(await visitor.get('/it')).toMatchObject({ status: 503, setCookies: [] })
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it.each(['release', 'destroy', 'regenerate'] as const)('of %s(), which the handler catches: 503, unless its response says so itself', async (call) => {
    const site = await Site.start(kind, {
      '/it': async (request, session) => {
        session.data.n = 1
        await session[call]().catch(() => undefined)
        return new Response('', { status: request.headers.get('x-status') === null ? 200 : 418 })
      },
    })
    const visitor = await site.visitor()
    const refuse = (): void => site.wire?.refuse((commands) => commands.some(({ op, key }) => op !== 'get' && !key.endsWith('-lck')))
    refuse()
    expect(await visitor.get('/it', { headers: { 'x-status': '418' } })).toMatchObject({ status: 418, setCookies: [] })
    refuse()
    expect(await visitor.get('/it')).toMatchObject({ status: 503, setCookies: [] })
    expect(await site.isFree(visitor.sid)).toBe(true)
  })

  it('a handler that returns no Response, or throws: nothing is stored, the lock is free, and the error goes on', async () => {
    const site = await Site.start(kind, {
      '/nothing': (_request, { data }) => {
        data.n = 1
        return JSON.parse('null')
      },
      '/throws': (_request, { data }) => {
        data.n = 1
        throw new Error('a bug')
      },
    })
    const visitor = await site.visitor()
    const statuses = [await visitor.get('/nothing'), await visitor.get('/throws')].map(({ status }) => status)
    expect(statuses).toEqual([500, 500])
    expect(await site.isFree(visitor.sid)).toBe(true)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('too large: the error goes on to the caller, and the record is as it was', async () => {
    const site = await Site.start(kind, {
      '/it': (_request, { data }) => {
        data.big = 'x'.repeat(2 << 20)
        return ok()
      },
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).status).toBe(500)
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_RECORD_TOO_LARGE' }])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })
})

describe.each(KINDS)('logout, %s', (kind) => {
  it('a change after the logout is an error, and a logout of nobody says nothing', async () => {
    const site = await Site.start(kind, {
      '/it': async (_request, session) => {
        await session.destroy()
        return Response.json({ code: await codeOf(Promise.resolve().then(() => void (session.data.n = 1))) })
      },
    })
    expect(await site.browser().get('/it')).toMatchObject({ body: '{"code":"LATCHKEY_SESSION_GONE"}', setCookies: [] })
  })
})

describe.each(KINDS)('the cookie, %s', (kind) => {
  it('is signed, httpOnly, secure and lax, for the whole site, and nobody else can make one', async () => {
    const site = await Site.start(kind, {})
    const answer = await site.browser().get('/visit')
    expect(answer.setCookies).toEqual([expect.stringMatching(/^sessionId=[0-9a-v]{32}\.[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/)])
    const stranger = site.browser()
    const forged = (answer.setCookies[0] ?? '').replace(/^(sessionId=.)[^;]/, '$1x').replace(/;.*/, '')
    expect((await stranger.get('/show', { headers: { cookie: forged } })).body).toBe('{}')
  })

  it.each(['sessionId=', 'sessionId=%', 'sessionId=a.b; sessionId=c', `sessionId=${'x'.repeat(5000)}.y`, '=;;=', 'sessionId=../../.x'])(
    'of rubbish (%s) counts as none',
    async (cookie) => {
      const site = await Site.start(kind, {})
      expect(await site.browser().get('/show', { headers: { cookie } })).toMatchObject({ status: 200, body: '{}', setCookies: [] })
    },
  )

  it('that was signed with an older secret is taken, and a new one is signed with the first', async () => {
    await using memcached = await MemcachedServer.start()
    const managerOptions = { savePath: `tcp://${memcached.address}` }
    const old = await Site.start(kind, {}, { secret: 'old', managerOptions })
    const { cookie = '' } = await old.visitor()
    const site = await Site.start(kind, {}, { secret: ['new', 'old'], managerOptions })
    expect((await site.browser().get('/show', { headers: { cookie } })).body).toBe('{"user":"ada"}')
    expect((await old.browser().get('/show', { headers: { cookie: (await site.visitor()).cookie ?? '' } })).body).toBe('{}')
    await old.end()
    await site.end()
  })
})

// Vitest fails for a rejection that nobody handles.
it.each(['save', 'release', 'regenerate', 'destroy'] as const)('%s() that nobody waits for, and is refused: the Response says so', async (call) => {
  const it: Handler = (_request, session) => {
    session.data.n = 1
    void session[call]()
    return ok()
  }
  const site = await Site.start('withSession', { '/it': it })
  const visitor = await site.visitor()
  for (let times = 0; times < 3; times++) site.wire?.refuse(storesRecord)
  expect(await visitor.get('/it')).toMatchObject({ status: 503 })
})

it('honoSession mounted twice on the way of a request: one session, locked once', async () => {
  const manager = new SessionManager({ waitMs: 50 })
  const options = { manager, secret: 'keyboard cat' }
  const app = new Hono<{ Variables: { session: RequestSession<{ n: number }> } }>()
  app.use(honoSession<{ n: number }>(options))
  app.use('/api/*', honoSession<{ n: number }>(options))
  app.get('/api/it', (c) => {
    const { data } = c.get('session')
    data.n = (data.n ?? 0) + 1
    return c.json(data)
  })
  const first = await app.request('/api/it')
  const [cookie = ''] = first.headers.getSetCookie()
  const second = await app.request('/api/it', { headers: { cookie: cookie.replace(/;.*$/, '') } })
  expect([second.status, await second.json()]).toEqual([200, { n: 2 }])
  expect(manager.stats().held).toBe(0)
  await manager.close()
})
