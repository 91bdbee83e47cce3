/** The half of the shop that is Node already: an ordinary Express application. */
import { setTimeout as query } from 'node:timers/promises'
import express, { type Express, type Request } from 'express'
import type { SessionManager } from 'latchkey'
import { latchkey, readOnly } from 'latchkey/express'

type Cart = Readonly<Record<string, number>>

interface Kept {
  user?: string
  items?: Cart
}

const kept = (req: Request): Request['session'] & Kept => req.session

export function shop(manager: SessionManager): Express {
  const app = express()
  app.get('/node/show', readOnly)
  // The cookie is PHP's, which the manager knows: no secret, no name, no attributes.
  app.use(latchkey({ manager, secret: false, resave: false, saveUninitialized: false }))

  const answer = ({ user, items = {} }: Kept): object => ({ by: 'node', user: user ?? null, items })

  app.post('/node/login/:user', (req, res, next) => {
    const { items } = kept(req)
    req.session.regenerate((error: unknown) => {
      if (error !== null) return next(error)
      const { user } = req.params
      res.json(answer(Object.assign(kept(req), { user, ...(items === undefined ? {} : { items }) })))
    })
  })

  app.post('/node/add/:item', async (req, res) => {
    const { item } = req.params
    const session = kept(req)
    const { items = {} } = session
    // A database is asked for the price.
    await query(3)
    session.items = { ...items, [item]: (items[item] ?? 0) + 1 }
    res.json(answer(session))
  })

  app.get('/node/show', (req, res) => void res.json(answer(kept(req))))

  app.post('/node/logout', (req, res, next) => {
    req.session.destroy((error: unknown) => (error === null ? res.json(answer({})) : next(error)))
  })
  return app
}
