import type { RequestSession } from '../../request/request-session.js'

type Decided = Pick<RequestSession, 'cookieId' | 'isCookieTimed' | 'maxAge'>

/** The default of a session cookie that an adapter sets by itself. */
export const COOKIE_DEFAULTS = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' } as const

/** The cookie by which one request names its session, and its response the session to name from then on. */
export interface OwnCookie {
  /** Whether the request has one, of whatever value. */
  readonly isSent: boolean
  /** Whether every response sets it again, since its time counts from there. */
  readonly isRolling: boolean
  /** Whether the request's names this session and would be set as it is: not where an earlier secret has signed it. */
  isAsSetFor(id: string): boolean
  /** @param maxAge in seconds, of this session's own. */
  set(id: string, maxAge: number | undefined): void
  clear(): void
}

/** Sets the cookie of a session that is decided, or takes it back, where the browser's is not as it should be. */
export function tellBrowser({ cookieId: id, isCookieTimed, maxAge }: Decided, cookie: OwnCookie): void {
  if (id === undefined) return
  if (id !== null) {
    if (isCookieTimed || cookie.isRolling || !cookie.isAsSetFor(id)) cookie.set(id, maxAge)
  } else if (cookie.isSent) cookie.clear()
}
