/** Type tests of latchkey/fastify: `npm run check` fails when a line that must compile does not, or one that must not does. */
import Fastify, { type FastifyInstance, type LatchkeySession } from 'fastify'
import { SessionManager } from 'latchkey'
import named, { latchkey, type LatchkeyOptions, type LatchkeyStore, type OwnSessionOptions, SessionHttpError, type Ttl } from 'latchkey/fastify'

declare module 'fastify' {
  interface Session {
    typed?: { count: number }
  }
  interface LatchkeySession {
    typed?: { count: number }
  }
}

export async function options(app: FastifyInstance, manager: SessionManager): Promise<void> {
  const ttl: Ttl = (session) => session.typed?.count ?? 60
  const all: LatchkeyOptions = { manager, secret: 's', ttl, clientGoneMs: 1, touchAfter: 1, disableTouch: false, rolling: false, cookieName: 'c' }
  await app.register(latchkey, all)
  await app.register(named, { manager, secret: 's', label: (request) => request.url, readOnly: (request) => request.method === 'GET' })
  const own: OwnSessionOptions = { manager, fastifySession: false, cookie: { maxAge: 60, secure: 'auto' }, lifetimeSec: 60 }
  await app.register(latchkey, own)
  // @ts-expect-error a manager is needed
  await app.register(latchkey, { secret: 's' })
  // @ts-expect-error @fastify/session needs a secret
  await app.register(latchkey, { manager })
  // @ts-expect-error the sessions are the manager's
  const stored: LatchkeyOptions = { manager, secret: 's', store: new Map() }
  // @ts-expect-error the cookie is signed by @fastify/cookie, with its secret
  const signed: OwnSessionOptions = { manager, fastifySession: false, secret: 's' }
  void [stored, signed]
}

export function sessions(): void {
  const app = Fastify()
  app.get('/', { config: { session: 'readOnly' } }, async (request) => {
    const count: number | undefined = request.session.typed?.count
    await request.session.release()
    await request.session.regenerate(['typed'])
    // @ts-expect-error a count is a number
    request.session.typed = { count: 'x' }
    return count
  })
  app.get('/count', async (request) => {
    const store = request.getDecorator<LatchkeyStore>('sessionStore')
    const [first] = await store.all()
    const told: [number, number | undefined, string[]] = [await store.length(), first?.typed?.count, await store.ids()]
    if (first !== undefined) await store.touch(first.id, first)
    await store.clear()
    return told
  })
  // @ts-expect-error there is no other mark
  app.get('/other', { config: { session: 'readonly' } }, async () => undefined)
  app.get('/own', async (request) => {
    const session = request.getDecorator<LatchkeySession>('session')
    const id: string = session.id
    // @ts-expect-error the id is the manager's to give
    session.id = 'x'
    await session.regenerate()
    return [id, session.typed?.count]
  })
}

export const statusOf = (error: unknown): number | undefined => (error instanceof SessionHttpError ? error.status : undefined)
