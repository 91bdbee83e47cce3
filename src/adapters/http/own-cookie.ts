import type { RequestSession } from '../../request/request-session.js'
import type { SessionManager } from '../../session/session-manager.js'
import { type PhpAttributes, sharedCookieOf } from './shared-cookie.js'

type Decided = Pick<RequestSession, 'cookieId' | 'isCookieTimed' | 'maxAge'>

/** How an adapter sets the session's cookie where it does so by itself: as its options say, or as PHP would. */
export interface CookieForm<Attributes> {
  readonly name: string
  /** `maxAge` in seconds. */
  readonly attributes: Attributes | PhpAttributes
  readonly isSigned: boolean
  /** Whether every response sets it again, since its time counts from there. PHP sets it once. */
  readonly isRolling: boolean
}

const DEFAULTS = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' } as const

export function cookieFormOf<Attributes extends { readonly maxAge?: number }>(
  manager: SessionManager,
  { cookieName = 'sessionId', cookie }: { readonly cookieName?: string; readonly cookie?: Attributes },
): CookieForm<Attributes> {
  const php = sharedCookieOf(manager)
  if (php !== undefined) return { name: php.name, attributes: php.inSec, isSigned: false, isRolling: false }
  return { name: cookieName, attributes: { ...DEFAULTS, ...cookie }, isSigned: true, isRolling: cookie?.maxAge !== undefined }
}

/** The cookie by which one request names its session, and its response the session to name from then on. */
export interface OwnCookie {
  readonly form: CookieForm<unknown>
  /** Whether the request's names this session and would be set as it is: not where an earlier secret has signed it. */
  isAsSetFor(id: string): boolean
  /** @param maxAge in seconds, of this session's own. Default: the form's. */
  set(id: string, maxAge: number | undefined): void
  /** Takes it back, if the request has one, of whatever value. */
  clear(): void
}

/** Sets the cookie of a session that is decided, or takes it back, where the browser's is not as it should be. */
export function tellBrowser({ cookieId: id, isCookieTimed, maxAge }: Decided, cookie: OwnCookie): void {
  if (id === undefined) return
  if (id === null) cookie.clear()
  else if (isCookieTimed || cookie.form.isRolling || !cookie.isAsSetFor(id)) cookie.set(id, maxAge)
}
