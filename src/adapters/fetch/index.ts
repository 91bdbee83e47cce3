/**
 * For handlers that take a `Request` and return a `Response`: Next.js, Hono, Node servers.
 *
 * @module latchkey/fetch
 */
import { MisuseError } from '../../errors.js'
import { fail } from '../../session/option-checks.js'
import { LockedHandler } from './locked-handler.js'
import type { SessionOptions } from './options.js'
import type { RequestSession } from '../../request/request-session.js'

export { SessionHttpError } from '../http/http-error.js'
export { honoSession, type HonoContext } from './hono-session.js'
export type { CookieOptions, SessionOptions } from './options.js'
export type { RequestSession } from '../../request/request-session.js'

/**
 * A handler with a locked session: `Request` in, `Response` out. What else the caller passes (Next.js: `{ params }`) is
 * passed on.
 *
 * The lock is taken before `handler` runs, and the session is stored and free before its Response is returned, so that
 * a body that streams holds nothing. A new session that stays empty is not stored and sets no cookie. Two flights a
 * request; none for a visitor without a session.
 *
 * Within another handler of the same request, manager and cookie it is that one's session, which stores it.
 *
 * A session that is busy, or that cannot be stored, is a 503 with Retry-After (409 when it was ended by another) in
 * place of the handler's Response. When the handler throws, nothing is stored, the lock is let go, and the error goes
 * on; so does every error of latchkey that is neither: LATCHKEY_UNDECODABLE,
 * LATCHKEY_RECORD_TOO_LARGE, LATCHKEY_MISUSE (no Response was returned).
 * When `request.signal` aborts, the request stops waiting.
 *
 * @throws LATCHKEY_INVALID_OPTION when `manager`, `secret` or `handler` is missing, or an option is unknown or out of its range.
 */
export function withSession<T extends object = Record<string, unknown>, Rest extends unknown[] = []>(
  options: SessionOptions,
  handler: (request: Request, session: RequestSession<T>, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  const locked = new LockedHandler<T>(options)
  const given: unknown = handler
  if (typeof given !== 'function') fail('handler', given, 'a function: withSession({ manager, secret }, (request, session) => ...)')
  return (request, ...rest) => locked.serve(request, rest[0], async (session) => checked(await handler(request, session, ...rest)))
}

/** Not by `instanceof`: servers replace the global Response by one of their own. */
function checked(response: Response): Response {
  const given: unknown = response
  if (typeof given === 'object' && given !== null && 'headers' in given && 'status' in given) return response
  throw new MisuseError('The handler returned no Response: return one, or throw.')
}
