/** The application: a page whose requests each change something in the session. Nothing in it knows of the demo. */
import { setTimeout as query } from 'node:timers/promises'
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express'
import type { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { TTL_SEC } from './store.js'

declare module 'express-session' {
  interface SessionData {
    user?: string
    preferences?: { theme: string; language: string }
    notifications?: number
    cart?: string[]
    beats?: number
  }
}

/** How long each request works between load and save: what a log-in, a slow report, a counter and a cart take. */
export const WORK_MS = { login: 40, preferences: 260, notifications: 60, cart: 110 } as const

/** @param slower how many times longer each request works: for who wants to follow it. */
export function createShop(manager: SessionManager, closing: AbortSignal, slower = 1): Express {
  /** Loads the session, waits for a database (a real wait, by a timer in its place), changes the session, answers. */
  const changing = (workMs: number, change: (session: Request['session']) => void): RequestHandler =>
    async (req, res) => {
      const loadedAtMs = performance.now()
      if (workMs > 0) await query(workMs * slower, undefined, { signal: closing })
      change(req.session)
      res.json({ loadedAtMs, session: contentsOf(req) })
    }

  const app = express()
  const secret = 'a real shop takes it from its configuration'
  app.use(latchkey({ manager, secret, resave: false, saveUninitialized: false, ttl: TTL_SEC }))

  app.post('/login', changing(WORK_MS.login, (session) => (session.user = 'ada')))
  app.get('/preferences', changing(WORK_MS.preferences, (session) => {
    session.preferences = { theme: 'dark', language: 'en' }
  }))
  app.get('/notifications', changing(WORK_MS.notifications, (session) => (session.notifications = 3)))
  app.post('/cart', changing(WORK_MS.cart, (session) => (session.cart = [...(session.cart ?? []), 'a padlock'])))
  app.post('/beat', changing(0, (session) => (session.beats = (session.beats ?? 0) + 1)))
  app.get('/session', (req, res) => {
    res.json({ loadedAtMs: performance.now(), session: contentsOf(req) })
  })

  app.use(failed)
  return app
}

const contentsOf = (req: Request): string[] => Object.keys(req.session).filter((name) => name !== 'cookie')

/** Express knows an error handler by its four parameters. */
const failed: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) {
    next(error)
    return
  }
  res.status(503).json({ problem: error instanceof Error ? error.message : String(error) })
}
