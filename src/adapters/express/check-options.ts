import type { CookieOptions } from 'express-session'
import { checkCookie } from '../http/check-cookie.js'
import { checkOptions as checkCommonOptions, type Names, namesOf } from '../http/check-options.js'
import { defaultCookie } from './default-cookie.js'
import type { LatchkeyOptions } from './options.js'

const NAMES: Names<LatchkeyOptions> = {
  ...{ manager: true, ttl: true, readOnly: true, touchAfter: true, disableTouch: true, label: true, graceMs: true },
  ...{ secret: true, name: true, genid: true, cookie: true, rolling: true, resave: true, proxy: true },
  ...{ saveUninitialized: true, unset: true },
}
/** express-session's older name of `name`. */
const KNOWN = namesOf(NAMES, { key: true })

const COOKIE: Names<CookieOptions> = {
  ...{ path: true, domain: true, httpOnly: true, secure: true, sameSite: true, maxAge: true, expires: true },
  ...{ partitioned: true, priority: true, signed: true, encode: true },
}
const KNOWN_OF_COOKIE = namesOf(COOKIE)

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with the value and the limit, or the nearest name. */
export function checkOptions(options: LatchkeyOptions): void {
  checkCommonOptions(options, KNOWN, 'latchkey({ manager, ... })')
  const { cookie } = options
  // A function's are known with its request.
  if (typeof cookie !== 'function') checkCookie(cookie, KNOWN_OF_COOKIE, () => serialized(nameOf(options), cookie))
}

/** By express-session, as for every response. */
function serialized(name: string, options: CookieOptions | undefined): unknown {
  const cookie: object = defaultCookie(options)
  return 'serialize' in cookie && typeof cookie.serialize === 'function' ? Reflect.apply(cookie.serialize, cookie, [name, '']) : ''
}

/** As express-session names it. */
export function nameOf(options: object): string {
  const given: readonly unknown[] = ['name' in options && options.name, 'key' in options && options.key]
  return String(given.find(Boolean) ?? 'connect.sid')
}
