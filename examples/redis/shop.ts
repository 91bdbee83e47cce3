import { once } from 'node:events'
import { createServer } from 'node:http'
import express from 'express'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'

declare module 'express-session' {
  interface SessionData {
    bought?: number[]
  }
}

export interface Shop {
  readonly origin: string
  /** Resolves when it is closed. */
  close(): Promise<void>
}

/** Puts things into carts; each answer is what is in the cart then. */
export async function openShop(savePath: string): Promise<Shop> {
  const manager = new SessionManager({ savePath, deadlineMs: 2000, leaseSec: 5, waitMs: 4000 })
  const app = express()
  app.disable('x-powered-by')
  app.use(latchkey({ manager, secret: 'the same in every process', resave: false, saveUninitialized: false }))
  app.post('/cart/:thing', (req, res) => {
    req.session.bought = [...(req.session.bought ?? []), Number(req.params.thing)]
    res.json(req.session.bought)
  })
  app.get('/cart', ({ session: { bought = [] } }, res) => void res.json(bought))
  // What failed is answered with the status that the error brings along, and without its stack.
  app.use(((error: { status?: number }, _req, res, next) => {
    if (res.headersSent) next(error)
    else res.status(error.status ?? 500).end()
  }) satisfies express.ErrorRequestHandler)
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the shop has no port')
  return {
    origin: `http://127.0.0.1:${String(address.port)}`,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await manager.close({ graceMs: 500 })
    },
  }
}
