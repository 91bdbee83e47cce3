import { connect } from 'node:net'
import type { Express, RequestHandler, Response } from 'express'
import { describe, expect, it } from 'vitest'
import { endSitesAfterEach, EXPRESSES, Site, visit } from './site.js'

/** What goes wrong, or goes on, when the session is stored and the response is let out. */

endSitesAfterEach()

const change: RequestHandler = (req, _res, next) => {
  visit(req).n = 1
  next()
}

/** What a client reads that speaks an older HTTP, or asks for the head alone. */
function exchange(port: number, request: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => (answer += text))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      resolve(answer)
    })
  })
}

describe.each(EXPRESSES)('%s', (_name, framework) => {
  /** A middleware before the session that ends in its own time: one that minifies, or fills a cache. */
  const late = (app: Express): unknown =>
    app.use((_req, res: Response, next) => {
      const end = res.end.bind(res)
      const later = (...args: unknown[]): Response => {
        setImmediate(() => Reflect.apply(end, res, args))
        return res
      }
      Object.assign(res, { end: later })
      next()
    })

  it.each([
    ['a body', (_req, res) => void res.send('hello'), 200, 'hello'],
    ['none', (_req, res) => void res.status(204).end(), 204, ''],
    ['one that was begun', (_req, res) => void (res.write('hel'), res.end('lo')), 200, 'hello'],
  ] as readonly (readonly [string, RequestHandler, number, string])[])(
    'a middleware before the session ends in its own time: the head leaves with %s',
    async (_what, answer, status, body) => {
      const site = await Site.start((app) => app.get('/it', change, answer), { framework, before: (app) => void late(app), rolling: true })
      const visitor = await site.visitor()
      expect(await visitor.get('/it')).toMatchObject({ status, body, isCut: false, setCookies: [expect.stringMatching(/^connect\.sid=/)] })
    },
  )

  it.each([
    ['end, with its length', (_req, res) => void res.set('Content-Length', '2').end('hi', 'nope' as 'utf8')],
    ['end', (_req, res) => void res.end('hi', 'nope' as 'utf8')],
    ['write', (_req, res) => void res.write('hi', 'nope' as 'utf8')],
  ] as readonly (readonly [string, RequestHandler])[])("an encoding that there is not is the handler's error: %s", async (_what, answer) => {
    const site = await Site.start((app) => app.get('/it', change, answer), { framework, onError: 'default' })
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).status).toBe(500)
    expect((await visitor.get('/show')).status).toBe(200)
  })

  it.each([
    ['hex', '616263', 'abc'],
    ['hex', '61626', 'ab'],
    ['base64', 'YWJj', 'abc'],
    ['latin1', 'abc', 'abc'],
    ['utf16le', 'a', 'a\0'],
    ['hex', Buffer.from('bytes'), 'bytes'],
  ] as const)('a body in %s: %s', async (encoding, text, body) => {
    const site = await Site.start((app) => app.get('/it', change, (_req, res) => void res.end(text, encoding)), { framework })
    const visitor = await site.visitor()
    expect((await visitor.get('/it')).body).toBe(body)
  })

  it.each([
    ['GET / HTTP/1.0', 'end'],
    ['HEAD / HTTP/1.1', 'end'],
    ['HEAD / HTTP/1.1', 'write'],
  ])('what Node refuses when the save is done (a trailer that cannot be sent: %s, by %s) breaks off that response alone', async (line, how) => {
    const site = await Site.start(
      (app) => {
        app.all('/', change, (_req, res) => {
          res.set('Trailer', 'X-Sum').addTrailers({ 'X-Sum': '1' })
          if (how === 'write') res.write('a body')
          res.end('a body')
        })
      },
      { framework },
    )
    const visitor = await site.visitor()
    await exchange(site.port, `${line}\r\nHost: x\r\nCookie: ${visitor.cookie ?? ''}\r\nConnection: close\r\n\r\n`)
    expect((await visitor.get('/show')).status).toBe(200)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('a head that was written, and then an error: the session is let go of at once', async () => {
    const site = await Site.start(
      (app) => {
        app.get('/it', change, (_req, res) => {
          res.writeHead(200)
          throw new Error('after the head')
        })
      },
      { framework, onError: 'default', clientGoneMs: 60_000 },
    )
    const visitor = await site.visitor()
    await exchange(site.port, `GET /it HTTP/1.1\r\nHost: x\r\nCookie: ${visitor.cookie ?? ''}\r\n\r\n`)
    expect((await visitor.get('/show')).status).toBe(200)
  })
})
