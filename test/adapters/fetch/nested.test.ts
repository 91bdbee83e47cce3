import { Hono } from 'hono'
import { LockTimeoutError, SessionManager } from 'latchkey'
import { honoSession, type RequestSession, withSession } from 'latchkey/fetch'
import { afterEach, describe, expect, it } from 'vitest'

interface Visit {
  n: number
  outer: number
}

let manager = new SessionManager()
afterEach(async () => {
  expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
  await manager.close()
  manager = new SessionManager()
})

const ask = (cookie = ''): Request => new Request('http://shop.test/', { headers: { cookie } })
const cookiesOf = (response: Response): string => response.headers.getSetCookie().map((one) => one.split(';')[0]).join('; ')

describe('withSession within withSession', () => {
  it('of the same cookie: one session, stored once, by the outer one', async () => {
    const options = { manager, secret: 's' }
    const inner = withSession<Visit>(options, (_request, session) => {
      session.data.n = (session.data.n ?? 0) + 1
      return Response.json(session.data)
    })
    const outer = withSession<Visit>(options, (request, { data }) => {
      data.outer = (data.outer ?? 0) + 1
      return inner(request)
    })
    const first = await outer(ask())
    expect(first.headers.getSetCookie()).toHaveLength(1)
    const second = await outer(ask(cookiesOf(first)))
    expect(await second.json()).toEqual({ n: 2, outer: 2 })
    // And on its own, afterwards.
    expect(await (await inner(ask(cookiesOf(first)))).json()).toEqual({ n: 3, outer: 2 })
  })

  it('of two cookies: two sessions', async () => {
    const inner = withSession<Visit>({ manager, secret: 's', cookieName: 'inner' }, (_request, session) => {
      session.data.n = (session.data.n ?? 0) + 1
      return Response.json(session.data)
    })
    const outer = withSession<Visit>({ manager, secret: 's', cookieName: 'outer' }, (request, { data }) => {
      data.outer = 1
      return inner(request)
    })
    const first = await outer(ask())
    expect(first.headers.getSetCookie()).toHaveLength(2)
    expect(await (await outer(ask(cookiesOf(first)))).json()).toEqual({ n: 2 })
  })
})

describe('within honoSession', () => {
  const app = (): Hono<{ Variables: { session: RequestSession<Visit> } }> => new Hono()

  it('withSession of the same cookie has its session, and does not wait for it', async () => {
    const options = { manager, secret: 's' }
    const inner = withSession<Visit>(options, (_request, session) => {
      session.data.n = (session.data.n ?? 0) + 1
      return Response.json(session.data)
    })
    const site = app().use(honoSession<Visit>(options)).get('/', (c) => {
      const { data } = c.get('session')
      data.outer = (data.outer ?? 0) + 1
      return inner(c.req.raw)
    })
    const first = await site.request(ask())
    expect(first.headers.getSetCookie()).toHaveLength(1)
    expect(await (await site.request(ask(cookiesOf(first)))).json()).toEqual({ n: 2, outer: 2 })
  })

  it('honoSession of another cookie has a session of its own', async () => {
    const [outer, inner] = ['outer', 'inner'].map((cookieName) => honoSession<Visit>({ manager, secret: 's', cookieName }))
    if (outer === undefined || inner === undefined) throw new Error('none')
    const site = app().use(outer).use('/inner', inner).get('*', (c) => {
      const { data } = c.get('session')
      data.n = (data.n ?? 0) + 1
      return c.json(data)
    })
    const first = await site.request(ask())
    const both = cookiesOf(first)
    const second = await site.request(new Request('http://shop.test/inner', { headers: { cookie: both } }))
    expect(await second.json()).toEqual({ n: 1 })
    expect(cookiesOf(second)).toMatch(/^inner=/)
    expect(await (await site.request(ask(both))).json()).toEqual({ n: 2 })
  })

  it('composed without an onError: what is thrown below is answered by a refusal if it is the session\'s, and goes on if not', async () => {
    const context = {
      ...{ req: { raw: ask() }, error: undefined, finalized: false },
      get res(): Response {
        throw new Error('nobody has answered')
      },
      set: () => undefined,
    }
    const below = (error: Error): Promise<Response | undefined> => honoSession({ manager, secret: 's' })(context, () => Promise.reject(error))
    const refusal = await below(new LockTimeoutError('It is locked.', { waitedMs: 1, holder: undefined }))
    expect(refusal?.status).toBe(503)
    await expect(below(new RangeError('mine'))).rejects.toThrow('mine')
  })
})
