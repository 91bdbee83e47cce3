import type { SessionData } from 'express-session'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { endSitesAfterEach, EXPRESSES, SECRET, Site, type SiteOptions } from './site.js'

/** Which requests that leave a session as it was prolong it: touchAfter and disableTouch. */

endSitesAfterEach()
afterEach(() => {
  vi.useRealTimers()
})

const FREE = ['cad']
const COOKIES = [
  ['with a maxAge', { cookie: { maxAge: 3_600_000 } }],
  ['without an expiry', {}],
] as const

describe.each(EXPRESSES)('%s', (_name, framework) => {
  const start = (options: SiteOptions): Promise<Site> =>
    Site.start(
      (app) => {
        app.get('/remember', (req, res) => {
          req.session.cookie.maxAge = 30 * 86_400_000
          res.json({})
        })
      },
      { framework, ...options },
    )

  /** What the last request did, after its read. */
  const lastOps = (site: Site): string[][] => site.ops.splice(0).slice(1)
  const clear = (site: Site): void => void site.wire?.flights.splice(0)

  describe.each(COOKIES)('a cookie %s', (_cookie, options) => {
    it('touchAfter: within it a request only lets go, after it the session is prolonged, from then on anew', async () => {
      vi.useFakeTimers({ toFake: ['Date'] })
      const site = await start({ touchAfter: 60, ...options })
      const visitor = await site.visitor()
      for (const [afterMs, isProlonged] of [[0, false], [59_000, false], [61_000, true], [61_000 + 59_000, false], [61_000 + 61_000, true]] as const) {
        vi.setSystemTime(START_MS + afterMs)
        if (afterMs === 0) {
          await visitor.get('/set/n/1')
          clear(site)
        }
        await visitor.get('/show')
        const ops = lastOps(site)
        clear(site)
        if (isProlonged) expect(ops, String(afterMs)).toEqual([['cas', 'cad']])
        else expect(ops, String(afterMs)).toEqual([FREE])
      }
      expect((await visitor.get('/show')).body).toBe('{"user":"ada","n":"1"}')
    })

    it('disableTouch: never prolonged by a request that changed nothing', async () => {
      const site = await start({ disableTouch: true, ...options })
      const visitor = await site.visitor()
      await visitor.get('/show')
      expect(lastOps(site)).toEqual([FREE])
    })

    it.each([{ touchAfter: 60 }, { disableTouch: true }])('what changed is stored at once, the settings of its cookie as well: %o', async (limits) => {
      const site = await start({ ...limits, ...options })
      const visitor = await site.visitor()
      await visitor.get('/set/n/1')
      expect(lastOps(site)).toEqual([['cas', 'cad']])
      clear(site)
      await visitor.get('/remember')
      expect(lastOps(site)).toEqual([['cas', 'cad']])
      expect((await site.manager.peek<SessionData>(visitor.sid))?.cookie?.originalMaxAge).toBeGreaterThan(29 * 86_400_000)
    })

    it('a release(), and a stream of events, follow it as well', async () => {
      const site = await Site.start(
        (app) => {
          app.get('/release', async (req, res) => {
            await req.session.release()
            res.json({})
          })
          app.get('/events', (_req, res) => void res.type('text/event-stream').end('data: 1\n\n'))
        },
        { framework, touchAfter: 60, ...options },
      )
      const visitor = await site.visitor()
      for (const path of ['/release', '/events']) {
        await visitor.get(path)
        expect(site.ops.slice(1), path).toEqual([FREE])
        clear(site)
      }
    })
  })

  it('what it needs to know is no part of the session', async () => {
    const site = await start({ touchAfter: 60 })
    const visitor = await site.visitor()
    const stored = await site.middleware.store.get(visitor.sid)
    expect(JSON.stringify({ ...stored, cookie: undefined })).toBe('{"user":"ada"}')
    expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
    // And a record of before is prolonged once.
    const value = Buffer.from(JSON.stringify({ user: 'ada', cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' } }))
    await site.wire?.inner.flight('', [{ op: 'set', key: `sess:${visitor.sid}`, value, ttlSec: 60 }])
    clear(site)
    await visitor.get('/show')
    expect(lastOps(site)).toEqual([['cas', 'cad']])
    clear(site)
    await visitor.get('/show')
    expect(lastOps(site)).toEqual([FREE])
  })

  it('a session of more than 30 days lives as long', async () => {
    const site = await start({ ttl: 90 * 86_400 })
    const visitor = await site.visitor()
    expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
  })
})

const START_MS = Date.now()

describe('the options', () => {
  const withOptions = (options: object) => (): unknown =>
    latchkey({ manager: new SessionManager(), secret: SECRET, resave: false, saveUninitialized: false, ...options })

  it.each([{ touchAfter: -1 }, { touchAfter: NaN }, { touchAfter: Infinity }, { touchAfter: '60' }, { disableTouch: 1 }])('%o is refused', (options) => {
    expect(withOptions(options)).toThrow(expect.objectContaining({ code: 'LATCHKEY_INVALID_OPTION' }) as Error)
  })
})
