/** Applications and bridges add to the objects that all responses inherit from, before latchkey has seen a response, and after. */
import { once } from 'node:events'
import { connect, createServer, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import express, { type Express } from 'express'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { expect, it } from 'vitest'
import { endSitesAfterEach, Site, visit } from './site.js'
import { storesRecord } from './tap-wire.js'

endSitesAfterEach()

const countVisits = (app: Express): void => {
  app.get('/count', (req, res) => {
    const session = visit(req)
    session.n = (session.n ?? 0) + 1
    res.end(`visit ${String(session.n)}`)
  })
}

/** As http2-express-bridge: what Express adds to requests and responses, with HTTP/2's behind it. */
function bridge(app: Express): void {
  const own = { app: { configurable: true, enumerable: true, writable: true, value: app } }
  const added = (to: object): PropertyDescriptorMap =>
    Object.fromEntries(Object.entries(Object.getOwnPropertyDescriptors(to)).filter(([name]) => name !== 'constructor'))
  Object.assign(app, {
    request: Object.create(Http2ServerRequest.prototype, { ...added(express.request), ...own }) as object,
    response: Object.create(Http2ServerResponse.prototype, { ...added(express.response), ...own }) as object,
  })
}

it('an application on HTTP/2 is made of Express\'s objects after one on HTTP/1 has answered', async () => {
  const first = await Site.start(countVisits)
  expect((await first.browser().get('/count')).body).toBe('visit 1')

  const manager = new SessionManager({ savePath: 'memory:' })
  const app = express()
  bridge(app)
  app.get('/without', (_req, res) => void res.end('no session'))
  app.use(latchkey({ manager, secret: 'keyboard cat', resave: false, saveUninitialized: false }))
  countVisits(app)
  const server = createServer(app as never).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const client = connect(`http://127.0.0.1:${typeof address === 'object' ? String(address?.port) : ''}`)
  try {
    const get = async (path: string): Promise<string> => {
      const stream = client.request({ ':path': path })
      return (await stream.setEncoding('utf8').toArray()).join('')
    }
    expect(await get('/without')).toBe('no session')
    expect(await get('/count')).toBe('visit 1')
    expect(await get('/without')).toBe('no session')
  } finally {
    client.close()
    server.close()
    await manager.close()
  }
})

it('a function that an application gave its responses before the first of them does not let an answer past its session', async () => {
  const site = await Site.start(countVisits, {
    before: (app) => {
      const { end } = app.response
      app.response.end = function (this: express.Response, ...args: never[]) {
        this.setHeader('X-Mine', '1')
        return Reflect.apply(end, this, args) as express.Response
      }
    },
  })
  const visitor = await site.visitor()
  site.wire?.refuse(storesRecord)
  const { status, headers } = await visitor.get('/count')
  expect([status, headers['x-mine']]).toEqual([503, '1'])
})
