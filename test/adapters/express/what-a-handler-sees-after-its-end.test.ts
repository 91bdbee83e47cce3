import type { Express, RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { barrier, endSitesAfterEach, EXPRESSES, Site, until, visit } from './site.js'
import { storesRecord } from './tap-wire.js'

/** What a handler sees of a response that it has ended and that is still held back; errors before, in and after it. */

endSitesAfterEach()

const messageOf = (work: () => unknown): string => {
  try {
    work()
    return 'nothing was thrown'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

const only = (handler: RequestHandler) => (app: Express) => app.get('/it', handler)

describe.each(EXPRESSES)('%s: a response that was ended', (_name, framework) => {
  it.each([
    ['the session is stored', (req) => (visit(req).n = 1)],
    ['nothing is to be stored', () => undefined],
  ] satisfies [string, (req: Parameters<RequestHandler>[0]) => unknown][])('is sent as far as the handler can tell; %s', async (_case, work) => {
    const seen: unknown[] = []
    const handler: RequestHandler = (req, res) => {
      work(req)
      res.status(201).json({ a: 'body' })
      seen.push(res.headersSent)
      seen.push(messageOf(() => res.set('X-Late', '1')))
      seen.push(messageOf(() => res.removeHeader('Content-Type')))
      seen.push(messageOf(() => res.writeHead(500)))
      res.statusCode = 500
      res.write('more')
      res.end('and more')
      res.end()
    }
    const site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    const { status, headers, body } = await visitor.get('/it')
    expect([status, headers['x-late'], body]).toEqual([201, undefined, '{"a":"body"}'])
    expect(seen).toEqual([true, 'ERR_HTTP_HEADERS_SENT', 'ERR_HTTP_HEADERS_SENT', 'ERR_HTTP_HEADERS_SENT'])
  })

  it('writeHead says that headers are sent, and its status and headers are what is sent', async () => {
    const seen: unknown[] = []
    const handler: RequestHandler = (req, res) => {
      visit(req).n = 1
      res.writeHead(418, 'Teapot', { 'X-Mine': '1' })
      seen.push(res.headersSent, messageOf(() => res.setHeader('X-Late', '1')))
      res.statusCode = 200
      res.end('a body')
    }
    const site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    const { status, headers, body } = await visitor.get('/it')
    expect([status, headers['x-mine'], headers['x-late'], body]).toEqual([418, '1', undefined, 'a body'])
    expect(seen).toEqual([true, 'ERR_HTTP_HEADERS_SENT'])
  })

  it('an error thrown after it does not change it', async () => {
    const handler: RequestHandler = (req, res) => {
      visit(req).n = 1
      res.json({ a: 'body' })
      throw new Error('a bug after the response')
    }
    // Express 4 and 5: who finds headers sent passes the error on, and the connection is ended.
    const site = await Site.start(only(handler), { framework, onError: (_error, _req, _res, _next) => undefined })
    const visitor = await site.visitor()
    const { status, body } = await visitor.get('/it')
    expect([status, body]).toEqual([200, '{"a":"body"}'])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it.each([
    ['synchronously', (_req, _res) => { throw new Error('a bug') }],
    ['asynchronously', (_req, _res, next) => void setImmediate(() => next(new Error('a bug')))],
  ] satisfies [string, RequestHandler][])('an error before it, thrown %s, is the error handler\'s', async (_how, handler) => {
    const site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    const { status, body } = await visitor.get('/it')
    expect([status, body]).toEqual([500, '{"error":"a bug"}'])
  })

  it('an error after the headers of a stream ends the connection, and the lock goes with it', async () => {
    const handler: RequestHandler = (_req, res, next) => {
      res.write('first,')
      setImmediate(() => next(new Error('a bug in a stream')))
    }
    const site = await Site.start(only(handler), { framework, clientGoneMs: 600_000 })
    const visitor = await site.visitor()
    const answer = await visitor.get('/it').catch(() => 'cut')
    expect(answer === 'cut' || (typeof answer === 'object' && answer.isCut)).toBe(true)
    await until(() => site.isFree(visitor.sid))
    expect((await visitor.get('/show')).status).toBe(200)
  })

  it('a status that HTTP does not have throws where it is said, and the error handler answers', async () => {
    const handler: RequestHandler = (req, res) => {
      visit(req).n = 1
      res.statusCode = 99_999
      res.end('a body')
    }
    const site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    const { status } = await visitor.get('/it')
    expect(status).toBe(500)
    expect(site.errors).toMatchObject([{ code: 'ERR_HTTP_INVALID_STATUS_CODE' }])
  })

  it('a body that is none throws where it is given, and the error handler answers', async () => {
    const handler: RequestHandler = (req, res) => {
      visit(req).n = 1
      Reflect.apply(res.end, res, [{ not: 'a chunk' }])
    }
    const site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).status).toBe(500)
    expect(site.errors).toMatchObject([{ code: 'ERR_INVALID_ARG_TYPE' }])
  })

  it('res.end from a shared timer, outside of the request\'s own context', async () => {
    const entered = barrier()
    const due: (() => void)[] = []
    const handler: RequestHandler = (req, res) => {
      visit(req).n = 1
      due.push(() => res.end('a body'))
      entered.open()
    }
    const site = await Site.start(only(handler), { framework })
    const visitor = await site.visitor()
    const answer = visitor.get('/it')
    await entered.passed
    // In a turn of its own, after what the handler's end has set going.
    setTimeout(() => due.forEach((end) => end()), 1)
    expect((await answer).body).toBe('a body')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('a write after the response was refused goes nowhere', async () => {
    const refused = barrier()
    const handler: RequestHandler = (req, res) => {
      visit(req).n = 1
      res.end('a body')
      const { write, end } = res
      void refused.passed.then(() => {
        Reflect.apply(write, res, ['more'])
        Reflect.apply(end, res, ['more'])
      })
    }
    const site = await Site.start(only(handler), {
      framework,
      onError: (_error, _req, res, _next) => {
        refused.open()
        setImmediate(() => res.status(503).end('sorry'))
      },
    })
    const visitor = await site.visitor()
    site.wire?.refuse(storesRecord)
    const { status, body } = await visitor.get('/it')
    expect([status, body]).toEqual([503, 'sorry'])
  })
})
