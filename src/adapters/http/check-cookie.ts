import { InvalidOptionError } from '../../errors.js'
import { checkNames } from '../../session/option-checks.js'
import { checkNumber, fail } from './check-options.js'

/** What a session's cookie is given, before it is known whether it is right. */
interface Given {
  readonly maxAge?: unknown
  readonly expires?: unknown
}

/** Later than this is no date. */
const LAST_MS = 8.64e15

/**
 * The option `cookie`: whether a cookie can be made of it, and every attribute is one.
 *
 * @param make makes one, as every response will; throws where it cannot.
 * @param leastMaxAge in the framework's unit.
 * @throws InvalidOptionError LATCHKEY_INVALID_OPTION
 */
export function checkCookie(cookie: unknown, known: ReadonlySet<string>, make: () => unknown, leastMaxAge = 0): void {
  if (cookie !== undefined) {
    if (typeof cookie !== 'object' || cookie === null) fail('cookie', cookie, 'an object')
    const { maxAge, expires }: Given = cookie
    checkNames(cookie, known, 'cookie')
    // To express-session null is none.
    checkNumber('cookie.maxAge', maxAge ?? undefined, leastMaxAge, LAST_MS - Date.now())
    if (expires instanceof Date && Number.isNaN(expires.getTime())) fail('cookie.expires', 'an invalid Date', 'a date')
  }
  checkCookieCanBeMade(make)
}

/** Each response would fail of it. @throws InvalidOptionError LATCHKEY_INVALID_OPTION */
export function checkCookieCanBeMade(make: () => unknown): void {
  try {
    make()
  } catch (cause) {
    throw new InvalidOptionError("No cookie can be made of the cookie's name and attributes: see the cause.", { cause })
  }
}
