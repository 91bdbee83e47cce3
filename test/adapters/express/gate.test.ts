import { once } from 'node:events'
import type { Express, RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { barrier, endSitesAfterEach, EXPRESSES, Site, visit } from './site.js'
import { storesRecord } from './tap-wire.js'

/** Nothing of a response leaves before its session is stored; and what the handler sees of it meanwhile. */

endSitesAfterEach()

type Route = readonly [name: string, handler: RequestHandler]

const change: RequestHandler = (req, _res, next) => {
  visit(req).n = 1
  next()
}

const ENDINGS: readonly Route[] = [
  ['res.end', (_req, res) => void res.end('a body')],
  ['res.json', (_req, res) => void res.json({ a: 'body' })],
  ['res.send', (_req, res) => void res.send('<p>a body</p>')],
  ['res.redirect', (_req, res) => res.redirect('/elsewhere')],
  ['res.sendStatus', (_req, res) => void res.sendStatus(204)],
  ['res.writeHead', (_req, res) => void res.writeHead(201, { 'X-Mine': '1', 'Content-Length': '6' }).end('a body')],
  ['res.set and end', (_req, res) => void res.status(202).set('Content-Length', '6').end('a body')],
  ['an empty end', (_req, res) => void res.end()],
]

const WRITING: readonly Route[] = [
  ['res.write', (_req, res) => void (res.write('a '), res.end('body'))],
  ['res.flushHeaders', (_req, res) => void (res.flushHeaders(), res.end('a body'))],
  ['a chunked body in turns', (_req, res) => void (res.write('a '), setImmediate(() => (res.write('bo'), res.end('dy'))))],
]

const mount = (routes: readonly Route[]) => (app: Express) => {
  for (const [name, handler] of routes) app.get(`/${name.replaceAll(' ', '-')}`, change, handler)
}
const pathOf = (name: string): string => `/${name.replaceAll(' ', '-')}`

describe.each(EXPRESSES)('%s: before the save is decided', (_name, framework) => {
  it.each([...ENDINGS, ...WRITING])('nothing of the response leaves: %s', async (name) => {
    const site = await Site.start(mount([...ENDINGS, ...WRITING]), { framework })
    const visitor = await site.visitor()
    const save = site.wire?.stop(storesRecord)
    let answered = false
    const answer = visitor.get(pathOf(name)).finally(() => (answered = true))
    await save?.arrived
    // Another request on the same server comes back meanwhile: the first one would have, too.
    await site.browser().get('/show')
    expect(answered).toBe(false)
    save?.go()
    const { status, isCut } = await answer
    expect(isCut).toBe(false)
    expect(status).toBeLessThan(400)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it.each(ENDINGS)('a refused save is the error handler\'s, without Set-Cookie and what else was said: %s', async (name) => {
    const site = await Site.start(mount(ENDINGS), { framework, rolling: true })
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    const { status, setCookies, headers, body } = await visitor.get(pathOf(name))
    expect([status, setCookies, body]).toEqual([503, [], '{"error":"LATCHKEY_SERVER_REFUSED"}'])
    expect(headers['location']).toBeUndefined()
    expect(headers['content-type']).toContain('application/json')
    expect(headers['content-length']).toBe(String(body.length))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
    expect(site.failures).toEqual([])
    expect(site.errors).toHaveLength(1)
    // The connection is still good, and so is the session.
    expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
  })

  it.each(WRITING)('a refused save of a response that is written bit by bit is a plain 503: %s', async (name) => {
    const site = await Site.start(mount(WRITING), { framework, rolling: true })
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    const { status, setCookies, body, isCut } = await visitor.get(pathOf(name))
    expect([status, setCookies, isCut]).toEqual([503, [], false])
    expect(body).toBe('Sessions are not available at the moment.')
    expect(site.failures).toMatchObject([{ code: 'LATCHKEY_SERVER_REFUSED' }])
    expect(site.manager.stats().held).toBe(0)
  })

  it('a redirect that is followed at once finds the session', async () => {
    const site = await Site.start(
      (app) => {
        app.get('/login', (req, res, next) => {
          req.session.regenerate((error: unknown) => {
            if (error !== null && error !== undefined) return next(error)
            visit(req).user = 'eve'
            res.redirect('/show')
          })
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    const { status, headers } = await visitor.get('/login')
    expect(status).toBe(302)
    expect((await visitor.get(headers.location ?? '')).body).toBe('{"user":"eve"}')
  })

  it('Content-Length stays, a body without one is chunked, HEAD has none', async () => {
    const site = await Site.start(
      (app) => {
        app.get('/length', change, (_req, res) => void res.set('Content-Length', '6').end('a body'))
        app.get('/json', change, (_req, res) => void res.json({}))
        app.get('/chunked', change, (_req, res) => void (res.write('a '), res.end('body')))
        app.get('/plain', (_req, res) => void res.end('a body'))
      },
      { framework },
    )
    const visitor = await site.visitor()
    const length = await visitor.get('/length')
    expect([length.headers['content-length'], length.headers['transfer-encoding'], length.body]).toEqual(['6', undefined, 'a body'])
    expect((await visitor.get('/json')).headers['content-length']).toBe('2')
    const chunked = await visitor.get('/chunked')
    expect([chunked.headers['content-length'], chunked.headers['transfer-encoding'], chunked.body]).toEqual([undefined, 'chunked', 'a body'])
    const head = await visitor.get('/length', { method: 'HEAD' })
    expect([head.status, head.headers['content-length'], head.body]).toEqual([200, '6', ''])
    expect((await site.browser().get('/plain')).headers['content-length']).toBe('6')
  })

  it('res.end(callback) calls back when the response is out', async () => {
    const called = barrier()
    const site = await Site.start((app) => app.get('/end', change, (_req, res) => void res.end('a body', () => called.open())), { framework })
    const visitor = await site.visitor()
    const save = site.wire?.stop(storesRecord)
    const answer = visitor.get('/end')
    await save?.arrived
    save?.go()
    await called.passed
    expect((await answer).body).toBe('a body')
  })

  it('a client that never asks for more than its headers sees the first byte only after the save', async () => {
    const done = barrier()
    const site = await Site.start(
      (app) => {
        app.get('/stream', change, async (_req, res) => {
          res.write('first,')
          await done.passed
          res.end('last')
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    const save = site.wire?.stop(storesRecord)
    const response = fetch(`http://127.0.0.1:${String(site.port)}/stream`, { headers: { cookie: visitor.cookie ?? '' } })
    await save?.arrived
    save?.go()
    const reader = (await response).body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('first,')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
    expect(site.manager.stats().held).toBe(1)
    done.open()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('last')
  })

  it('a large stream waits for drain while the save is under way, and comes whole', async () => {
    const pieces = Array.from({ length: 64 }, (_, at) => String(at % 10).repeat(16_384))
    const refused: boolean[] = []
    const site = await Site.start(
      (app) => {
        app.get('/large', change, async (_req, res) => {
          for (const piece of pieces) {
            if (res.write(piece)) continue
            refused.push(true)
            await once(res, 'drain')
          }
          res.end()
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    const { body } = await visitor.get('/large')
    expect(body).toBe(pieces.join(''))
    expect(refused.length).toBeGreaterThan(0)
  })
})
