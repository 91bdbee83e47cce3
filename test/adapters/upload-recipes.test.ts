import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import multipart from '@fastify/multipart'
import { getRequestListener } from '@hono/node-server'
import busboy from 'busboy'
import { Hono } from 'hono'
import { SessionManager } from 'latchkey'
import { readOnly } from 'latchkey/express'
import { honoSession, type RequestSession, withSession } from 'latchkey/fetch'
import { VirtualClock } from 'latchkey/testing'
import multer from 'multer'
import { afterEach, describe, expect, it } from 'vitest'
import type { Browser } from './express/browser.js'
import * as expressSite from './express/site.js'
import * as fastifySite from './fastify/site.js'
import { FetchBrowser } from './fetch/browser.js'
import * as koaSite from './koa/site.js'
import { endStalledAfterEach, stalledUpload } from './slow-request.js'

/** The recipes of docs/guide/uploads.md for large uploads: received without a session, which is locked for a moment then. */

expressSite.endSitesAfterEach()
fastifySite.endSitesAfterEach()
koaSite.endSitesAfterEach()
const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})
endStalledAfterEach()

const { portOf, until } = expressSite

interface Place {
  readonly server: Server
  readonly manager: SessionManager
  readonly clock: VirtualClock
  readonly visitor: Browser
}

const MAX_HOLD_MS = 60_000

/** Who finds the session held is refused, and does not wait; time passes when a test says so. */
const settings = (): { clock: VirtualClock; waitMs: number; maxHoldMs: number } => ({
  clock: new VirtualClock({ wallMs: Date.now() }),
  waitMs: 0,
  maxHoldMs: MAX_HOLD_MS,
})

/** A photo in a form, many times what Node keeps of a request that nobody reads. */
const PHOTO_BYTES = 400_000
const BODY = Buffer.concat([
  Buffer.from('--edge\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'),
  Buffer.alloc(PHOTO_BYTES, 'x'),
  Buffer.from('\r\n--edge--\r\n'),
])
const FORM = { path: '/photos', type: 'multipart/form-data; boundary=edge', body: BODY }

/** How many bytes the form's files have. */
function received(req: IncomingMessage): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0
    const parser = busboy({ headers: req.headers })
    parser.on('file', (_name, file) => void file.on('data', (chunk: Buffer) => (bytes += chunk.length)))
    parser.on('close', () => {
      resolve(bytes)
    })
    parser.on('error', reject)
    req.pipe(parser)
  })
}

/** For requests that have only read their session: locks it, changes it and stores it, if it is still there. */
const keep = (manager: SessionManager, id: string, bytes: number): Promise<void> =>
  manager.run<{ n: number }>(id, ({ data }) => void (data.n = bytes), { ifExists: true, lifetimeSec: 86_400 })

const inMemory = multer({ storage: multer.memoryStorage() }).single('photo')

const RECIPES: Readonly<Record<string, () => Promise<Place>>> = {
  'Express, multer above the session': async () => {
    const managerOptions = settings()
    const site = await expressSite.Site.start(
      (app) => {
        app.post('/photos', (req, res) => {
          const bytes = req.file?.size ?? 0
          expressSite.visit(req).n = bytes
          res.json({ bytes })
        })
      },
      { managerOptions, before: (app) => void app.post('/photos', inMemory) },
    )
    return { server: site.server, manager: site.manager, clock: managerOptions.clock, visitor: await site.visitor() }
  },
  'Express, busboy above the session': async () => {
    const managerOptions = settings()
    const bytesOf = new WeakMap<IncomingMessage, number>()
    const site = await expressSite.Site.start(
      (app) => {
        app.post('/photos', (req, res) => {
          const bytes = bytesOf.get(req) ?? 0
          expressSite.visit(req).n = bytes
          res.json({ bytes })
        })
      },
      {
        managerOptions,
        before: (app) =>
          void app.post('/photos', (req, _res, next) => {
            received(req).then((bytes) => {
              bytesOf.set(req, bytes)
              next()
            }, next)
          }),
      },
    )
    return { server: site.server, manager: site.manager, clock: managerOptions.clock, visitor: await site.visitor() }
  },
  'Express, multer below a session that is only read': async () => {
    const managerOptions = settings()
    const site = await expressSite.Site.start(
      (app, { manager }) => {
        app.post('/photos', inMemory, (req, res, next) => {
          const bytes = req.file?.size ?? 0
          keep(manager, req.sessionID, bytes).then(() => res.json({ bytes, by: expressSite.visit(req).user }), next)
        })
      },
      { managerOptions, before: (app) => void app.post('/photos', readOnly) },
    )
    return { server: site.server, manager: site.manager, clock: managerOptions.clock, visitor: await site.visitor() }
  },
  'Koa, busboy above the session': async () => {
    const managerOptions = settings()
    const site = await koaSite.Site.start(
      {
        '/photos': (ctx, session) => {
          const { bytes } = ctx.state as { bytes: number }
          session.n = bytes
          return { bytes }
        },
      },
      {
        managerOptions,
        before: (app) =>
          void app.use(async (ctx, next) => {
            if (ctx.is('multipart') !== false && ctx.is('multipart') !== null) ctx.state['bytes'] = await received(ctx.req)
            await next()
          }),
      },
    )
    return { server: site.server, manager: site.manager, clock: managerOptions.clock, visitor: await site.visitor() }
  },
  ...Object.fromEntries(
    fastifySite.KINDS.map((kind) => [
      `Fastify ${kind}, @fastify/multipart below a session that is only read`,
      async () => {
        const managerOptions = settings()
        const site = await fastifySite.Site.start(
          kind,
          (app, { manager }) => {
            app.post('/photos', { config: { session: 'readOnly' } }, async (request) => {
              const file = await request.file()
              const bytes = (await file?.toBuffer())?.length ?? 0
              await keep(manager, fastifySite.idOf(request), bytes)
              return { bytes, by: fastifySite.visit(request).user }
            })
          },
          { managerOptions, before: (app) => void app.register(multipart) },
        )
        return { server: site.app.server, manager: site.manager, clock: managerOptions.clock, visitor: await site.visitor() }
      },
    ]),
  ),
  'fetch, formData() before withSession': async () => {
    const managerOptions = settings()
    const manager = new SessionManager(managerOptions)
    const photos = withSession<{ n: number }, [FormData]>({ manager, secret: 'keyboard cat' }, (_request, session, form) => {
      const photo = form.get('photo')
      const bytes = photo instanceof File ? photo.size : 0
      session.data.n = bytes
      return Response.json({ bytes })
    })
    const others = withSession({ manager, secret: 'keyboard cat' }, othersOf)
    return serve(manager, managerOptions.clock, async (request: Request) =>
      request.method === 'POST' ? photos(request, await request.formData()) : others(request),
    )
  },
  'Hono, parseBody() above honoSession': async () => {
    const managerOptions = settings()
    const manager = new SessionManager(managerOptions)
    const app = new Hono<{ Variables: { session: RequestSession<{ n: number; user: string }> } }>()
    app.post('/photos', async (c, next) => {
      await c.req.parseBody()
      await next()
    })
    app.use(honoSession({ manager, secret: 'keyboard cat' }))
    app.post('/photos', async (c) => {
      const { photo } = await c.req.parseBody()
      const bytes = photo instanceof File ? photo.size : 0
      c.get('session').data.n = bytes
      return c.json({ bytes })
    })
    app.get('*', (c) => othersOf(c.req.raw, c.get('session')))
    return serve(manager, managerOptions.clock, (request, env) => app.fetch(request, env))
  },
}

function othersOf({ url }: Request, session: RequestSession<{ user?: string }>): Response {
  if (url.endsWith('/login')) session.data.user = 'ada'
  return Response.json(session.data)
}

type Fetch = (request: Request, env: object) => Response | Promise<Response>

async function serve(manager: SessionManager, clock: VirtualClock, handler: Fetch): Promise<Place> {
  const server = createServer(getRequestListener(handler))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const visitor = new FetchBrowser(portOf(server))
  closers.push(async () => {
    visitor.close()
    server.close()
    server.closeAllConnections()
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    await manager.close()
  })
  await visitor.get('/login')
  return { server, manager, clock, visitor }
}

describe.each(Object.entries(RECIPES))('a large upload that stalls: %s', (_name, start) => {
  it('nobody waits for it, however long it takes, and then the session is changed and stored', async () => {
    const { server, manager, clock, visitor } = await start()
    const { finish } = await stalledUpload(server, visitor, FORM)
    for (const passingMs of [0, MAX_HOLD_MS, 2 * MAX_HOLD_MS]) {
      await clock.advance(passingMs)
      expect((await visitor.twin().get('/show')).status).toBe(200)
      expect(manager.stats().held).toBe(0)
    }
    const answer = await finish()
    expect(answer).toContain('HTTP/1.1 200 OK')
    expect(answer).toContain(`"bytes":${String(PHOTO_BYTES)}`)
    expect(await manager.peek(visitor.sid)).toMatchObject({ user: 'ada', n: PHOTO_BYTES })
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
  })
})

describe('a large upload that stalls, below a session that is locked', () => {
  it('loses it after maxHoldMs, and the visitor is told why', async () => {
    const managerOptions = settings()
    const site = await expressSite.Site.start(
      (app) => {
        app.post('/photos', inMemory, (req, res) => {
          expressSite.visit(req).n = req.file?.size ?? 0
          res.json({})
        })
      },
      { managerOptions, onError: (error: { status: number; message: string }, _req, res, _next) => void res.status(error.status).send(error.message) },
    )
    const visitor = await site.visitor()
    const { finish } = await stalledUpload(site.server, visitor, FORM)
    await until(() => site.manager.stats().held === 1)
    const lost = once(site.manager, 'lost')
    await managerOptions.clock.advance(MAX_HOLD_MS)
    await lost
    const answer = await finish()
    expect(answer).toContain('HTTP/1.1 503')
    expect(answer).toContain('The request held its session for too long, and what it changed there was not stored.')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })
})
