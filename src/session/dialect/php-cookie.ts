import { checkNames } from '../../system/option-names.js'
import { checkFlag, checkNumber, fail, MAX_TTL_SEC } from '../option-checks.js'

/** The attributes of PHP's session cookie: `session.cookie_*` of php.ini. */
export interface PhpCookieOptions {
  /** `session.cookie_lifetime`: seconds, counted from when the cookie is set. Default 0: until the browser is closed. */
  readonly lifetimeSec?: number
  /** `session.cookie_path`. Default `/`. */
  readonly path?: string
  /** `session.cookie_domain`. Default none: this host only. */
  readonly domain?: string
  /** `session.cookie_secure`. Default false, as in php.ini. */
  readonly secure?: boolean
  /** `session.cookie_httponly`. Default true, unlike php.ini: no script of a page needs it. */
  readonly httpOnly?: boolean
  /** `session.cookie_samesite`. Default none, as in php.ini. */
  readonly sameSite?: 'lax' | 'strict' | 'none'
}

/** What a cookie's name may be (RFC 6265), and PHP takes as one. */
const NAME = /^[!#$%&'*+^`|~0-9A-Za-z-][!#$%&'*+^_`|~0-9A-Za-z-]{0,99}$/
/** What no attribute may hold: it would begin another one. */
const ATTRIBUTE = /^[\x20-\x3a\x3c-\x7e]{0,1000}$/
const SAME_SITE = ['lax', 'strict', 'none']
const KNOWN = new Set(['lifetimeSec', 'path', 'domain', 'secure', 'httpOnly', 'sameSite'])

/** Whether PHP and browsers both take it as the name of a cookie; PHP takes a number for no name. */
export const isCookieName = (name: string): boolean => NAME.test(name) && !/^\d+$/.test(name)

interface Given {
  readonly cookieName?: string
  readonly cookie?: PhpCookieOptions
}

type Named = 'lifetimeSec' | 'path' | 'secure' | 'httpOnly'

/** The cookie with its defaults. */
export interface PhpCookie {
  readonly cookieName: string
  readonly cookie: PhpCookieOptions & Required<Pick<PhpCookieOptions, Named>>
}

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION */
export function checkedPhpCookie({ cookieName = 'PHPSESSID', cookie = {} }: Given): PhpCookie {
  if (typeof cookieName !== 'string' || !isCookieName(cookieName)) {
    fail('php.cookieName', cookieName, 'a name as PHP takes it in session.name')
  }
  const given: unknown = cookie
  if (typeof given !== 'object' || given === null) fail('php.cookie', given, 'an object')
  checkNames(cookie, KNOWN, 'php.cookie')
  const { path = '/', domain, sameSite } = cookie
  checkNumber('php.cookie.lifetimeSec', cookie.lifetimeSec, 0, MAX_TTL_SEC)
  if (typeof path !== 'string' || !ATTRIBUTE.test(path)) fail('php.cookie.path', path, 'a path')
  if (domain !== undefined && (typeof domain !== 'string' || !ATTRIBUTE.test(domain))) fail('php.cookie.domain', domain, 'a host name')
  if (sameSite !== undefined && !SAME_SITE.includes(sameSite)) fail('php.cookie.sameSite', sameSite, SAME_SITE.join(' or '))
  checkFlag('php.cookie.secure', cookie.secure)
  checkFlag('php.cookie.httpOnly', cookie.httpOnly)
  return {
    cookieName,
    cookie: {
      lifetimeSec: cookie.lifetimeSec ?? 0,
      path,
      ...(domain === undefined ? {} : { domain }),
      secure: cookie.secure ?? false,
      httpOnly: cookie.httpOnly ?? true,
      ...(sameSite === undefined ? {} : { sameSite }),
    },
  }
}
