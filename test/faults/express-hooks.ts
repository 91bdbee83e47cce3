/** The rows of the Express adapter: a request over HTTP, with the fault where express-session reads, saves or destroys. */
import { createHmac } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { latchkey } from 'latchkey/express'
import type { HookKind, Stage } from './hooks.js'
import { marksOf, type Rig, textOf } from './rig.js'

declare module 'express-session' {
  interface SessionData {
    of?: string
    marks?: readonly string[]
  }
}

/** A request that was answered with an error: the code that the error handler saw. */
export class AnsweredError extends Error {
  override readonly name = 'AnsweredError'
  constructor(readonly code: string) {
    super(`answered with ${code}`)
  }
}

const SECRET = 'matrix'

const EMPTY_COOKIE = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }

/** The fault strikes before it, where the session is read. */
const load = (stage: Stage): RequestHandler => (req, res) => {
  if (req.session.of !== undefined) marksOf(stage.rig.id, JSON.stringify(req.session))
  res.json({})
}

const save = (stage: Stage): RequestHandler => async (req, res) => {
  req.session.marks = [...(req.session.marks ?? []), 'mine']
  await stage.strike()
  res.json({})
}

const touch = (stage: Stage): RequestHandler => async (_req, res) => {
  await stage.strike()
  res.json({})
}

const destroy = (stage: Stage): RequestHandler => async (req, res, next) => {
  await stage.strike()
  req.session.destroy((error: unknown) => {
    if (error !== null && error !== undefined) next(error)
    else res.json({})
  })
}

const answerErrors: ErrorRequestHandler = (error: unknown, _req, res, _next) => {
  const code = error instanceof Error && 'code' in error ? error.code : String(error)
  res.status(500).json({ code })
}

function appOf({ rig, strike }: Stage, handler: RequestHandler, strikesFirst: boolean): Express {
  const app = express()
  if (strikesFirst) app.use((_req, _res, next) => void strike().then(() => next()))
  app.use(latchkey({ manager: rig.manager, secret: SECRET, resave: false, saveUninitialized: false }))
  app.get('/', handler)
  app.use(answerErrors)
  return app
}

/** The session's record as express-session writes it, in place of the rig's own. */
async function prepare(rig: Rig): Promise<void> {
  const data: unknown = JSON.parse(textOf(rig.id, 'base'))
  await rig.truth.set(rig.id, JSON.stringify({ ...(data as object), cookie: EMPTY_COOKIE }), 1000)
  await rig.manager.peek(rig.bystander)
}

async function request(server: Server, id: string): Promise<void> {
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const signature = createHmac('sha256', SECRET).update(id).digest('base64').replace(/=+$/, '')
  const cookie = `connect.sid=${encodeURIComponent(`s:${id}.${signature}`)}`
  const response = await fetch(`http://127.0.0.1:${String(port)}/`, { headers: { cookie, connection: 'close' } })
  const body = (await response.json()) as { code?: string }
  if (response.status !== 200) throw new AnsweredError(body.code ?? String(response.status))
}

const row = (
  name: string,
  nature: HookKind['nature'],
  handler: (stage: Stage) => RequestHandler,
  strikesFirst = false,
): HookKind => ({
  name: `express: ${name}`,
  nature,
  writes: nature === 'changes',
  play(stage) {
    const { rig } = stage
    const server = createServer(appOf(stage, handler(stage), strikesFirst))
    const listening = new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const outcome = prepare(rig)
      .then(() => listening)
      .then(() => request(server, rig.id))
    const after = (): Promise<void> =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    return { outcome, after }
  },
})

export const EXPRESS_HOOKS: readonly HookKind[] = [
  row('load', 'acquires', load, true),
  row('save', 'changes', save),
  row('touch', 'touches', touch),
  row('destroy', 'destroys', destroy),
]
