/** An Express application with sessions of one kind: a request loads, changes and saves its session. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express'
import session, { type Store } from 'express-session'
import { RECORD_BYTES } from '../contenders/contender.js'
import { serve } from '../support/child.js'
import { leaveShapes, loadExpressAdapter, loadLatchkey } from '../support/latchkey.js'
import { profiled, selfTimes } from '../support/profiler.js'
import { sessionOf } from '../support/record.js'

/** `latchkey-unshaped`: without what it does to Express's objects (shared-shape.ts), which V8 needs from 13 on no more. */
export type Kind = 'latchkey' | 'latchkey-unshaped' | 'connect-memcached' | 'connect-memjs' | 'connect-redis'

interface Setup {
  readonly kind: Kind
  /** Of memcached, or of Redis. */
  readonly address: string
}

interface Visits {
  n?: number
  pad?: string
}

/** A session, as this application uses it. */
const visitsOf = (own: object): Visits => own

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)

const COMMON = { secret: 'bench', resave: false, saveUninitialized: false }
let cpuBefore = process.cpuUsage()
let heapBefore = 0

async function middlewareOf({ kind, address }: Setup): Promise<RequestHandler> {
  if (kind !== 'latchkey' && kind !== 'latchkey-unshaped') return session({ ...COMMON, store: await storeOf(kind, address) })
  if (kind === 'latchkey-unshaped') leaveShapes()
  const [{ SessionManager }, adapter] = await Promise.all([loadLatchkey(), loadExpressAdapter()])
  if (adapter === undefined) throw new Error('latchkey/express is missing in this build')
  const manager = new SessionManager({ savePath: `tcp://${address}`, prefix: 'sess:', waitMs: 600_000, maxWaiters: 1000 })
  return adapter.latchkey({ manager, ...COMMON })
}

async function storeOf(kind: Exclude<Kind, 'latchkey' | 'latchkey-unshaped'>, address: string): Promise<Store> {
  switch (kind) {
    case 'connect-memcached': {
      const { default: connect } = await import('connect-memcached')
      return new (connect(session))({ hosts: [address], prefix: 'cmem:' })
    }
    case 'connect-memjs': {
      const { default: connect } = await import('connect-memjs')
      return new (connect(session))({ servers: [address], prefix: 'cmjs:' })
    }
    case 'connect-redis': {
      const [{ RedisStore }, { createClient }] = await Promise.all([import('connect-redis'), import('redis')])
      const client = createClient({ url: `redis://${address}` })
      client.on('error', (error) => {
        throw error
      })
      await client.connect()
      return new RedisStore({ client, prefix: 'sess:' })
    }
  }
}

const api = {
  /** Listens; the port. */
  async open(setup: Setup): Promise<number> {
    const app = express()
    // 'test': Express prints no stack.
    app.disable('x-powered-by').disable('etag').set('env', 'test')
    app.use(await middlewareOf(setup))
    const fresh = sessionOf(RECORD_BYTES)
    app.get('/', (req, res) => {
      const visits = visitsOf(req.session)
      visits.pad ??= fresh.pad
      visits.n = (visits.n ?? fresh.n) + 1
      res.send('ok')
    })
    // What Express's own handler does, with the code as the body: rows that count refusals say which.
    app.use((error: unknown, _req: Request, res: Response, next: NextFunction) => {
      if (res.headersSent) next(error)
      else res.status(503).send(codeOf(error))
    })
    // Ten thousand visitors may come at once in 'waiters'.
    const server = createServer(app).listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
    await once(server, 'listening')
    server.keepAliveTimeout = 600_000
    server.requestTimeout = 0
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('The server has no port')
    return address.port
  },

  /** CPU time of this process since it was last asked, in microseconds. */
  cpuUs(_: null): number {
    const { user, system } = process.cpuUsage(cpuBefore)
    cpuBefore = process.cpuUsage()
    return user + system
  },

  /** Profiles this process for a while; its self times as lines. */
  async profile({ file, forMs, count }: { file: string; forMs: number; count: number }): Promise<string[]> {
    const profile = await profiled(file, () => sleep(forMs))
    return [...selfTimes(profile, 'file', count), '', ...selfTimes(profile, 'function', count)]
  },

  /** Heap in use after a collection, beyond what it was at the first call. */
  heap(_: null): number {
    gc?.()
    gc?.()
    const { heapUsed } = process.memoryUsage()
    if (heapBefore === 0) heapBefore = heapUsed
    return heapUsed - heapBefore
  },
}

export type HttpServer = typeof api

serve(api)
