/**
 * For Koa 3: `latchkey({ manager, ... }, app)` in place of koa-session's middleware.
 *
 * @module latchkey/koa
 */
import type Koa from 'koa'
import type { Context, Next } from 'koa'
import koaSession from 'koa-session'
import { MisuseError } from '../../errors.js'
import { bodyToArrive } from '../http/body-arrival.js'
import { tellRetry } from '../http/http-error.js'
import { checkOptions } from './check-options.js'
import { KoaRequest } from './koa-request.js'
import { endEarlyLook, KoaStore, served, TWO_SESSIONS } from './koa-store.js'
import { type LatchkeyOptions, koaSettingsOf } from './options.js'

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

/**
 * koa-session with locks: `app.use(latchkey({ manager, ...koa-session's options }, app))` in place of
 * `app.use(session({ store, ... }, app))`. `ctx.session = null` ends the session.
 *
 * The lock is taken when the session is read, before the middleware below runs, and let go when that has run, in the
 * flight that stores, before Koa responds. A refused save is thrown (503, no cookie), and a session that stays locked
 * is a 503 with Retry-After. Two flights a request.
 *
 * A middleware above sees an empty session, as with koa-session; if it changes that, the request fails with
 * LATCHKEY_MISUSE.
 *
 * @throws LATCHKEY_INVALID_OPTION when `manager` or `app` is missing, `store`, `ContextStore` or `ttl` is given, an option
 *   is unknown or out of its range, or the application has a session already; and what koa-session says of its own
 *   options.
 */
export function latchkey(options: LatchkeyOptions, app: Koa): Koa.Middleware {
  checkOptions(options, app)
  const settings = koaSettingsOf(options)
  // latchkey commits by itself, so that it can tell what the end of a request stores from what the application does.
  const session = koaSession({ ...settings.ofKoaSession, autoCommit: false, ContextStore: KoaStore }, app)
  return async (ctx: Context, next: Next) => {
    const known = served.get(ctx)
    // Mounted twice on the way of one request: the session is locked already.
    if (known?.keepsSameAs(settings) === true) return next()
    if (known !== undefined) throw new MisuseError(TWO_SESSIONS)
    if (!('session' in ctx)) throw new MisuseError(OTHER_APP)
    endEarlyLook(ctx)
    const isReading = settings.readOnly?.(ctx) === true
    await bodyToArrive(ctx.req, isReading)
    const request = new KoaRequest(ctx, settings, isReading)
    served.set(ctx, request)
    let isRead = false
    try {
      await session(ctx, () => {
        isRead = true
        return request.serve(next)
      })
    } catch (error) {
      if (!isRead) request.refuse(error)
      // koa's own error page has them from the error; one of a middleware above is given them here.
      tellRetry(error, ctx.res)
      throw error
    } finally {
      await request.life.finish()
    }
  }
}

export default latchkey

const OTHER_APP =
  'latchkey was given another app than the one that serves this request (one that is mounted in it?): ' +
  'pass the outermost app, app.use(latchkey({ manager, ... }, app)).'
