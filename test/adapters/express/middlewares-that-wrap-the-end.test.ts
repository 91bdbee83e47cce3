/** Middlewares before the session whose `end` calls other methods of the response: bodies arrive as with express-session. */
import { createServer, type Server } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { once } from 'node:events'
import express, { type Express, type RequestHandler } from 'express'
import session from 'express-session'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { describe, expect, it } from 'vitest'
import { Browser } from './browser.js'

/** Gives the response an `end` of its own: it is told what to send, and has the one before. */
const wrapped =
  (send: (res: express.Response, body: string, end: () => void) => void): RequestHandler =>
    (_req, res, next) => {
      const end = res.end.bind(res)
      const replaced = (body?: unknown): express.Response => {
        send(res, body === undefined ? '' : String(body), () => void end())
        return res
      }
      Object.assign(res, { end: replaced })
      next()
    }

const WRAPPERS: Readonly<Record<string, RequestHandler>> = {
  'an end that writes': wrapped((res, body, end) => {
    if (body !== '') res.write(body)
    end()
  }),
  'an end that writes in two pieces': wrapped((res, body, end) => {
    res.write(body.slice(0, 1))
    res.write(body.slice(1))
    end()
  }),
  'an end that writes when its work is done': wrapped((res, body, end) => {
    setImmediate(() => {
      if (body !== '') res.write(body)
      end()
    })
  }),
}

const ROUTES: Readonly<Record<string, RequestHandler>> = {
  '/end': (_req, res) => void res.end('a body'),
  '/length': (_req, res) => void res.set('Content-Length', '6').end('a body'),
  '/stream': (_req, res) => void (res.write('a '), res.end('body')),
  '/send': (_req, res) => void res.send('a body'),
}

const change: RequestHandler = (req, _res, next) => {
  Object.assign(req.session, { at: req.path })
  next()
}

const OPTIONS = { secret: 'keyboard cat', resave: false, saveUninitialized: false }

function site(middleware: RequestHandler, wrapper: RequestHandler | undefined): Express {
  const app = express()
  if (wrapper !== undefined) app.use(wrapper)
  app.use(middleware)
  for (const [path, handler] of Object.entries(ROUTES)) app.get(path, change, handler)
  return app
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function answers(app: Express): Promise<object[]> {
  const server = createServer(app)
  const browser = new Browser(await portOf(server))
  const found: object[] = []
  for (const path of Object.keys(ROUTES)) {
    const { status, body, isCut, setCookies } = await browser.get(path)
    found.push({ path, status, body, isCut, cookies: setCookies.length })
  }
  server.closeAllConnections()
  server.close()
  return found
}

describe.each(Object.entries(WRAPPERS))('%s', (_name, wrapper) => {
  it('sends what it sends with express-session', async () => {
    const manager = new SessionManager()
    const expected = await answers(site(session(OPTIONS), wrapper))
    expect(await answers(site(latchkey({ manager, ...OPTIONS }), wrapper))).toEqual(expected)
    expect(expected).toMatchObject([{ isCut: false }, { isCut: false }, { isCut: false }, { isCut: false }])
    expect(manager.stats().held).toBe(0)
    await manager.close()
  })
})

it('a head that has left is not written again: Bun hides it, and express-session asks for it at the end of a stream', async () => {
  const manager = new SessionManager()
  const app = express().use(latchkey({ manager, ...OPTIONS }))
  app.get('/it', change, (_req, res) => {
    res.write('a ', () => {
      const asked: unknown = Reflect.get(res, '_implicitHeader')
      try {
        if (typeof asked === 'function') Reflect.apply(asked, res, [])
        res.end('body')
      } catch (error) {
        res.end(String(error))
      }
    })
  })
  const server = createServer(app)
  const browser = new Browser(await portOf(server))
  expect(await browser.get('/it')).toMatchObject({ status: 200, body: 'a body', isCut: false })
  browser.close()
  server.close()
  await manager.close()
})

describe('HTTP/2, whose end() calls write()', () => {
  it.each(['/end', '/length', '/stream'])('%s arrives whole, and its session is stored', async (path) => {
    const warnings: Error[] = []
    process.on('warning', (warning) => warnings.push(warning))
    const manager = new SessionManager()
    const middleware = latchkey({ manager, ...OPTIONS })
    // Express itself does not run on HTTP/2's responses; express-session, and what replaces it, does.
    const server = createHttp2Server((req, res) => {
      Reflect.apply(middleware, undefined, [
        Object.assign(req, { originalUrl: req.url }),
        res,
        (error?: unknown) => {
          if (error !== undefined) throw error instanceof Error ? error : new Error('refused')
          const { session: held } = Object.assign({ session: {} }, req)
          Object.assign(held, { at: path })
          if (path === '/length') res.setHeader('Content-Length', '6')
          if (path === '/stream') res.write('a ')
          res.end(path === '/stream' ? 'body' : 'a body')
        },
      ])
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const client = connectHttp2(`http://127.0.0.1:${String(typeof address === 'object' ? address?.port : 0)}`)
    const stream = client.request({ ':path': path })
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    let body = ''
    stream.setEncoding('utf8')
    for await (const text of stream) body += String(text)
    expect([headers[':status'], body, Array.isArray(headers['set-cookie'])]).toEqual([200, 'a body', true])
    expect(await manager.length()).toBe(1)
    // Node warns, once, of whoever asks for a status message there.
    expect(warnings).toEqual([])
    process.removeAllListeners('warning')
    client.close()
    server.close()
    await manager.close()
  })
})
