import { setTimeout as query } from 'node:timers/promises'
import express, { type Express, type RequestHandler } from 'express'
import type { SessionManager } from 'latchkey'
import { latchkey, readOnly } from 'latchkey/express'

declare module 'express-session' {
  interface SessionData {
    customer?: string
    basket?: Record<string, number>
  }
}

const PRICES = new Map([
  ['pen', 2],
  ['ink', 7],
  ['paper', 4],
])

/** Log in, fill a basket, look at it, pay, log out. */
export function shop(manager: SessionManager): Express {
  const app = express()
  // It waits for nobody, and nobody waits for it.
  app.get('/basket', readOnly)
  app.use(latchkey({ manager, secret: 'the same in every process', resave: false, saveUninitialized: false, cookie: { maxAge: 3_600_000 } }))

  app.post('/login/:user', (req, res, next) => {
    const { basket } = req.session
    // Whoever knew the id before does not know the one of the user; the basket goes on.
    req.session.regenerate((error: unknown) => {
      if (error !== null) return next(error)
      const { user: customer } = req.params
      Object.assign(req.session, { customer, basket })
      res.json({ customer })
    })
  })

  const add: RequestHandler<{ item: string }> = async (req, res) => {
    const { item } = req.params
    if (!PRICES.has(item)) {
      res.status(404).json({ error: 'no such thing' })
      return
    }
    const { basket = {} } = req.session
    const count = basket[item] ?? 0
    // Several of these run at once. Each sees what the one before it has stored.
    await query(3)
    req.session.basket = { ...basket, [item]: count + 1 }
    res.json(req.session.basket)
  }
  app.post('/basket/:item', add)

  app.get('/basket', ({ session: { customer, basket = {} } }, res) => void res.json({ customer, basket }))

  app.post('/pay', async (req, res) => {
    const { customer, basket = {} } = req.session
    if (customer === undefined) return void res.status(401).json({ error: 'log in first' })
    req.session.basket = {}
    // A second click finds an empty basket, and does not wait for the bank.
    await req.session.release()
    await query(50)
    res.json({ paid: Object.entries(basket).reduce((sum, [item, count]) => sum + count * (PRICES.get(item) ?? 0), 0) })
  })

  app.post('/logout', (req, res, next) => {
    req.session.destroy((error: unknown) => (error === null ? res.clearCookie('connect.sid').json({}) : next(error)))
  })
  return app
}
