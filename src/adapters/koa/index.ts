import type Koa from 'koa'
import type { Context, Next } from 'koa'
import koaSession from 'koa-session'
import { InvalidOptionError } from '../../errors.js'
import type { RequestStore } from './request-store.js'
import { LockedRequest } from './locked-request.js'
import { type LatchkeyOptions, settingsOf } from './options.js'

export { SessionHttpError } from '../http/http-error.js'
export type { LatchkeyOptions } from './options.js'

/** `ctx.session`: koa-session's, and `release()`. Not merged into Koa's types, where it is `any`. */
export interface LatchkeySession {
  readonly isNew: boolean
  readonly populated: boolean
  /** Milliseconds; 'session' until the browser is closed. */
  maxAge: number | 'session' | undefined
  /** Stores the session now and keeps the lock. One flight. Errors: a SessionHttpError with the code of the cause. */
  save(): Promise<void>
  /** As save(), and lets go of it: from then on a change throws LATCHKEY_READ_ONLY. One flight. */
  release(): Promise<void>
  /** Goes on under a new id with the same data: at every login. Three flights. Errors as of save(). */
  regenerate(): Promise<void>
  /** With `autoCommit: false`: what koa-session does at the end of a request. Keeps the lock. */
  manuallyCommit(): Promise<void>
}

const served = new WeakMap<Context, LockedRequest>()

/**
 * koa-session with locks: `app.use(latchkey({ manager, ...koa-session's options }, app))` in place of
 * `app.use(session({ store, ... }, app))`. `ctx.session = null` ends the session.
 *
 * The lock is taken when the session is read, before the middleware below runs, and let go when that has run, in the
 * flight that stores, before Koa responds. A refused save is thrown (503, no cookie), and a session that stays locked
 * is a 503 with Retry-After. Two flights a request.
 *
 * @throws LATCHKEY_INVALID_OPTION when `manager` is missing, `store` or `ContextStore` is given, `graceMs`, `label` or
 *   `readOnly` is none, or the application has a session already; and what koa-session says of its own options.
 */
export function latchkey(options: LatchkeyOptions, app: Koa): Koa.Middleware {
  const settings = settingsOf(options)
  if ('session' in app.context) {
    throw new InvalidOptionError('ctx.session is there already: take out the other session middleware.')
  }
  // latchkey commits by itself, so that it can tell what the end of a request stores from what the application does.
  const session = koaSession({ ...settings.rest, autoCommit: false, ContextStore }, app)
  return async (ctx: Context, next: Next) => {
    // Mounted twice on the way of one request: the session is locked already.
    if (served.has(ctx)) return next()
    const request = new LockedRequest(ctx, settings)
    served.set(ctx, request)
    let isRead = false
    try {
      await session(ctx, () => {
        isRead = true
        return request.serve(next)
      })
    } catch (error) {
      if (!isRead) request.refuse(error)
      throw error
    } finally {
      await request.finish()
    }
  }
}

export default latchkey

/** What koa-session makes for every request; the request has its store already. */
class ContextStore {
  private readonly store: RequestStore | undefined

  constructor(ctx: Context) {
    this.store = served.get(ctx)?.store
  }

  get(sid: string): Promise<object | undefined> | undefined {
    return this.store?.get(sid)
  }

  set(sid: string, session: object, maxAge: unknown): Promise<void> | undefined {
    return this.store?.set(sid, session, maxAge)
  }

  destroy(sid: string): Promise<void> | undefined {
    return this.store?.destroy(sid)
  }
}
