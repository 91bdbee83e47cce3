import { LockedHandler } from './locked-handler.js'
import type { SessionOptions } from './options.js'
import type { RequestSession } from '../../request/request-session.js'

/** What latchkey uses of Hono's context. */
export interface HonoContext<T extends object> {
  readonly req: { readonly raw: Request }
  /** What the server passed beside the request. */
  readonly env?: unknown
  get res(): Response
  set res(response: Response | undefined)
  readonly error: Error | undefined
  /** Whether a handler has answered. */
  readonly finalized: boolean
  /** Where handlers find the session: `c.get('session')`. */
  set(name: 'session', session: RequestSession<T>): void
}

/**
 * A middleware for Hono: the session is `c.get('session')` below it, and stored and free when those have run. Else as
 * `withSession`; when a handler throws, nothing is stored, and Hono's `onError` answers.
 *
 * @throws LATCHKEY_INVALID_OPTION as `withSession`.
 */
export function honoSession<T extends object = Record<string, unknown>>(
  options: SessionOptions,
): (c: HonoContext<T>, next: () => Promise<void>) => Promise<Response | undefined> {
  const locked = new LockedHandler<T>(options)
  return async (c, next) => {
    const serving = locked.serve(c.req.raw, c.env, async (session) => {
      c.set('session', session)
      await next()
      // Hono's `onError` has answered it already: that answer is left so, unless the error is the session's.
      if (c.error !== undefined) throw c.error
      return c.finalized ? c.res : undefined
    })
    const response = await serving.catch((error: unknown) => {
      if (c.error === undefined || error !== c.error) throw error
      return undefined
    })
    // Hono itself takes the first response, with the headers that middlewares above have prepared.
    if (!c.finalized) return response
    if (response === undefined || response === c.res) return undefined
    // It would give this one the headers of the one that it replaces.
    c.res = undefined
    c.res = response
    return undefined
  }
}
