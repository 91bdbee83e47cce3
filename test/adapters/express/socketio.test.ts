import { once } from 'node:events'
import type { Request, RequestHandler } from 'express'
import { Server, type Socket } from 'socket.io'
import { io as connect, type Socket as ClientSocket } from 'socket.io-client'
import { afterEach, describe, expect, it } from 'vitest'
import type { Browser } from './browser.js'
import { endSitesAfterEach, Site, type SiteOptions, until, visit } from './site.js'
import { freesLock } from './tap-wire.js'

/** socket.io on the sessions of Express: a poll stays open until there are events, and must hold no session. */

// What is registered last runs first.
endSitesAfterEach()
const closers: (() => unknown)[] = []
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
})

type Mount = (middleware: RequestHandler) => RequestHandler

/** The two ways of socket.io's own pages. */
const MOUNTS: readonly (readonly [string, Mount])[] = [
  ['for each of its requests', (middleware) => middleware],
  [
    'for the handshake only',
    (middleware) => (req, res, next) => {
      const { sid } = (req as Request & { _query: { sid?: string } })._query
      if (sid === undefined) void middleware(req, res, next)
      else next()
    },
  ],
]
const TRANSPORTS = [
  ['polling only', ['polling']],
  ['default transports', undefined],
  ['websocket only', ['websocket']],
] as const

/** What the tests call a socket's request: express-session has put its session there. */
const requestOf = (socket: Socket): Request => socket.request as Request

async function serve(mount: Mount, options: SiteOptions = {}): Promise<{ site: Site; io: Server }> {
  const site = await Site.start(
    (app) => {
      app.get('/logout', (req, res) => void req.session.destroy(() => res.json({})))
    },
    options,
  )
  const io = new Server(site.server)
  io.engine.use(mount((req, res, next) => {
    site.middleware(req, res, next)
  }))
  closers.push(() => void io.engine.close())
  return { site, io }
}

interface Line {
  readonly site: Site
  readonly visitor: Browser
  readonly client: ClientSocket
  readonly socket: Socket
  /** Until a poll, or the WebSocket, waits for events. */
  readonly atRest: () => Promise<void>
}

/** The page of a visitor with a session: connected, and at rest. */
async function connected(mount: Mount, transports: readonly string[] | undefined, options?: SiteOptions): Promise<Line> {
  const { site, io } = await serve(mount, options)
  const visitor = await site.visitor()
  const arriving = once(io, 'connection') as Promise<[Socket]>
  const client = connect(`http://127.0.0.1:${String(site.port)}`, {
    extraHeaders: { cookie: visitor.cookie ?? '' },
    forceNew: true,
    reconnection: false,
    ...(transports === undefined ? {} : { transports: [...transports] }),
  })
  closers.push(() => client.close())
  await new Promise<void>((resolve, reject) => {
    client.once('connect', resolve)
    client.once('connect_error', reject)
  })
  const [socket] = await arriving
  const { conn } = socket
  if (transports === undefined) await until(() => conn.transport.name === 'websocket')
  const atRest = (): Promise<void> => until(() => conn.transport.writable)
  await atRest()
  return { site, visitor, client, socket, atRest }
}

/** Far less than the interval of the pings, which would bring an end to a poll that is held up. */
const AT_ONCE_MS = 10_000

const code = (error: unknown): string =>
  error === null || error === undefined ? 'ok' : error instanceof Error && 'code' in error ? String(error.code) : String(error)

describe.each(TRANSPORTS)('socket.io, %s', (_transports, transports) => {
  describe.each(MOUNTS)('the session is opened %s', (_mount, mount) => {
    it('events arrive at once, both ways, and no session is held between them', async () => {
      const { site, visitor, client, socket, atRest } = await connected(mount, transports)
      expect(await site.isFree(visitor.sid)).toBe(true)
      socket.on('who', (answer: (user: unknown) => void) => {
        answer(visit(requestOf(socket)).user)
      })
      client.on('there', (answer: (word: string) => void) => {
        answer('here')
      })
      for (let turn = 0; turn < 5; turn++) {
        expect(await client.timeout(AT_ONCE_MS).emitWithAck('who')).toBe('ada')
        expect(await socket.timeout(AT_ONCE_MS).emitWithAck('there')).toBe('here')
        expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
      }
      await atRest()
      expect(await site.isFree(visitor.sid)).toBe(true)
    })

    it('a handler changes the session: reload(), and save()', async () => {
      const { site, visitor, client, socket, atRest } = await connected(mount, transports)
      socket.on('add', (item: string, answer: (told: string) => void) => {
        const req = requestOf(socket)
        req.session.reload((error: unknown) => {
          if (error !== null && error !== undefined) return answer(code(error))
          const { list = [] } = visit(req)
          visit(req).list = [...list, item]
          req.session.save((refusal: unknown) => {
            answer(code(refusal))
          })
        })
      })
      const add = (item: string): Promise<unknown> => client.timeout(AT_ONCE_MS).emitWithAck('add', item)
      expect(await add('a')).toBe('ok')
      await visitor.get('/set/theme/dark')
      expect(await add('b')).toBe('ok')
      await atRest()
      expect(await site.isFree(visitor.sid)).toBe(true)
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', theme: 'dark', list: ['a', 'b'] })
      await visitor.get('/logout')
      expect(await add('c')).toContain('failed to load session')
      expect(await site.stored(visitor.sid)).toBeUndefined()
    })

    it('a change that follows from what is out of date is refused, and told to the event', async () => {
      const { site, visitor, client, socket } = await connected(mount, transports)
      socket.on('save', (answer: (told: string) => void) => {
        visit(requestOf(socket)).n = 1
        requestOf(socket).session.save((refusal: unknown) => {
          answer(code(refusal))
        })
      })
      await visitor.get('/set/theme/dark')
      expect(await client.timeout(AT_ONCE_MS).emitWithAck('save')).toBe('LATCHKEY_FENCED')
      expect(site.failures).toMatchObject([{ code: 'LATCHKEY_FENCED' }])
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', theme: 'dark' })
    })

    it('changes from all sides at once: manager.run() loses none', async () => {
      const { site, visitor, client, socket } = await connected(mount, transports)
      const count = (): Promise<void> =>
        site.manager.run<{ n?: number }>(visitor.sid, ({ data }) => {
          data.n = (data.n ?? 0) + 1
        })
      socket.on('count', (answer: () => void) => void count().then(answer))
      await Promise.all(
        Array.from({ length: 10 }, async (_, turn) => {
          await client.timeout(AT_ONCE_MS).emitWithAck('count')
          await visitor.twin().get(`/set/theme/${String(turn)}`)
        }),
      )
      expect(await site.stored(visitor.sid)).toMatchObject({ user: 'ada', n: 10 })
    })
  })
})

describe('socket.io, by its requests', () => {
  const HANDSHAKE = '/socket.io/?EIO=4&transport=polling'

  it('the handshake is a request as any; a poll costs one read, whatever else is wished', async () => {
    const { site, io } = await serve((middleware) => middleware, { resave: true, rolling: true, saveUninitialized: true })
    const visitor = await site.visitor()
    const { status, body } = await visitor.get(HANDSHAKE)
    expect(status).toBe(200)
    expect(site.ops).toEqual([
      ['add', 'get'],
      ['touch', 'cad'],
    ])
    site.wire?.flights.splice(0)
    const { sid } = JSON.parse(body.slice(1)) as { sid: string }
    const poll = `${HANDSHAKE}&sid=${sid}`
    const answered = visitor.get(poll)
    const { clients } = io.engine as unknown as { clients: Record<string, { transport: { writable: boolean } }> }
    await until(() => clients[sid]?.transport.writable === true)
    // Nothing is in it, for which the engine hangs up: and so the poll is answered.
    const sent = await visitor.get(poll, { method: 'POST' })
    expect(sent).toMatchObject({ status: 200, setCookies: [] })
    expect(await answered).toMatchObject({ status: 200 })
    expect(site.ops).toEqual([['get'], ['get']])
  })

  it('the session of a poll cannot be changed', async () => {
    const { site, io } = await serve((middleware) => middleware)
    const seen: string[] = []
    io.engine.use((req: Request, _res: unknown, next: () => void) => {
      try {
        visit(req).n = 1
        seen.push('changed')
      } catch (error) {
        seen.push(code(error))
      }
      next()
    })
    const visitor = await site.visitor()
    await visitor.get(HANDSHAKE)
    await visitor.get(`${HANDSHAKE}&sid=unknown`)
    expect(seen).toEqual(['changed', 'LATCHKEY_READ_ONLY'])
  })

  it('a handshake whose session is not stored is answered, and told to the event', async () => {
    const { site } = await serve((middleware) => middleware, { resave: true })
    const visitor = await site.visitor()
    site.wire?.stop(freesLock).fail()
    const { status, headers } = await visitor.get(HANDSHAKE)
    expect({ status, retryAfter: headers['retry-after'] }).toEqual({ status: 503, retryAfter: '1' })
    expect(site.failures).toMatchObject([{ code: 'LATCHKEY_SERVER_UNAVAILABLE' }])
    await until(() => site.isFree(visitor.sid))
  })

  it('a handshake that does not get its session is refused, and told to the event', async () => {
    const { site } = await serve((middleware) => middleware, { managerOptions: { waitMs: 0 } })
    const visitor = await site.visitor()
    await site.manager.run(visitor.sid, async () => {
      const { status, headers } = await visitor.get(HANDSHAKE)
      expect({ status, retryAfter: headers['retry-after'] }).toEqual({ status: 400, retryAfter: '1' })
    })
    expect(site.failures).toMatchObject([{ code: 'LATCHKEY_LOCK_TIMEOUT' }])
  })
})
