import { LockedHandler } from './locked-handler.js'
import type { SessionOptions } from './options.js'
import { RequestSession } from '../../request/request-session.js'

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
    const request = c.req.raw
    const around = locked.around(request)
    if (around !== undefined) {
      c.set('session', around)
      await next()
      return undefined
    }
    const session = await locked.begin(request, c.env)
    if (!(session instanceof RequestSession)) return session
    c.set('session', session)
    await locked.within(request, session, next).catch(async (thrown: unknown) => {
      await session.life.finish()
      throw thrown
    })
    const { error } = c
    // Hono will throw.
    if (error === undefined && !c.finalized) return void (await session.life.finish())
    const answer = (): Promise<Response> => locked.answer(request, session, c.res)
    // Hono's `onError` has answered an error already, which is left so unless it is the session's.
    const response = error === undefined ? await answer() : ((await locked.fail(request, session, error)) ?? c.res)
    if (response === c.res) return undefined
    // Hono would give it the headers of the one that it replaces.
    c.res = undefined
    c.res = response
    return undefined
  }
}
