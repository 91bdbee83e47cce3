import { setTimeout as query } from 'node:timers/promises'
import { Hono } from 'hono'
import type { SessionManager } from 'latchkey'
import { honoSession, type RequestSession } from 'latchkey/fetch'

interface Shop {
  user: string
  cart: Record<string, number>
}

const PRICES = new Map([
  ['pen', 2],
  ['ink', 7],
  ['paper', 4],
])

/** Log in, fill a cart, look at it, pay, log out. */
export function shop(manager: SessionManager): Hono<{ Variables: { session: RequestSession<Shop> } }> {
  const app = new Hono<{ Variables: { session: RequestSession<Shop> } }>()
  const readOnly = ({ method }: Request): boolean => method === 'GET'
  app.use(honoSession<Shop>({ manager, secret: 'the same in every process', readOnly }))

  app.post('/login/:user', async (c) => {
    const session = c.get('session')
    // Whoever knew the id before does not know the one of the user; the cart goes on.
    await session.regenerate()
    session.data.user = c.req.param('user')
    return c.json({ user: session.data.user })
  })

  app.post('/cart/:item', async (c) => {
    const { data } = c.get('session')
    const item = c.req.param('item')
    if (!PRICES.has(item)) return c.json({ error: 'no such thing' }, 404)
    const cart = data.cart ?? {}
    // Several of these run at once. Each sees what the one before it has stored.
    await query(3)
    data.cart = { ...cart, [item]: (cart[item] ?? 0) + 1 }
    return c.json(data.cart)
  })

  // It waits for nobody, and nobody waits for it.
  app.get('/cart', (c) => {
    const { user, cart = {} } = c.get('session').data
    return c.json({ user, cart })
  })

  app.post('/pay', async (c) => {
    const session = c.get('session')
    const { user, cart = {} } = session.data
    if (user === undefined) return c.json({ error: 'log in first' }, 401)
    session.data.cart = {}
    // A second click finds an empty cart, and does not wait for the bank.
    await session.release()
    await query(50)
    const paid = Object.entries(cart).reduce((sum, [item, count]) => sum + count * (PRICES.get(item) ?? 0), 0)
    return c.json({ paid })
  })

  app.post('/logout', async (c) => {
    await c.get('session').destroy()
    return c.json({})
  })
  return app
}
