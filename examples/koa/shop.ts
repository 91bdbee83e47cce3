import { setTimeout as query } from 'node:timers/promises'
import Koa, { type Context } from 'koa'
import type { SessionManager } from 'latchkey'
import { latchkey, type LatchkeySession } from 'latchkey/koa'

interface Shop extends LatchkeySession {
  user?: string
  cart?: Record<string, number>
}

const PRICES = new Map([
  ['pen', 2],
  ['ink', 7],
  ['paper', 4],
])

/** Log in, fill a cart, look at it, pay, log out. */
export function shop(manager: SessionManager): Koa {
  const app = new Koa()
  app.keys = ['the same in every process']
  // Looking waits for nobody, and nobody waits for it.
  app.use(latchkey({ manager, maxAge: 3_600_000, readOnly: ({ method }) => method === 'GET' }, app))
  app.use(async (ctx) => {
    const [, page = '', name = ''] = ctx.path.split('/')
    ctx.body = await ROUTES[`${ctx.method} /${page}`]?.(ctx, ctx['session'], name)
  })
  return app
}

type Route = (ctx: Context, session: Shop, name: string) => object | Promise<object>

const ROUTES: Readonly<Record<string, Route>> = {
  'POST /login': async (_ctx, session, user) => {
    // Whoever knew the id before does not know the one of the user; the cart goes on.
    await session.regenerate()
    session.user = user
    return { user }
  },

  'POST /cart': async (ctx, session, item) => {
    if (!PRICES.has(item)) ctx.throw(404, 'no such thing')
    const { cart = {} } = session
    // Several of these run at once. Each sees what the one before it has stored.
    await query(3)
    session.cart = { ...cart, [item]: (cart[item] ?? 0) + 1 }
    return session.cart
  },

  'GET /cart': (_ctx, { user, cart = {} }) => ({ user, cart }),

  'POST /pay': async (ctx, session) => {
    const { user, cart = {} } = session
    if (user === undefined) ctx.throw(401, 'log in first')
    session.cart = {}
    // A second click finds an empty cart, and does not wait for the bank.
    await session.release()
    await query(50)
    return { paid: Object.entries(cart).reduce((sum, [item, count]) => sum + count * (PRICES.get(item) ?? 0), 0) }
  },

  'POST /logout': (ctx) => {
    ctx['session'] = null
    return {}
  },
}
