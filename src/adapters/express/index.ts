/**
 * For Express 4 and 5: `latchkey({ manager, ... })` in place of express-session's `session(...)`.
 *
 * @module latchkey/express
 */
import type { IncomingMessage } from 'node:http'
import session from 'express-session'
import { BareSessions } from '../http/bare-sessions.js'
import { bodyToArrive } from '../http/body-arrival.js'
import { checkedIds } from '../http/checked-id.js'
import { giveMethods } from '../http/give-methods.js'
import { HeldSession } from '../http/held-session.js'
import { toHttpError } from '../http/http-error.js'
import { sharedCookieOf } from '../http/shared-cookie.js'
import { checkOptions, cookieNameOf, warnOfMissing } from './check-options.js'
import { BareStore, expressRecordOf, refuseToBeTheStore } from './bare-store.js'
import { isEnginePoll, isEngineRequest, nextOfEngine } from './engine-io.js'
import { ExpressRequest } from './express-request.js'
import { ExpressStore } from './express-store.js'
import type { LatchkeyOptions, Next, Request, Response } from './options.js'
import { isMarked } from './read-only.js'
import { shareShape } from './shared-shape.js'
import { UnsignedCookie } from './unsigned-cookie.js'

export { SessionHttpError } from '../http/http-error.js'
export type { BareStore, Ttl } from './bare-store.js'
export type { LatchkeyOptions } from './options.js'
export { readOnly } from './read-only.js'

declare module 'express-session' {
  interface Session {
    /**
     * Stores what changed and lets go of the session, as PHP's session_write_close(): for what takes long and needs
     * the session no more. One flight. From this call on the session can only be read: a change of it, or of what
     * was taken from it before, throws LATCHKEY_READ_ONLY, and the end of the response stores nothing.
     * A session that is new is stored, and its cookie set, as at the end of a response. Does nothing when it was
     * released already or is read-only.
     *
     * Only in sessions of latchkey. Rejects with a SessionHttpError when the session was not stored; its `code` says why.
     */
    release(): Promise<void>
  }
}

/** What `latchkey({...})` returns: the middleware, and a store for code outside of requests. */
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
 * @throws LATCHKEY_INVALID_OPTION when `store` is given, `manager` is missing, or an option is out of its range;
 *   and what express-session throws for its own.
 */
export function latchkey(options: LatchkeyOptions): LatchkeyMiddleware {
  checkOptions(options)
  const { manager, label = labelOf, clientGoneMs, readOnly, ...rest } = options
  const genid = checkedIds('genid', rest.genid, () => manager.createSid())
  const php = sharedCookieOf(manager)
  const unsigned = php === undefined ? undefined : new UnsignedCookie(php)
  const { secret } = rest
  const given = { ...rest, genid, ...(unsigned?.options ?? { secret: secret === false ? '' : secret }) }
  const onFailure = (error: unknown): void => void store.emit('failure', toHttpError(error))
  const sessions = new BareSessions(manager, expressRecordOf(manager, given), onFailure)
  const store = new BareStore(sessions)
  warnOfMissing(given, latchkey)
  const { resave = true, saveUninitialized = true } = given
  const sessionOptions = { ...given, resave, saveUninitialized }
  const sessionIn = (store: session.Store): ReturnType<typeof session> => {
    const plain = session({ ...sessionOptions, store })
    return unsigned?.around(plain) ?? plain
  }
  // Checks express-session's own options: now, and not with every request.
  const bareSession = sessionIn(store)
  let isReady = true
  store.on('connect', () => (isReady = true))
  store.on('disconnect', () => (isReady = false))
  const cookieName = cookieNameOf(given)
  const requestOptions = { clientGoneMs, saveUninitialized, cookieName, rewriteCookie: unsigned?.unsigned }

  const middleware = (req: Request, res: Response, passOn: Next): void => {
    const next = isEngineRequest(req) ? nextOfEngine(passOn, res, onFailure) : passOn
    shareShape(req, 'url')
    shareShape(res, 'req')
    // Another one has been here: express-session leaves it alone as well.
    if ('session' in req && Boolean(req.session)) next()
    // It reads without a lock, and what it saves is stored if it follows from what it has read. And while an application
    // has emitted 'disconnect' on the store, express-session goes on without sessions.
    else if (isUpgrade(req, res) || !isReady) {
      const unlocked = isReady ? sessionIn(new ExpressStore(new HeldSession(sessions, undefined, undefined), true)) : bareSession
      unlocked(req, res, (error?: unknown) => {
        if ('session' in req && Boolean(req.session)) giveMethods(req.session, { release: () => Promise.resolve() })
        next(error)
      })
    } else {
      const isReading = isMarked(req) || isEnginePoll(req) || readOnly?.(req) === true
      const requestStore = new ExpressStore(new HeldSession(sessions, label(req), isReading ? 'readOnly' : undefined))
      const { proceed } = new ExpressRequest(req, res, next, requestStore, requestOptions)
      const locked = sessionIn(requestStore)
      const arriving = bodyToArrive(req, isReading)
      if (arriving === undefined) locked(req, res, proceed)
      else arriving.then(() => locked(req, res, proceed)).catch(next)
    }
  }
  refuseToBeTheStore(store)
  return Object.assign(middleware, { store })
}

/** A WebSocket has no response that would end: none at all, or one that was made up for express-session. */
const isUpgrade = (req: Request, res: Response): boolean =>
  typeof res.on !== 'function' || ('upgrade' in req && req.upgrade === true)

/** The path may tell what a visitor does; the query may hold secrets. */
function labelOf(req: IncomingMessage): string {
  // Express takes the mount path off `url`.
  const url = 'originalUrl' in req && typeof req.originalUrl === 'string' ? req.originalUrl : (req.url ?? '')
  const end = url.search(/[?#]/)
  return `${req.method ?? ''} ${end < 0 ? url : url.slice(0, end)}`
}
