import { InvalidOptionError } from '../../errors.js'
import { SessionManager } from '../../session/session-manager.js'
import type { SessionHttpError } from '../http/http-error.js'

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

export interface SessionOptions {
  /** Where the sessions are, and how they are locked. One per process. */
  readonly manager: SessionManager
  /** What the cookie is signed with. Of several the first signs, and all are taken: to change it. */
  readonly secret: string | readonly string[]
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
  /** What the holder of a lock calls itself, for whoever waits for it. Default: method and path. */
  readonly label?: (request: Request) => string
  /**
   * Told of every request that is refused for its session's sake (503, 409), before it is answered: to log it, or to
   * answer with a page of its own. Default: a line of plain text.
   */
  readonly onRefused?: (error: SessionHttpError, request: Request) => Page | Promise<Page>
}

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with what it must be. */
export function checkOptions({ manager, secret, readOnly, label, onRefused }: SessionOptions): void {
  if (!(manager instanceof SessionManager)) {
    throw new InvalidOptionError('manager is missing: withSession({ manager: new SessionManager(), secret }, handler).')
  }
  const secrets: unknown[] = [secret].flat()
  if (secrets.length === 0 || secrets.some((one) => typeof one !== 'string' || one === '')) {
    throw new InvalidOptionError('secret must be a string that is not empty, or a list of such: it signs the cookie.')
  }
  if (readOnly !== undefined && typeof readOnly !== 'boolean' && typeof readOnly !== 'function') {
    throw new InvalidOptionError(`readOnly is ${String(readOnly)}; it must be a boolean or a function of the request.`)
  }
  for (const [name, value] of Object.entries({ label, onRefused })) {
    if (value === undefined || typeof value === 'function') continue
    throw new InvalidOptionError(`${name} is ${String(value)}; it must be a function.`)
  }
}
