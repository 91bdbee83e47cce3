import cookie from '@fastify/cookie'
import fastifySession, { type FastifySessionOptions } from '@fastify/session'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type LightMyRequestResponse } from 'fastify'
import { SessionManager } from 'latchkey'
import latchkey from 'latchkey/fastify'
import { describe, expect, it, vi } from 'vitest'
import { rowsOf } from '../../support/matrix.js'
import { SECRET } from './site.js'

/** What @fastify/session documents: the same application does the same on its own store and on latchkey. */

declare module 'fastify' {
  interface Session {
    n?: number
    user?: string
    nested?: { list: number[] }
  }
}

/** As any store that is not inside the process: what comes out is not what went in. */
class JsonStore extends fastifySession.MemoryStore {
  override set(sid: string, session: object, callback: () => void): void {
    super.set(sid, JSON.parse(JSON.stringify(session)), callback)
  }
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

const stateOf = ({ session }: FastifyRequest): object => ({
  keys: Object.keys(session ?? {}).sort(),
  n: session?.n,
  user: session?.user,
  nested: session?.nested,
  isModified: session?.isModified(),
  isSaved: session?.isSaved(),
  hasExpiry: session?.cookie.expires !== undefined && session.cookie.expires !== null,
  originalMaxAge: session?.cookie.originalMaxAge,
})

/** Everything that its README shows, and what an application may do by mistake. */
const ROUTES: Readonly<Record<string, Handler>> = {
  read: (request) => stateOf(request),
  change: (request) => {
    request.session.n = (request.session.n ?? 0) + 1
    return stateOf(request)
  },
  'change-deep': (request) => {
    request.session.nested ??= { list: [] }
    request.session.nested.list.push(1)
    return stateOf(request)
  },
  'get-and-set': (request) => {
    request.session.set('user', 'ada')
    return { user: request.session.get('user') }
  },
  delete: (request) => {
    delete request.session.n
    return stateOf(request)
  },
  touch: (request) => {
    request.session.touch()
    return stateOf(request)
  },
  save: async (request) => {
    request.session.n = 10
    await request.session.save()
    return stateOf(request)
  },
  'save-and-change': async (request) => {
    await request.session.save()
    request.session.n = 11
    return stateOf(request)
  },
  'save-callback': (request, reply) => {
    request.session.n = 12
    request.session.save((error) => void reply.send({ error, ...stateOf(request) }))
  },
  'save-hasty': (request) => {
    request.session.n = 13
    void request.session.save()
    return { n: request.session.n }
  },
  reload: async (request) => {
    request.session.n = 99
    await request.session.reload()
    return stateOf(request)
  },
  'reload-callback': (request, reply) => {
    request.session.reload((error) => void reply.send({ error, ...stateOf(request) }))
  },
  regenerate: async (request) => {
    await request.session.regenerate()
    return stateOf(request)
  },
  'regenerate-and-keep': async (request) => {
    await request.session.regenerate(['user'])
    return stateOf(request)
  },
  'regenerate-callback': (request, reply) => {
    request.session.regenerate((error) => void reply.send({ error, ...stateOf(request) }))
  },
  'regenerate-twice': async (request) => {
    await request.session.regenerate(['n'])
    await request.session.regenerate(['n'])
    return stateOf(request)
  },
  destroy: async (request) => {
    await request.session.destroy()
    return { session: request.session }
  },
  'destroy-callback': (request, reply) => {
    request.session.destroy((error) => void reply.send({ error, session: request.session }))
  },
  options: (request) => {
    request.session.options({ maxAge: 5000, secure: false })
    return stateOf(request)
  },
  'max-age': (request) => {
    request.session.cookie.maxAge = 7000
    request.session.n = 1
    return stateOf(request)
  },
  throw: (request) => {
    request.session.n = 20
    throw new Error('planned')
  },
  redirect: (request, reply) => {
    request.session.user = 'eve'
    return reply.redirect('/read')
  },
  store: async (request) => {
    const { sessionStore: store, session } = request
    const found = await new Promise<object | null | undefined>((resolve, reject) => {
      store.get(session.sessionId, (error, one) => (error === null ? resolve(one) : reject(error as Error)))
    })
    return { user: (found as { user?: string } | null | undefined)?.user }
  },
  decrypt: async (request) => {
    const signed = request.cookies['sessionId'] ?? ''
    const target: { session?: { user?: string } } = {}
    await new Promise<void>((resolve) => request.server.decryptSession(signed, target, () => resolve()))
    return { user: target.session?.user }
  },
}

async function application(kind: 'its own store' | 'latchkey', options: Partial<FastifySessionOptions>): Promise<FastifyInstance> {
  const app = Fastify({ trustProxy: true })
  await app.register(cookie)
  const given = { secret: SECRET, ...options, cookie: { ...options.cookie } }
  if (kind === 'latchkey') {
    const manager = new SessionManager()
    await app.register(latchkey, { manager, ...given })
    app.addHook('onClose', () => manager.close())
  } else await app.register(fastifySession, { ...given, store: new JsonStore() })
  for (const [name, handler] of Object.entries(ROUTES)) {
    app.get(`/${name}`, async (request, reply) => {
      const sent = await handler(request, reply)
      return sent === undefined ? reply : sent
    })
  }
  return app
}

/** What a browser sees; ids and dates are told by when they were first seen. */
class Jar {
  private value: string | undefined
  private readonly seen: string[] = []
  constructor(private readonly isHttps: boolean) {}

  async ask(app: FastifyInstance, path: string): Promise<object> {
    const headers = { ...(this.value === undefined ? {} : { cookie: `sessionId=${encodeURIComponent(this.value)}` }), ...(this.isHttps ? { 'x-forwarded-proto': 'https' } : {}) }
    const answer = await app.inject({ url: path, headers })
    return { path, status: answer.statusCode, body: answer.body, location: answer.headers.location, cookies: this.cookiesOf(answer) }
  }

  private cookiesOf(answer: LightMyRequestResponse): object[] {
    return answer.cookies.map(({ value, expires, ...rest }) => {
      this.value = value === '' ? undefined : value
      if (!this.seen.includes(value)) this.seen.push(value)
      return { id: value === '' ? '' : this.seen.indexOf(value), in: when(expires), ...rest }
    })
  }
}

/** So coarse that no machine is too slow for it. */
function when(date: Date | undefined): number | string | undefined {
  const sec = date === undefined ? undefined : (date.getTime() - Date.now()) / 1000
  return sec === undefined ? undefined : sec < 0 ? 'past' : Math.round(sec / 20)
}

const OPTIONS: readonly [string, Partial<FastifySessionOptions>][] = [true, false].flatMap((rolling) =>
  [true, false].map((saveUninitialized): [string, Partial<FastifySessionOptions>] => [
    `rolling: ${String(rolling)}, saveUninitialized: ${String(saveUninitialized)}`,
    { rolling, saveUninitialized },
  ]),
)

/** Each call after no session, after one, and after itself. */
const EACH = Object.keys(ROUTES).map((name) => [name, 'get-and-set', name, 'read', name, 'change', 'read'])
/** All of them in a row. */
const ROW = [Object.keys(ROUTES), Object.keys(ROUTES).reverse()]

const COOKIES: readonly [string, FastifySessionOptions['cookie'], string[][]?][] = [
  ['a session cookie', {}],
  ['secure: false', { secure: false }, EACH],
  ['secure: auto', { secure: 'auto' }],
  ['maxAge', { maxAge: 60_000, secure: false }, EACH],
  ['expires', { expires: new Date(Date.now() + 100_000), secure: false }],
  ['attributes', { secure: false, httpOnly: false, sameSite: 'strict', domain: 'localhost', partitioned: true }],
  ['another path', { secure: false, path: '/elsewhere' }],
]

/** The same requests to both; the answers must be the same. */
async function play(options: Partial<FastifySessionOptions>, stories: readonly (readonly string[])[]): Promise<void> {
  const [theirs, ours] = [await application('its own store', options), await application('latchkey', options)]
  for (const isHttps of [false, true]) {
    for (const story of stories) {
      const [expected, jar] = [new Jar(isHttps), new Jar(isHttps)]
      for (const path of story) {
        const answer = await jar.ask(ours, `/${path}`)
        expect({ story, ...answer }).toEqual({ story, ...(await expected.ask(theirs, `/${path}`)) })
      }
    }
  }
  await Promise.all([theirs.close(), ours.close()])
}

describe.each(rowsOf(OPTIONS))('%s', (_options, options) => {
  it.each(rowsOf(COOKIES, 2))('%s', async (_cookie, attributes, stories = ROW) => {
    await play({ ...options, ...(attributes === undefined ? {} : { cookie: attributes }) }, stories)
  })
})

describe('and', () => {
  it.each<[string, Partial<FastifySessionOptions>]>([
    ['cookieName', { cookieName: 'other' }],
    ['cookiePrefix', { cookiePrefix: 's:' }],
    ['algorithm', { algorithm: 'sha512' }],
    ['several secrets', { secret: ['first of the secrets', 'second of the secrets'] }],
    ['a signer', { secret: new cookie.Signer('a secret of its own', 'sha256') }],
  ])('%s', async (_name, options) => {
    await play({ cookie: { secure: false }, ...options }, ROW)
  })

  it('idGenerator, with the request', async () => {
    const app = await application('latchkey', { cookie: { secure: false }, idGenerator: (request) => `made-for-${request?.method ?? 'nobody'}-${String(Math.random()).slice(2)}` })
    const answer = await app.inject('/change')
    expect(answer.cookies[0]?.value).toMatch(/^made-for-GET-/)
    await app.close()
  })

  it('a secret that is rotated: what the old one signed is read, and signed with the new one', async () => {
    const manager = new SessionManager()
    const build = async (secret: string[]): Promise<FastifyInstance> => {
      const app = Fastify()
      await app.register(cookie)
      await app.register(latchkey, { manager, secret, cookie: { secure: false } })
      app.get('/', async ({ session }) => ({ n: (session.n = (session.n ?? 0) + 1) }))
      return app
    }
    const [older, newer] = [await build(['old']), await build(['new', 'old'])]
    const first = (await older.inject('/')).cookies[0]?.value ?? ''
    const answer = await newer.inject({ url: '/', cookies: { sessionId: first } })
    expect(answer.json()).toEqual({ n: 2 })
    expect(answer.cookies[0]?.value).not.toBe(first)
    await Promise.all([older.close(), newer.close()])
    await manager.close()
  })

  it('a hook before it may use request.sessionStore, and decryptSession() the options of a cookie', async () => {
    const manager = new SessionManager()
    const app = Fastify()
    await app.register(cookie)
    app.addHook('onRequest', (request, _reply, done) => {
      const session = { user: 'ada', cookie: { originalMaxAge: null, expires: new Date(Date.now() + 5000) } }
      request.sessionStore.set('an-id-of-its-own', session, done)
    })
    await app.register(latchkey, { manager, secret: SECRET, cookie: { secure: false } })
    app.get('/', async ({ session }) => ({ id: session.sessionId, user: session.user }))
    const signed = new cookie.Signer(SECRET).sign('an-id-of-its-own')
    const answer = await app.inject({ url: '/', headers: { cookie: `sessionId=${encodeURIComponent(signed)}` } })
    expect(answer.json()).toEqual({ id: 'an-id-of-its-own', user: 'ada' })
    const target: { session?: FastifyRequest['session'] } = {}
    await new Promise<void>((resolve) => app.decryptSession(signed, target, { maxAge: 86_400 }, () => resolve()))
    expect([target.session?.user, target.session?.sessionId]).toEqual(['ada', 'an-id-of-its-own'])
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    await app.close()
    await manager.close()
  })

  it('a session whose cookie has expired is begun anew, under another id', async () => {
    const app = await application('latchkey', { cookie: { secure: false, maxAge: 30 } })
    const first = (await app.inject('/change')).cookies[0]?.value ?? ''
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 40 })
    const answer = await app.inject({ url: '/change', cookies: { sessionId: first } })
    expect(answer.json()).toMatchObject({ n: 1 })
    expect(answer.cookies[0]?.value).not.toBe(first)
    vi.useRealTimers()
    await app.close()
  })
})
