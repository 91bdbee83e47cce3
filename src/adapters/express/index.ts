import type { IncomingMessage } from 'node:http'
import session, { type SessionData, type SessionOptions } from 'express-session'
import { InvalidOptionError } from '../../errors.js'
import { SessionManager } from '../../session/session-manager.js'
import { BareStore } from './bare-store.js'
import { type SessionHttpError, toHttpError } from './http-error.js'
import { RequestStore } from './request-store.js'
import { ResponseGate } from './response-gate.js'
import { SessionRecord, type Ttl } from './session-record.js'

export { SessionHttpError } from './http-error.js'
export type { BareStore } from './bare-store.js'
export type { Ttl } from './session-record.js'

type Request = Parameters<ReturnType<typeof session>>[0]
type Response = Parameters<ReturnType<typeof session>>[1]
type Next = (error?: unknown) => void

/** express-session's options, but for `store`, and these. */
export interface LatchkeyOptions extends Omit<SessionOptions, 'store'> {
  /** Where the sessions are, and how they are locked. One per process. */
  readonly manager: SessionManager
  /** Seconds that a session without a cookie expiry lives, or a function that says them. Default: the manager's lifetimeSec if given, else 86 400. */
  readonly ttl?: Ttl
  /**
   * What the holder of a lock calls itself, for whoever waits for it. Default: method and path, without the query.
   */
  readonly label?: (req: IncomingMessage) => string
  /** Milliseconds that a handler may go on holding the session when its client has gone. Default 10 000. At least 0. */
  readonly graceMs?: number
}

export interface LatchkeyMiddleware {
  (req: Request, res: Response, next: Next): void
  /** The sessions outside of any request (socket.io, scripts). */
  readonly store: BareStore
}

/**
 * Sessions for Express, locked per request: `app.use(latchkey({ manager, ...express-session options }))` in place of
 * `app.use(session(...))`.
 *
 * The lock is taken when express-session reads the session, and let go in the flight that stores it, before the
 * response leaves. Nothing of a response leaves before its session is stored: a refused save is an error for the
 * application's error handler (503, no Set-Cookie), and a busy session is a 503 with Retry-After. Two flights a request.
 *
 * @throws LATCHKEY_INVALID_OPTION when `store` is given, `manager` is missing, or `graceMs` or `ttl` is no such number.
 */
export function latchkey(options: LatchkeyOptions): LatchkeyMiddleware {
  const { manager, ttl, label = labelOf, graceMs = 10_000, ...sessionOptions } = checked(options)
  const record = new SessionRecord(manager, ttl)
  const bare = new BareStore(manager, record)

  const middleware = (req: Request, res: Response, next: Next): void => {
    // Another one has been here: express-session leaves it alone as well.
    if ('session' in req && Boolean(req.session)) {
      next()
      return
    }
    // A WebSocket upgrade has no response: it reads without a lock, and what it saves is saved as by a script.
    if (typeof res.on !== 'function') {
      session({ ...sessionOptions, store: new BareStore(manager, record) })(req, res, next)
      return
    }
    const gone = new AbortController()
    const store = new RequestStore(manager, record, label(req), gone.signal)
    const gate = new ResponseGate(res, {
      beforeStream: (eventStream) => beforeStream(req, store, eventStream, sessionOptions.saveUninitialized !== false),
      beforeEnd: () => {
        store.ending = true
      },
      decided: () => (store.isHolding ? store.finish().then(() => store.failure) : failed(store.failure)),
      onLateFailure: (error) => bare.emit('failure', error),
    })
    res.once('close', () => {
      if (gate.isOver) return
      gone.abort(new Error('the client has gone'))
      const timer = setTimeout(() => void store.finish(), graceMs)
      timer.unref()
    })
    session({ ...sessionOptions, store })(req, res, (error?: unknown) => {
      gate.watchEnd()
      next(error)
    })
  }
  return Object.assign(middleware, { store: bare })
}

/** The headers are about to leave, and the handler will go on: what is in the session now is stored first. */
function beforeStream(
  req: Request,
  store: RequestStore,
  eventStream: boolean,
  saveUninitialized: boolean,
): Promise<SessionHttpError | undefined> | undefined {
  const current: (Request['session'] & Partial<SessionData>) | null | undefined = req.session
  if (current === null || current === undefined) return undefined
  const isNew = !store.isHolding
  const mustSave = store.isModified(current) || (isNew && saveUninitialized)
  if (!mustSave && !(eventStream && store.isHolding)) return undefined
  // An event stream may last for hours: this is its last write.
  store.ending = eventStream
  return new Promise((resolve) => {
    const settled = (error: unknown): void => {
      const failure = error === null || error === undefined ? undefined : toHttpError(error)
      if (!eventStream) resolve(failure)
      else void store.finish().then(() => { resolve(failure) })
    }
    if (mustSave) current.save(settled)
    else store.touch(req.sessionID, current, settled).catch(() => undefined)
  })
}

const failed = (failure: SessionHttpError | undefined): Promise<SessionHttpError> | undefined =>
  failure === undefined ? undefined : Promise.resolve(failure)

/** The path may tell what a visitor does; the query may hold secrets. */
const labelOf = (req: IncomingMessage): string => `${req.method ?? ''} ${(req.url ?? '').replace(/\?.*$/, '')}`

function checked(options: LatchkeyOptions): LatchkeyOptions {
  if (!(options.manager instanceof SessionManager)) {
    throw new InvalidOptionError('manager is missing: latchkey({ manager: new SessionManager({ savePath }), ... }).')
  }
  if ('store' in options && options.store !== undefined) {
    throw new InvalidOptionError('store cannot be given: the sessions are kept by the manager (its savePath).')
  }
  const { graceMs, ttl } = options
  if (graceMs !== undefined && !(graceMs >= 0)) {
    throw new InvalidOptionError(`graceMs is ${String(graceMs)}; it must be a number of at least 0.`)
  }
  if (ttl !== undefined && typeof ttl !== 'function' && !Number.isFinite(ttl)) {
    throw new InvalidOptionError(`ttl is ${String(ttl)}; it must be a number of seconds or a function.`)
  }
  return options
}

