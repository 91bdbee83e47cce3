import type { SessionHttpError } from '../http/http-error.js'
import type { LockOptions } from '../http/options.js'

/** The session cookie's attributes. */
export interface CookieOptions {
  /** Default `/`. */
  readonly path?: string
  /** Default none: this host only. */
  readonly domain?: string
  /** Default true. */
  readonly httpOnly?: boolean
  /**
   * Default true, also where a proxy ends TLS. Browsers other than Safari take such a cookie from `http://localhost`,
   * too; a host name alone does not tell that nobody is in between.
   */
  readonly secure?: boolean
  /** Default `lax`. */
  readonly sameSite?: 'lax' | 'strict' | 'none'
  /** Seconds, counted from every response that stores the session. Default none: until the browser is closed. */
  readonly maxAge?: number
  /** Default false. */
  readonly partitioned?: boolean
}

type Page = Response | undefined

/** Options of withSession() and honoSession(). */
export interface SessionOptions extends Omit<LockOptions<Request>, 'readOnly'> {
  /**
   * What the cookie is signed with. Of several the first signs, and all are taken: to change it. `false` with the manager's
   * `php`: PHP's cookie is not signed.
   */
  readonly secret: string | readonly string[] | false
  /** Default `sessionId`. */
  readonly cookieName?: string
  readonly cookie?: CookieOptions
  /** Seconds that a session lives from its last request. At least 1. Default: the cookie's maxAge, or the manager's. */
  readonly lifetimeSec?: number
  /**
   * Whether a request only reads its session: without waiting, without a lock, and without a cookie; an attempt to
   * change it throws LATCHKEY_READ_ONLY. Default false.
   */
  readonly readOnly?: boolean | ((request: Request) => boolean)
  /**
   * Told of every request that is refused for its session's sake (503, 409), before it is answered: to log it, or to
   * answer with a page of its own. Default: a line of plain text.
   */
  readonly onRefused?: (error: SessionHttpError, request: Request) => Page | Promise<Page>
}
