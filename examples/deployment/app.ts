/**
 * The application: one of four processes behind nginx. Every request changes its session: it adds the number that it was given to
 * a list. `POST /report/<number>` asks a backend first, and holds its session meanwhile. `PORT`, `SAVE_PATH`, `BACKEND`.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { setTimeout as query } from 'node:timers/promises'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { instrumentPrometheus } from 'latchkey/prometheus'
import { register } from 'prom-client'

declare module 'express-session' {
  interface SessionData {
    changes?: readonly number[]
  }
}

const WORK_MS = 3

const { PORT: port, SAVE_PATH: savePath = '', BACKEND: backend = '', SECRET: secret = '' } = process.env
const manager = new SessionManager({ savePath })
instrumentPrometheus(manager, { name: 'shop' })
const app = express()

// What monitors and balancers ask needs no session.
app.get('/livez', (_req, res) => void res.json({ alive: true }))
app.get('/readyz', async (_req, res) => {
  const health = await manager.health()
  res.status(health.nodes.some(({ isUp }) => isUp) ? 200 : 503).json(health)
})
app.get('/metrics', async (_req, res) => void res.type(register.contentType).send(await register.metrics()))

/** Whether the request that runs now found its session locked: for the figures. */
const asking = new AsyncLocalStorage<{ hasWaited: boolean }>()
tracingChannel('latchkey:wait').start.subscribe(() => {
  const now = asking.getStore()
  if (now !== undefined) now.hasWaited = true
})
app.use((_req, _res, next) => asking.run({ hasWaited: false }, next))

app.use(latchkey({ manager, secret, resave: false, saveUninitialized: false }))

const change: RequestHandler<{ number: string }> = async (req, res) => {
  const { changes = [] } = req.session
  await query(WORK_MS)
  // Of two that are in this line at once, one would be lost.
  req.session.changes = [...changes, Number(req.params.number)]
  if (asking.getStore()?.hasWaited === true) res.set('X-Has-Waited', 'yes')
  res.json({ changes: changes.length + 1 })
}
app.post('/change/:number', change)
const askBackend: RequestHandler<{ number: string }> = async (_req, _res, next) => {
  await fetch(backend)
  next()
}
app.post('/report/:number', askBackend, change)

const told: ErrorRequestHandler = (error: { readonly status?: number; readonly code?: string }, _req, res, next) => {
  if (res.headersSent) return next(error)
  res.status(error.status ?? 500).json({ code: error.code ?? 'ERROR' })
}
app.use(told)

const server = app.listen(Number(port), '127.0.0.1')

// First the session manager: `/readyz` says so, and who holds a session may finish. Then the server.
process.once('SIGTERM', () => {
  void manager.close({ graceMs: 5000 }).then(() => {
    server.close()
    server.closeIdleConnections()
  })
})
