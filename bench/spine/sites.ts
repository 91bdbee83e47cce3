/** One small site for each adapter, that counts a visit in a session. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import cookie from '@fastify/cookie'
import express from 'express'
import Fastify, { type FastifyInstance } from 'fastify'
import Koa from 'koa'
import { SessionManager } from '../../src/index.js'
import { latchkey as forExpress } from '../../src/adapters/express/index.js'
import forFastify from '../../src/adapters/fastify/index.js'
import { withSession } from '../../src/adapters/fetch/index.js'
import { latchkey as forKoa } from '../../src/adapters/koa/index.js'

export interface Site extends AsyncDisposable {
  /** A request of the same visitor that changes the session. */
  visit(): Promise<void>
}

type MakeSite = (savePath: string) => Promise<Site>

const SECRET = 'at least thirty-two characters long'

function visitorOf(request: (cookie: string | undefined) => Promise<Headers>, close: () => Promise<void>): Site {
  let known: string | undefined
  return {
    async visit() {
      const headers = await request(known)
      known ??= headers.getSetCookie().map((line) => line.split(';')[0]).join('; ')
    },
    [Symbol.asyncDispose]: close,
  }
}

async function serve(listener: RequestListener, manager: SessionManager): Promise<Site> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return visitorOf(
    async (known) => {
      const response = await fetch(`http://127.0.0.1:${String(port)}/`, { headers: known === undefined ? {} : { cookie: known } })
      if (!response.ok) throw new Error(await response.text())
      return response.headers
    },
    async () => {
      server.closeAllConnections()
      server.close()
      await manager.close()
    },
  )
}

async function fastify(savePath: string, register: (app: FastifyInstance, manager: SessionManager) => unknown): Promise<Site> {
  const manager = new SessionManager({ savePath })
  const app = Fastify()
  await app.register(cookie, { secret: SECRET })
  await register(app, manager)
  app.get('/', (request) => {
    const session = request.session as unknown as { visits?: number }
    session.visits = (session.visits ?? 0) + 1
    return {}
  })
  await app.ready()
  const listener: RequestListener = (request, response) => {
    app.routing(request, response)
  }
  return serve(listener, manager)
}

export const sites: Record<'express' | 'fastify' | 'fastifyPlain' | 'koa' | 'fetch' | 'store', MakeSite> = {
  express(savePath) {
    const manager = new SessionManager({ savePath })
    const app = express()
    app.use(forExpress({ manager, secret: SECRET, resave: false, saveUninitialized: false }))
    app.get('/', (request, response) => {
      const session = request.session as unknown as { visits?: number }
      session.visits = (session.visits ?? 0) + 1
      response.json({})
    })
    return serve((request, response) => void app(request, response), manager)
  },
  fastify: (savePath) =>
    fastify(savePath, (app, manager) => app.register(forFastify, { manager, secret: SECRET, cookie: { secure: false } })),
  fastifyPlain: (savePath) =>
    fastify(savePath, (app, manager) => app.register(forFastify, { manager, fastifySession: false, cookie: { secure: false } })),
  koa(savePath) {
    const manager = new SessionManager({ savePath })
    const app = new Koa()
    app.keys = [SECRET]
    app.use(forKoa({ manager }, app))
    app.use((ctx) => {
      const session = ctx['session'] as { visits?: number }
      session.visits = (session.visits ?? 0) + 1
      ctx.body = {}
    })
    return serve((request, response) => void app.callback()(request, response), manager)
  },
  fetch(savePath) {
    const manager = new SessionManager({ savePath })
    const handler = withSession({ manager, secret: SECRET }, (_request, session) => {
      session.data['visits'] = Number(session.data['visits'] ?? 0) + 1
      return Response.json({})
    })
    const request = async (known: string | undefined): Promise<Headers> => {
      const asked = new Request('https://shop.example/', { headers: known === undefined ? {} : { cookie: known } })
      return (await handler(asked)).headers
    }
    return Promise.resolve(visitorOf(request, () => manager.close()))
  },
  store(savePath) {
    const manager = new SessionManager({ savePath })
    const visit = async (): Promise<Headers> => {
      const store = manager.store()
      const visits = Number((await store.read('visitor')) || 0)
      await store.write('visitor', String(visits + 1))
      await store.close()
      return new Headers()
    }
    return Promise.resolve(visitorOf(visit, () => manager.close()))
  },
}
