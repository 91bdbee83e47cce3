import type { CookieOptions } from 'express-session'
import { InvalidOptionError } from '../../errors.js'
import { ANY_COOKIE, checkCookie, checkCommonOptions, KEEPING_OPTIONS, LOCK_OPTIONS, namesOf } from '../http/check-options.js'
import { defaultCookie } from './bare-store.js'
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
  if (options.manager.php === undefined) checkSecret(options)
  const { cookie } = options
  // A function's are known with its request.
  if (typeof cookie !== 'function') checkCookie(cookie, KNOWN_OF_COOKIE, () => serialized(cookieNameOf(options), cookie), 'milliseconds')
}

/**
 * Without a secret every request would fail. Where the option is left out, express-session takes what cookie-parser has put
 * on the request, which is not known before; where it is given and undefined (`process.env.SECRET`), a secret was meant.
 */
function checkSecret(options: LatchkeyOptions): void {
  if (!('secret' in options)) return
  const { secret } = options
  const secrets: readonly unknown[] = [secret].flat()
  if (secrets.length > 0 && secrets.every(Boolean)) return
  const given = Array.isArray(secret) ? 'a list without one, or with an empty one' : secret === '' ? 'empty' : String(secret)
  throw new InvalidOptionError(
    `secret is ${given}; it must be a string that is not empty, or a list of such: it signs the cookie. ` +
      'Left out altogether it is the secret that cookie-parser has.',
  )
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

const MISSED = ['resave', 'saveUninitialized'] as const

/**
 * Warns, as express-session does, of the options whose default has long been going to change; and names the line that
 * lacks them. express-session would name the one that called it, which is a line of this package.
 *
 * @param called the function that the application has called: what is below it on the stack is the application's.
 */
export function warnOfMissing(given: Readonly<Partial<Record<(typeof MISSED)[number], unknown>>>, called: (...args: never[]) => unknown): void {
  const missing = MISSED.filter((name) => given[name] === undefined)
  if (missing.length === 0) return
  const here: { stack?: string } = {}
  Error.captureStackTrace(here, called)
  const line = here.stack?.split('\n')[1]?.trim() ?? ''
  const names = missing.join(' and ')
  process.emitWarning(`latchkey/express without ${names}: it goes on with true, as express-session does. Say which; false is best. ${line}`, 'DeprecationWarning')
}
