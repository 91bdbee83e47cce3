import type { IncomingMessage } from 'node:http'
import type { ReadOnlyReason } from '../../errors.js'
import { own, protect } from '../../session/protect.js'
import { processWide } from '../../system/process-wide.js'
import { giveMethods } from '../http/give-methods.js'
import { readOnlyFailure } from '../http/http-error.js'
import type { Next, Request } from './options.js'

const marked = processWide('read-only-requests', () => new WeakSet<IncomingMessage>())

export const isMarked = (req: IncomingMessage): boolean => marked.has(req)

/**
 * A middleware for routes that only read the session.
 *
 * Mounted before `latchkey(...)`, with a path: such a request reads the session without waiting and without a lock.
 * Mounted after it, in a route: the session is released there and then, as by `req.session.release()`.
 * Either way a change of the session throws LATCHKEY_READ_ONLY, and the response sets no session cookie that the
 * session did not have coming.
 */
export function readOnly(req: Request, _res: unknown, next: Next): void {
  // `session` is missing before the session middleware, whatever its type says.
  const { session } = req as Partial<Pick<Request, 'session'>>
  if (session === undefined) {
    marked.add(req)
    next()
    return
  }
  session.release().then(() => next(), next)
}

/**
 * From now on `req.session`, and all that was taken from it before, can only be read.
 *
 * express-session itself goes on as usual: what it calls by itself at the end of a response changes nothing.
 */
export function protectSession(req: Request, reason: ReadOnlyReason, renew: () => void): void {
  const { session, sessionID: sid, sessionStore } = req
  const why = readOnlyFailure(reason, sid)
  const touch = (): object => req.session
  const reload = (callback: (error?: unknown) => void): object => {
    sessionStore.get(sid, (error: unknown, found) => {
      if (error !== null && error !== undefined) return callback(error)
      if (found === null || found === undefined) return callback(new Error('failed to load session'))
      sessionStore.createSession(req, found)
      renew()
      callback()
    })
    return req.session
  }
  const destroy = (callback?: (error: unknown) => void): object => {
    sessionStore.destroy(sid, callback)
    return req.session
  }
  giveMethods(session, { touch, resetMaxAge: touch, reload, ...(reason === 'retired' ? {} : { destroy }) })
  protect(own(session.cookie), why)
  req.session = protect(own(session), why, reason === 'released')
}
