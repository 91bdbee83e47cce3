import { createReadStream } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readFileSync } from 'node:fs'
import type { Express, RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { barrier, endSitesAfterEach, EXPRESSES, Site, visit } from './site.js'
import { storesRecord } from './tap-wire.js'

/** Responses whose headers leave long before their end. */

endSitesAfterEach()

const EVENTS = 'text/event-stream; charset=utf-8'
const only = (handler: RequestHandler) => (app: Express) => app.get('/it', handler)

describe.each(EXPRESSES)('%s: a stream', (_name, framework) => {
  it.each([
    ['flushHeaders', (res) => void res.set('Content-Type', EVENTS).flushHeaders()],
    ['writeHead and flushHeaders', (res) => void res.writeHead(200, { 'Content-Type': EVENTS }).flushHeaders()],
    ['writeHead and write', (res) => void res.writeHead(200, { 'content-type': EVENTS }).write(':\n\n')],
    ['write', (res) => void res.type('text/event-stream').write(':\n\n')],
  ] satisfies [string, (res: Parameters<RequestHandler>[1]) => void][])('of events holds nothing beyond its headers: %s', async (_how, begin) => {
    const done = barrier()
    const handler: RequestHandler = async (req, res) => {
      visit(req).n = 1
      begin(res)
      await done.passed
      res.end('data: 1\n\n')
    }
    const site = await Site.start(only(handler), { framework, resave: true, saveUninitialized: true })
    for (const visitor of [await site.visitor(), site.browser()]) {
      const response = await fetch(`http://127.0.0.1:${String(site.port)}/it`, { headers: { cookie: visitor.cookie ?? '' } })
      visitor.cookie ??= response.headers.get('set-cookie')?.replace(/;.*$/, '')
      expect(response.headers.get('content-type')).toBe(EVENTS)
      expect(await site.isFree(visitor.sid)).toBe(true)
      expect(await site.stored(visitor.sid)).toMatchObject({ n: 1 })
      done.open()
      expect(await response.text()).toContain('data: 1\n\n')
    }
    expect(site.failures).toEqual([])
    expect(site.errors).toEqual([])
  })

  it('of events that changed nothing touches the session and lets go; with `resave` no failure either', async () => {
    for (const resave of [false, true]) {
      const handler: RequestHandler = (_req, res) => {
        res.type('text/event-stream').flushHeaders()
        setImmediate(() => res.end('data: 1\n\n'))
      }
      const site = await Site.start(only(handler), { framework, resave })
      const visitor = await site.visitor()
      expect((await visitor.get('/it')).body).toBe('data: 1\n\n')
      expect(site.ops).toEqual([['add', 'get'], ['touch', 'cad']])
      expect(site.failures).toEqual([])
    }
  })

  it('of events that changes the session after its headers: an error at that moment, and nothing stored', async () => {
    const told = barrier<unknown>()
    const handler: RequestHandler = (req, res) => {
      const mine = visit(req)
      res.type('text/event-stream').flushHeaders()
      setImmediate(() => {
        for (const change of [() => (visit(req).n = 1), () => (mine.n = 1)]) {
          expect(change).toThrow(expect.objectContaining({ code: 'LATCHKEY_READ_ONLY' }) as Error)
        }
        req.session.save(told.open)
        res.end('data: 1\n\n')
      })
    }
    const site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).body).toBe('data: 1\n\n')
    expect(await told.passed).toMatchObject({ code: 'LATCHKEY_READ_ONLY' })
    expect(site.failures).toMatchObject([{ code: 'LATCHKEY_READ_ONLY', status: 500 }])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('that changes the session while it runs stores it at its end', async () => {
    const handler: RequestHandler = (req, res) => {
      visit(req).n = 1
      res.write('first,')
      visit(req).n = 2
      setImmediate(() => res.end('last'))
    }
    const site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).body).toBe('first,last')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })
  })

  it('whose last save is refused: it ends, and a failure event says so; no error handler is bothered', async () => {
    const handler: RequestHandler = (req, res) => {
      res.write('first,')
      visit(req).n = 2
      setImmediate(() => {
        site.wire?.refuse(storesRecord)
        res.end('last')
      })
    }
    const site: Site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    const { status, body, isCut } = await visitor.get('/it')
    expect([status, body, isCut]).toEqual([200, 'first,last', false])
    expect(site.failures).toMatchObject([{ code: 'LATCHKEY_SERVER_REFUSED' }])
    expect(site.errors).toEqual([])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
    // The connection is still good.
    expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
  })

  it('that nobody changes anything in is touched at its end', async () => {
    const handler: RequestHandler = (_req, res) => {
      res.write('first,')
      setImmediate(() => res.end('last'))
    }
    const site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).body).toBe('first,last')
    expect(site.ops).toEqual([['add', 'get'], ['touch', 'cad']])
  })

  it('of a file: piped, and sent by Express', async () => {
    const file = fileURLToPath(import.meta.url)
    const site = await Site.start(
      (app) => {
        app.get('/pipe', (req, res) => {
          visit(req).n = 1
          createReadStream(file, { highWaterMark: 100 }).pipe(res)
        })
        app.get('/send', (req, res) => {
          visit(req).n = 2
          res.sendFile(file)
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    expect((await visitor.get('/pipe')).body).toBe(readFileSync(file, 'utf8'))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
    const sent = await visitor.get('/send')
    expect(sent.body).toBe(readFileSync(file, 'utf8'))
    expect(sent.headers['etag']).toBeDefined()
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 2 })
    const again = await visitor.get('/send', { headers: { 'if-none-match': String(sent.headers['etag']) } })
    expect([again.status, again.body]).toEqual([304, ''])
  })
})
