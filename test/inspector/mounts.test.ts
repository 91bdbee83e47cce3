import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import { serve } from '@hono/node-server'
import express from 'express'
import express4 from 'express4'
import Fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { SessionManager } from 'latchkey'
import { createInspector, type Inspector, type InspectorOptions } from 'latchkey/inspector'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { buildBesideSource } from '../../page/build.js'
import { MOST_VIEWERS } from '../../src/adapters/inspector/hub.js'

beforeAll(buildBesideSource)

interface Place {
  readonly inspector: Inspector
  readonly manager: SessionManager
  readonly origin: string
}

const ends: (() => Promise<unknown> | undefined)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const KINDS = ['Express 5', 'Express 4', 'Express, mounted', 'Fastify', 'Fastify, with a prefix', 'Koa', 'Hono', 'fetch', 'http'] as const
type Kind = (typeof KINDS)[number]

async function servedBy(kind: Kind, inspector: Inspector): Promise<Server> {
  switch (kind) {
    case 'Express 5':
    case 'Express 4': {
      const app = (kind === 'Express 4' ? (express4 as unknown as typeof express) : express)()
      app.use(inspector.express())
      app.get('/', (_req, res) => void res.send('shop'))
      return app.listen(0, '127.0.0.1')
    }
    case 'Express, mounted': {
      const app = express()
      app.use('/admin', inspector.express())
      app.get('/', (_req, res) => void res.send('shop'))
      return app.listen(0, '127.0.0.1')
    }
    case 'Fastify':
    case 'Fastify, with a prefix': {
      const app = Fastify()
      await app.register(inspector.fastify, kind === 'Fastify' ? {} : { prefix: '/admin' })
      app.get('/', async () => 'shop')
      await app.listen({ port: 0, host: '127.0.0.1' })
      return app.server
    }
    case 'Koa': {
      const app = new Koa()
      app.use(inspector.koa())
      app.use((ctx) => (ctx.body = 'shop'))
      return app.listen(0, '127.0.0.1')
    }
    case 'Hono': {
      const app = new Hono()
      app.use(inspector.hono())
      app.get('/', (c) => c.text('shop'))
      return serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
    }
    case 'fetch':
      return serve({ fetch: async (request) => (await inspector.fetch(request)) ?? new Response('shop'), port: 0, hostname: '127.0.0.1' }) as Server
    case 'http': {
      const mounted = inspector.express()
      return createServer((req, res) => mounted(req, res, () => res.end('shop'))).listen(0, '127.0.0.1')
    }
  }
}

async function start(kind: Kind, options: InspectorOptions = {}): Promise<Place> {
  const manager = new SessionManager({ savePath: 'memory:' })
  const inspector = createInspector(manager, options)
  const server = await servedBy(kind, inspector)
  if (!server.listening) await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  ends.push(() => manager.close(), () => new Promise((resolve) => {
    inspector.close()
    server.close(resolve)
    server.closeAllConnections()
  }))
  return { manager, inspector, origin: `http://127.0.0.1:${String(port)}${/mounted|prefix/.test(kind) ? '/admin' : ''}` }
}

/** An open stream of events. */
async function watching(origin: string) {
  const request = get(`${origin}/latchkey/events`)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  response.setEncoding('utf8').on('data', (more: string) => (text += more))
  response.on('error', () => undefined)
  request.on('error', () => undefined)
  ends.push(async () => void request.destroy())
  return { response, request, text: () => text }
}

describe.each(KINDS)('%s', (kind) => {
  it('serves the page and its files, and leaves everything else to the application', async () => {
    const { origin } = await start(kind)
    const page = await fetch(`${origin}/latchkey`)
    expect([page.status, page.redirected, page.url]).toEqual([200, true, `${origin}/latchkey/`])
    expect(await page.text()).toContain('<!doctype html>')
    for (const [file, type] of [['page.js', 'text/javascript'], ['page.css', 'text/css'], ['icon.svg', 'image/svg+xml'], ['', 'text/html']] as const) {
      const { status, headers } = await fetch(`${origin}/latchkey/${file}`)
      expect([status, headers.get('content-type')]).toEqual([200, type.startsWith('text') ? `${type}; charset=utf-8` : type])
      expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'.*frame-ancestors 'none'/)
      expect(headers.get('cache-control')).toContain('no-store')
      expect(headers.get('access-control-allow-origin')).toBeNull()
      expect(headers.get('x-content-type-options')).toBe('nosniff')
    }
    expect((await fetch(`${origin}/latchkey/nothing`)).status).toBe(404)
    expect((await fetch(`${origin}/latchkey/page.js`, { method: 'DELETE' })).status).toBeGreaterThan(403)
    expect(await (await fetch(new URL('/', origin))).text()).toBe('shop')
    const near = await fetch(`${origin}/latchkeys`)
    expect(await near.text()).not.toContain('<!doctype html><html lang="en">')
  })

  it('streams what happens while somebody looks, and records nothing otherwise', async () => {
    const { origin, manager } = await start(kind)
    const { response, request, text } = await watching(origin)
    expect(response.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(response.headers['content-security-policy']).toBeDefined()
    await expect.poll(text).toContain('event: hello')
    await manager.run('a-secret-id', () => undefined, { label: 'GET /cart' })
    await expect.poll(text).toContain('"GET /cart"')
    expect(text()).not.toContain('a-secret-id')
    request.destroy()
    await expect.poll(() => manager.engine.tap.witness).toBeUndefined()
  })

  it('a guard says who may see it', async () => {
    const guard: InspectorOptions['guard'] = (request) => request.header('authorization') === 'Bearer of the ring' || { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="ops"' } }
    const { origin } = await start(kind, { guard })
    for (const path of ['', '/', '/page.js', '/events', '/nothing']) {
      const { status, headers } = await fetch(`${origin}/latchkey${path}`)
      expect([path, status, headers.get('www-authenticate')]).toEqual([path, 401, 'Basic realm="ops"'])
    }
    expect((await fetch(`${origin}/latchkey/`, { headers: { authorization: 'Bearer of the ring' } })).status).toBe(200)
  })
})

describe('who may see it', () => {
  it('in production it needs a guard, and says so', () => {
    vi.stubEnv('NODE_ENV', 'production')
    const manager = new SessionManager({ savePath: 'memory:' })
    expect(() => createInspector(manager)).toThrow(expect.objectContaining({ code: 'LATCHKEY_INVALID_OPTION', message: expect.stringContaining('guard') }))
    expect(() => createInspector(manager, { guard: () => true })).not.toThrow()
  })

  it('without a guard only this machine, under a name of its own', async () => {
    const { origin } = await start('http')
    const { hostname, port } = new URL(origin)
    const asked = async (host: string): Promise<number | undefined> => {
      const [response] = (await once(get({ hostname, port, path: '/latchkey/', headers: { host } }), 'response')) as [IncomingMessage]
      response.resume()
      return response.statusCode
    }
    expect([await asked('localhost:1'), await asked('[::1]'), await asked('evil.example'), await asked('localhost.evil.example')]).toEqual([200, 200, 403, 403])
  })

  it('a guard that throws is an error of the application, and shows nothing', async () => {
    const { origin } = await start('Express 5', { guard: () => Promise.reject(new Error('no directory')) })
    expect((await fetch(`${origin}/latchkey/`)).status).toBe(500)
  })

  it.each([
    [{ path: 'latchkey' }, 'path'],
    [{ path: '/' }, 'path'],
    [{ path: '/x/' }, 'path'],
    [{ guard: 'me' }, 'guard'],
    [{ gaurd: () => true }, 'Did you mean "guard"'],
    [{ replay: { label: 'Again' } }, 'replay.run'],
  ])('%j is refused in words', (options, words) => {
    const manager = new SessionManager({ savePath: 'memory:' })
    expect(() => createInspector(manager, options as InspectorOptions)).toThrow(expect.objectContaining({ code: 'LATCHKEY_INVALID_OPTION', message: expect.stringContaining(words) }))
  })

  it.each([[undefined], [{}], [[]], [[undefined]]])('%j is no manager', (manager) => {
    expect(() => createInspector(manager as unknown as SessionManager)).toThrow(expect.objectContaining({ code: 'LATCHKEY_INVALID_OPTION' }))
  })
})

describe('viewers', () => {
  it('are so many and no more; one that leaves makes room', async () => {
    const { origin, inspector } = await start('http')
    const screens = await Promise.all(Array.from({ length: MOST_VIEWERS }, () => watching(origin)))
    const refused = await fetch(`${origin}/latchkey/events`)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
    screens[0]?.request.destroy()
    await expect.poll(async () => {
      const { status, body } = await fetch(`${origin}/latchkey/events`)
      await body?.cancel()
      return status
    }).toBe(200)
    inspector.close()
  })

  it('close() ends every stream', async () => {
    const { origin, inspector, manager } = await start('http')
    const { response } = await watching(origin)
    const ended = once(response, 'end')
    inspector.close()
    await ended
    expect(manager.engine.tap.witness).toBeUndefined()
  })

  it('replay is asked for by the page alone', async () => {
    const run = vi.fn()
    const { origin } = await start('Fastify', { replay: { label: 'Play it again', run } })
    const post = (headers: Record<string, string>): Promise<Response> => fetch(`${origin}/latchkey/replay`, { method: 'POST', headers })
    expect([(await post({})).status, (await post({ 'x-latchkey': 'replay' })).status]).toEqual([405, 202])
    expect(run).toHaveBeenCalledOnce()
  })
})
