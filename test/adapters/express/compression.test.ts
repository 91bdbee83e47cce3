import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import compression from 'compression'
import type { Express, RequestHandler } from 'express'
import { afterAll, describe, expect, it } from 'vitest'
import { endSitesAfterEach, EXPRESSES, Site, type SiteOptions, visit } from './site.js'
import { storesRecord } from './tap-wire.js'

/** The compression middleware before the session and after it. */

endSitesAfterEach()

const BODY = 'a body that is worth it. '.repeat(400)
const FOLDER = mkdtempSync(join(tmpdir(), 'latchkey-compression-'))
const BODY_FILE = join(FOLDER, 'body.txt')
writeFileSync(BODY_FILE, BODY)
afterAll(() => {
  rmSync(FOLDER, { recursive: true })
})
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

const piped: RequestHandler = (req, res) => {
  visit(req).n = 1
  Readable.from([BODY.slice(0, 2000), BODY.slice(2000)]).pipe(res.type('text'))
}
const file: RequestHandler = (req, res) => {
  visit(req).n = 1
  res.sendFile(BODY_FILE)
}
const drained: RequestHandler = async (req, res) => {
  visit(req).n = 1
  // More than fits, so that there is a 'drain' to wait for.
  if (!res.type('text').write(BODY.repeat(20))) await once(res, 'drain')
  res.end(BODY)
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
    app.get('/pipe', piped)
    app.get('/file', file)
    app.get('/drain', drained)
  }
  return Site.start(routes, { ...(framework === undefined ? {} : { framework }), rolling: true, ...(isBefore ? { before: (app) => void mount(app) } : {}) })
}

async function ask(site: Site, path: string, cookie: string | undefined): Promise<[Response, string]> {
  const response = await fetch(`http://127.0.0.1:${String(site.port)}${path}`, { headers: { cookie: cookie ?? '', 'accept-encoding': 'gzip' } })
  return [response, await response.text()]
}

describe.each(EXPRESSES)('%s', (_name, framework) => {
  describe.each(PLACES)('compression %s the session', (_place, isBefore) => {
    it.each(['/send', '/stream', '/pipe', '/file', '/drain'])('a compressed body, a stored session: %s', async (path) => {
      const site = await start(framework, isBefore)
      const visitor = await site.visitor()
      const [response, body] = await ask(site, path, visitor.cookie)
      expect([response.status, response.headers.get('content-encoding')]).toEqual([200, 'gzip'])
      expect(response.headers.get('set-cookie')).toMatch(/^connect\.sid=/)
      expect(body).toBe(path === '/drain' ? BODY.repeat(21) : BODY)
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
