/**
 * A record without a cookie, as a worker's `manager.run()` stores it under an id whose session has ended: to a web
 * framework it is a session with the cookie that a new one would have.
 */
import { describe, expect, it } from 'vitest'
import type { SessionManager } from 'latchkey'
import { EXPRESSES, Site as ExpressSite } from './express/site.js'
import { endPlacesAfterEach, PLACES } from './places.js'

endPlacesAfterEach()

/** The session has ended, and a worker stores what it has done for it. */
async function putByWorker(manager: SessionManager, sid: string, data: object = { user: 'bob' }): Promise<void> {
  await manager.store().destroy(sid)
  await manager.run(sid, (session) => void Object.assign(session.data, data))
}

describe.each(PLACES)('%s', (_name, start) => {
  it.each([{}, { cookie: null }])('is a session like any other: %j', async (cookie) => {
    const site = await start({})
    const visitor = await site.visitor()
    await putByWorker(site.manager, visitor.sid, { user: 'bob', ...(_name.startsWith('Express') || _name.includes('with @') ? cookie : {}) })
    for (let times = 0; times < 2; times++) expect(await visitor.get('/show')).toMatchObject({ status: 200, body: expect.stringContaining('"user":"bob"') as string })
  })
})

describe.each(EXPRESSES)('%s gives it', (_name, framework) => {
  it('the cookie of its options, and stores that', async () => {
    const site = await ExpressSite.start(() => undefined, { framework, cookie: { maxAge: 90_000, path: '/', sameSite: 'strict' } })
    const visitor = await site.visitor()
    await putByWorker(site.manager, visitor.sid)
    expect((await visitor.get('/set/n/1')).setCookies).toEqual([expect.stringMatching(/Expires=.*SameSite=Strict/)])
    expect(await site.manager.peek(visitor.sid)).toMatchObject({ user: 'bob', n: '1', cookie: { originalMaxAge: 90_000, sameSite: 'strict' } })
  })

  it('the one that the options make of the request', async () => {
    const site = await ExpressSite.start(
      (app) => {
        app.get('/id', (req, res) => void res.json({ id: req.sessionID, sameSite: req.session.cookie.sameSite }))
      },
      { framework, cookie: (req) => ({ sameSite: req.headers['x-strict'] === undefined ? 'lax' : 'strict' }) },
    )
    const visitor = await site.visitor()
    await putByWorker(site.manager, visitor.sid)
    const { body } = await visitor.get('/id', { headers: { 'x-strict': '1' } })
    expect(JSON.parse(body)).toEqual({ id: visitor.sid, sameSite: 'strict' })
    expect(await site.middleware.store.get(visitor.sid)).toMatchObject({ user: 'bob', cookie: { sameSite: 'strict' } })
  })

  it("what 'auto' is to the request", async () => {
    const site = await ExpressSite.start((app) => void app.get('/cookie', (req, res) => void res.json(req.session.cookie)), {
      framework,
      proxy: true,
      cookie: { secure: 'auto', maxAge: 90_000 },
    })
    const visitor = await site.visitor()
    const over = (proto: string): Promise<unknown> =>
      visitor.get('/cookie', { headers: { 'x-forwarded-proto': proto } }).then(({ body }) => JSON.parse(body) as unknown)
    for (const [proto, secure] of [['https', true], ['http', false]] as const) {
      await putByWorker(site.manager, visitor.sid)
      expect(await over(proto)).toMatchObject({ secure, originalMaxAge: 90_000 })
    }
  })

  it('something that it is not: a "cookie" that is none is an error, and left as it is', async () => {
    const site = await ExpressSite.start(() => undefined, { framework })
    const visitor = await site.visitor()
    await putByWorker(site.manager, visitor.sid, { cookie: 'with raisins' })
    expect(await visitor.get('/show')).toMatchObject({ status: 500, body: '{"error":"LATCHKEY_UNDECODABLE"}' })
    expect(await site.manager.peek(visitor.sid)).toEqual({ cookie: 'with raisins' })
  })
})
