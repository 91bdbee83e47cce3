import { describe, expect, it } from 'vitest'
import type { SessionData } from 'express-session'
import { endSitesAfterEach, EXPRESSES, Site, until, visit } from './site.js'

/** How long what a request stores lives, and sessions that end while a request has them. */

endSitesAfterEach()

/** Of the record, in the last flight that named one. */
const ttlOf = (site: Site): number | undefined =>
  site.wire?.flights.flatMap((commands) => commands.flatMap((command) => ('ttlSec' in command && !command.key.endsWith('-lck') ? [command.ttlSec] : []))).at(-1)

describe.each(EXPRESSES)('%s', (_name, framework) => {
  it.each([
    ['maxAge', { cookie: { maxAge: 90_000 } }, 90],
    ['maxAge, rolling', { rolling: true, cookie: { maxAge: 90_000 } }, 90],
    ['a ttl', { ttl: 7 }, 7],
    ['nothing', {}, 86_400],
  ])('%s: a request that changes the session and one that does not prolong it alike', async (_case, options, seconds) => {
    const site = await Site.start(() => undefined, { framework, ...options })
    const visitor = site.browser()
    for (const path of ['/set/user/ada', '/set/n/1', '/show']) {
      site.wire?.flights.splice(0)
      await visitor.get(path)
      const ttl = ttlOf(site)
      expect(ttl).toBeLessThanOrEqual(seconds)
      expect(ttl).toBeGreaterThan(seconds - 5)
    }
  })

  it('a request that changes nothing moves the expiry in the record as well', async () => {
    const site = await Site.start(() => undefined, { framework, cookie: { maxAge: 90_000 } })
    const visitor = await site.visitor()
    const expiry = async (): Promise<string> => String((await site.manager.peek<SessionData>(visitor.sid))?.cookie?.expires)
    const before = await expiry()
    await until(() => Date.now() > Date.parse(before) - 90_000 + 5)
    await visitor.get('/show')
    expect(Date.parse(await expiry())).toBeGreaterThan(Date.parse(before))
  })

  it('a session whose cookie has expired is a new one, and its lock is free', async () => {
    const site = await Site.start(() => undefined, { framework })
    const visitor = await site.visitor()
    const value = Buffer.from(JSON.stringify({ user: 'ada', cookie: { expires: new Date(Date.now() - 1), originalMaxAge: 5 } }))
    await site.wire?.inner.flight('', [{ op: 'set', key: `sess:${visitor.sid}`, value, ttlSec: 60 }])
    const { sid } = visitor
    expect((await visitor.get('/show')).body).toBe('{}')
    expect(await site.isFree(sid)).toBe(true)
  })

  it.each([
    ['a ttl of 0', { ttl: (session: object) => ('n' in session ? 0 : 60) }, '/set/n/1'],
    ['a cookie that is made to expire', {}, '/expire'],
  ])('%s ends the session and frees its lock', async (_case, options, path) => {
    const site = await Site.start(
      (app) => {
        app.get('/expire', (req, res) => {
          req.session.cookie.expires = new Date(0)
          visit(req).n = 1
          res.json({})
        })
      },
      { framework, ...options },
    )
    const visitor = await site.visitor()
    const { sid } = visitor
    expect((await visitor.get(path)).status).toBe(200)
    expect(await site.stored(sid)).toBeUndefined()
    expect(await site.isFree(sid)).toBe(true)
  })

  it('reload() of a session that is gone says so; what was not changed is no loss, a change is a 409', async () => {
    const site = await Site.start(
      (app, own) => {
        app.get('/reload/:then', (req, res) => {
          void own.middleware.store.destroy(req.sessionID).then(() => {
            req.session.reload((error: unknown) => {
              if (req.params.then === 'change') visit(req).n = 1
              res.json({ error: String(error) })
            })
          })
        })
      },
      { framework, resave: true },
    )
    const visitor = await site.visitor()
    const { sid } = visitor
    expect(await visitor.get('/reload/nothing')).toMatchObject({ status: 200, body: '{"error":"Error: failed to load session"}' })
    expect(await site.stored(sid)).toBeUndefined()
    const other = await site.visitor()
    expect(await other.get('/reload/change')).toMatchObject({ status: 409, setCookies: [], body: '{"error":"LATCHKEY_SESSION_GONE"}' })
    expect(await site.stored(other.sid)).toBeUndefined()
    expect(await site.isFree(sid, other.sid)).toBe(true)
  })

  it("while the store is said to be disconnected there are no sessions, as with express-session's own stores", async () => {
    const site = await Site.start((app) => app.get('/it', (req, res) => void res.json({ has: 'session' in req })), { framework })
    const visitor = await site.visitor()
    site.middleware.store.emit('disconnect')
    expect((await visitor.get('/it')).body).toBe('{"has":false}')
    site.middleware.store.emit('connect')
    expect((await visitor.get('/it')).body).toBe('{"has":true}')
  })
})
