import compression from 'compression'
import type { Express, RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { endSitesAfterEach, EXPRESSES, Site, type SiteOptions, visit } from './site.js'
import { storesRecord } from './tap-wire.js'

/** The compression middleware before the session and after it. */

endSitesAfterEach()

const BODY = 'a body that is worth it. '.repeat(400)
const compress = compression({ threshold: 0 })

const handler: RequestHandler = (req, res) => {
  visit(req).n = 1
  res.send(BODY)
}
const streamed: RequestHandler = (req, res) => {
  visit(req).n = 1
  res.type('text')
  for (let at = 0; at < 10; at++) res.write(BODY.slice((at * BODY.length) / 10, ((at + 1) * BODY.length) / 10))
  res.end()
}
const events: RequestHandler = (req, res) => {
  visit(req).n = 1
  res.type('text/event-stream').write('data: 1\n\n')
  setImmediate(() => res.end('data: 2\n\n'))
}

const PLACES: readonly (readonly [string, boolean])[] = [
  ['before', true],
  ['after', false],
]

const start = (framework: SiteOptions['framework'], isBefore: boolean): Promise<Site> => {
  const mount = (app: Express): unknown => app.use(compress)
  const routes = (app: Express): void => {
    if (!isBefore) mount(app)
    app.get('/send', handler)
    app.get('/stream', streamed)
    app.get('/events', events)
  }
  return Site.start(routes, { ...(framework === undefined ? {} : { framework }), rolling: true, ...(isBefore ? { before: (app) => void mount(app) } : {}) })
}

async function ask(site: Site, path: string, cookie: string | undefined): Promise<[Response, string]> {
  const response = await fetch(`http://127.0.0.1:${String(site.port)}${path}`, { headers: { cookie: cookie ?? '', 'accept-encoding': 'gzip' } })
  return [response, await response.text()]
}

describe.each(EXPRESSES)('%s', (_name, framework) => {
  describe.each(PLACES)('compression %s the session', (_place, isBefore) => {
    it.each(['/send', '/stream'])('a compressed body, a stored session: %s', async (path) => {
      const site = await start(framework, isBefore)
      const visitor = await site.visitor()
      const [response, body] = await ask(site, path, visitor.cookie)
      expect([response.status, response.headers.get('content-encoding')]).toEqual([200, 'gzip'])
      expect(response.headers.get('set-cookie')).toMatch(/^connect\.sid=/)
      expect(body).toBe(BODY)
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
      expect(await site.isFree(visitor.sid)).toBe(true)
    })

    it.each(['/send', '/stream'])('a refused save is a 503 that can be read, without Set-Cookie: %s', async (path) => {
      const site = await start(framework, isBefore)
      const visitor = await site.visitor()
      site.wire?.refuse(storesRecord)
      const [response, body] = await ask(site, path, visitor.cookie)
      expect([response.status, response.headers.get('set-cookie')]).toEqual([503, null])
      expect(body).toMatch(/LATCHKEY_SERVER_REFUSED|Sessions are not available/)
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
      expect(await site.isFree(visitor.sid)).toBe(true)
      expect((await ask(site, '/show', visitor.cookie))[1]).toBe('{"user":"ada"}')
    })

    it('events', async () => {
      const site = await start(framework, isBefore)
      const visitor = await site.visitor()
      const [response, body] = await ask(site, '/events', visitor.cookie)
      expect([response.status, body]).toEqual([200, 'data: 1\n\ndata: 2\n\n'])
      expect(site.failures).toEqual([])
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
    })
  })
})
