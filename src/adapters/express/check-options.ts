import type { CookieOptions } from 'express-session'
import { ANY_COOKIE, checkCookie, checkCommonOptions, KEEPING_OPTIONS, LOCK_OPTIONS, namesOf } from '../http/check-options.js'
import { defaultCookie } from './default-cookie.js'
import type { LatchkeyOptions } from './options.js'

/** `key` is express-session's older name of `name`. */
const KNOWN = namesOf<LatchkeyOptions>(
  {
    ...{ ...LOCK_OPTIONS, ...KEEPING_OPTIONS, secret: true, name: true, genid: true, cookie: true, rolling: true },
    ...{ resave: true, proxy: true, saveUninitialized: true, unset: true },
  },
  { key: true },
)
const KNOWN_OF_COOKIE = namesOf<CookieOptions>(ANY_COOKIE)

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with the value and the limit, or the nearest name. */
export function checkOptions(options: LatchkeyOptions): void {
  checkCommonOptions(options, KNOWN, 'latchkey({ manager, ... })')
  const { cookie } = options
  // A function's are known with its request.
  if (typeof cookie !== 'function') checkCookie(cookie, KNOWN_OF_COOKIE, () => serialized(cookieNameOf(options), cookie))
}

/** By express-session, as for every response. */
function serialized(name: string, options: CookieOptions | undefined): unknown {
  const cookie: object = defaultCookie(options)
  return 'serialize' in cookie && typeof cookie.serialize === 'function' ? Reflect.apply(cookie.serialize, cookie, [name, '']) : ''
}

/** As express-session names it. */
export function cookieNameOf(options: object): string {
  const given: readonly unknown[] = ['name' in options && options.name, 'key' in options && options.key]
  return String(given.find(Boolean) ?? 'connect.sid')
}
