/** Two copies of the package in one process: a monorepo's, a bundler's for each route, a development server's after a change. */
import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http'
import { type AddressInfo, Socket } from 'node:net'
import fastifyCookie from '@fastify/cookie'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { Registry } from 'prom-client'
import { describe, expect, it, vi } from 'vitest'

async function copy() {
  vi.resetModules()
  const [core, ofExpress, ofFastify, ofKoa, ofFetch, ofPrometheus] = await Promise.all([
    import('latchkey'),
    import('latchkey/express'),
    import('latchkey/fastify'),
    import('latchkey/koa'),
    import('latchkey/fetch'),
    import('latchkey/prometheus'),
  ])
  return { core, ofExpress, ofFastify, ofKoa, ofFetch, ofPrometheus }
}

const [one, other] = [await copy(), await copy()]
const SECRET = 'a secret that is 32 characters long'

type Manager = InstanceType<typeof one.core.SessionManager>

interface Served extends AsyncDisposable {
  /** A change at '/', a look at '/read'. */
  ask(path: string, cookie: string): Promise<Response>
}

async function listening(server: Server): Promise<Served> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    ask: (path, cookie) => fetch(`http://127.0.0.1:${String(port)}${path}`, { headers: { cookie } }),
    [Symbol.asyncDispose]: async () => void server.close().closeAllConnections(),
  }
}

const called = (answer: (request: Request) => Response | Promise<Response>): Served => ({
  ask: async (path, cookie) => answer(new Request(`http://localhost${path}`, { headers: { cookie } })),
  [Symbol.asyncDispose]: async () => undefined,
})

interface Visits {
  n?: number
}

const visit = (session: Visits, path: string): Visits => {
  if (path !== '/read') session.n = (session.n ?? 0) + 1
  return { n: session.n ?? 0 }
}

/** A site for each adapter of the other copy, which counts visits and looks at their number. */
const ADAPTERS = {
  express: (manager: Manager) => {
    const app = express()
    app.use(other.ofExpress.latchkey({ manager, secret: SECRET, resave: false, saveUninitialized: false, readOnly: ({ url }) => url === '/read' }))
    app.use((req, res) => void res.json(visit(req.session as Visits, req.path)))
    return listening(createServer(app))
  },
  fastify: async (manager: Manager) => {
    const app = Fastify()
    await app.register(fastifyCookie)
    await app.register(other.ofFastify.latchkey, { manager, secret: SECRET, cookie: { secure: false } })
    app.get('/', async ({ session }) => visit(session as Visits, '/'))
    app.get('/read', { config: { session: 'readOnly' } }, async ({ session }) => visit(session as Visits, '/read'))
    await app.ready()
    return listening(app.server)
  },
  koa: (manager: Manager) => {
    const app = new Koa()
    app.keys = [SECRET]
    app.silent = true
    app.use(other.ofKoa.latchkey({ manager, readOnly: ({ path }) => path === '/read' }, app))
    app.use((ctx) => void (ctx.body = visit(ctx['session'] as Visits, ctx.path)))
    return listening(createServer(app.callback()))
  },
  fetch: async (manager: Manager) =>
    called(
      other.ofFetch.withSession<Visits>({ manager, secret: SECRET, readOnly: ({ url }) => url.endsWith('/read') }, ({ url }, { data }) =>
        Response.json(visit(data, new URL(url).pathname)),
      ),
    ),
  hono: async (manager: Manager) => {
    const app = new Hono<{ Variables: { session: { data: Visits } } }>()
    app.use(other.ofFetch.honoSession({ manager, secret: SECRET, readOnly: ({ url }) => url.endsWith('/read') }))
    app.get('*', (c) => c.json(visit(c.get('session').data, c.req.path)))
    return called((request) => app.fetch(request))
  },
}

/** What `latchkey` exports to be thrown, of one copy. */
const errors = Object.entries(one.core).flatMap(([name, kind]) => (name.endsWith('Error') && typeof kind === 'function' ? [[name, kind] as const] : []))

describe('two copies', () => {
  it('are two', () => {
    expect(one.core.SessionManager).not.toBe(other.core.SessionManager)
    expect(errors.length).toBeGreaterThan(25)
  })

  it.each(errors)('instanceof %s is true for those of both, and of no other class', (name, kind) => {
    const instance = Object.create(kind.prototype as object) as object
    const kinds = Object.entries(other.core).filter(([, found]) => typeof found === 'function' && instance instanceof found)
    expect(kinds.map(([found]) => found).sort()).toEqual([...new Set([...(instance instanceof one.core.LatchkeyError ? ['LatchkeyError'] : []), name])].sort())
    class Own extends (kind as unknown as new () => object) {}
    expect(instance instanceof Own).toBe(false)
    expect(Object.create(Own.prototype) instanceof Own).toBe(true)
    expect([null, undefined, 1, 'text', {}, new Error('x')].some((value) => (value as object) instanceof kind)).toBe(false)
  })

  it.each(Object.keys(ADAPTERS) as (keyof typeof ADAPTERS)[])('%s of the one serves a manager of the other, and answers its refusals', async (name) => {
    const manager = new one.core.SessionManager({ waitMs: 0 })
    await using site = await ADAPTERS[name](manager)
    const first = await site.ask('/', '')
    expect(first.status).toBe(200)
    const cookie = first.headers.getSetCookie().map((set) => set.replace(/;.*/, '')).join('; ')
    const ids: string[] = []
    for await (const { id } of manager.all()) ids.push(id)
    expect(ids).toHaveLength(1)
    const holder = await manager.start(ids[0])
    const busy = await site.ask('/', cookie)
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '1'])
    await holder.release()
    expect(await (await site.ask('/', cookie)).json()).toEqual({ n: 2 })
    expect(await (await site.ask('/read', cookie)).json()).toEqual({ n: 2 })
    await manager.close()
  })

  it('name their managers apart, and hash an id alike', async () => {
    const managers = [new one.core.SessionManager(), new other.core.SessionManager(), new one.core.SessionManager()]
    expect(new Set(managers.map(({ name }) => name)).size).toBe(3)
    const refusals = await Promise.all([one, other].map(async ({ core }) => {
      const manager = new core.SessionManager({ waitMs: 0 })
      const held = await manager.start('id')
      const { session } = (await manager.start('id').catch((error: unknown) => error)) as { session: string }
      await held.release()
      return session
    }))
    expect(refusals[0]).toBe(refusals[1])
  })

  it('share the managers of save paths: a SessionStore of the one waits for that of the other', async () => {
    const [mine, theirs] = [new one.core.SessionStore(), new other.core.SessionStore()]
    await mine.open('memory:', 'PHPSESSID')
    await theirs.open('memory:', 'PHPSESSID')
    await mine.read('shared')
    const reading = theirs.read('shared')
    await mine.write('shared', 'mine')
    expect(await reading).toBe('mine')
    await theirs.close()
    await mine.close()
  })

  it('a request that the one has marked to be read only is so to the other', async () => {
    const manager = new one.core.SessionManager()
    const req = Object.assign(new IncomingMessage(new Socket()), { url: '/' })
    one.ofExpress.readOnly(req as never, undefined, () => undefined)
    await new Promise<void>((resolve) => {
      const middleware = other.ofExpress.latchkey({ manager, secret: SECRET, resave: false, saveUninitialized: false })
      middleware(req as never, new ServerResponse(req) as never, () => resolve())
    })
    const { session } = req as unknown as { session: Record<string, unknown> }
    expect(() => (session['n'] = 1)).toThrow(one.ofExpress.SessionHttpError)
    await manager.close()
  })

  it('are in one Prometheus registry together', async () => {
    const registry = new Registry()
    const managers = [new one.core.SessionManager(), new other.core.SessionManager()]
    one.ofPrometheus.instrumentPrometheus(managers[0] as never, { registry })
    other.ofPrometheus.instrumentPrometheus(managers[1] as never, { registry })
    for (const { name } of managers) expect(await registry.metrics()).toContain(`latchkey_held{manager="${name}"} 0`)
    await Promise.all(managers.map((manager) => manager.close()))
  })
})
