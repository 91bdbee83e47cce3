import { setTimeout as query } from 'node:timers/promises'
import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance } from 'fastify'
import type { SessionManager } from 'latchkey'
import latchkey from 'latchkey/fastify'

declare module 'fastify' {
  interface Session {
    user?: string
    cart?: Record<string, number>
  }
}

const PRICES = new Map([
  ['pen', 2],
  ['ink', 7],
  ['paper', 4],
])

interface Item {
  Params: { item: string }
}

/** Log in, fill a cart, look at it, pay, log out. */
export async function shop(manager: SessionManager): Promise<FastifyInstance> {
  const app = Fastify({ forceCloseConnections: 'idle' })
  await app.register(cookie)
  const secret = 'at least thirty-two characters, and the same in every process'
  const hourMs = 3_600_000
  const session = { cookie: { secure: 'auto', maxAge: hourMs }, saveUninitialized: false } as const
  await app.register(latchkey, { manager, secret, ...session })

  app.post<{ Params: { user: string } }>('/login/:user', async (request) => {
    // Whoever knew the id before does not know the one of the user; the cart goes on.
    await request.session.regenerate(['cart'])
    request.session.user = request.params.user
    return { user: request.session.user }
  })

  app.post<Item>('/cart/:item', async (request, reply) => {
    const { item } = request.params
    if (!PRICES.has(item)) return reply.code(404).send({ error: 'no such thing' })
    const cart = request.session.cart ?? {}
    const count = cart[item] ?? 0
    // Several of these run at once. Each sees what the one before it has stored.
    await query(3)
    request.session.cart = { ...cart, [item]: count + 1 }
    return request.session.cart
  })

  // It waits for nobody, and nobody waits for it.
  app.get('/cart', { config: { session: 'readOnly' } }, async ({ session: { user, cart = {} } }) => ({ user, cart }))

  app.post('/pay', async (request, reply) => {
    const { user, cart = {} } = request.session
    if (user === undefined) return reply.code(401).send({ error: 'log in first' })
    request.session.cart = {}
    // A second click finds an empty cart, and does not wait for the bank.
    await request.session.release()
    await query(50)
    return { paid: Object.entries(cart).reduce((sum, [item, count]) => sum + count * (PRICES.get(item) ?? 0), 0) }
  })

  app.post('/logout', async (request) => {
    await request.session.destroy()
    return {}
  })
  return app
}
