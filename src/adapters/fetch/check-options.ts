import { InvalidOptionError } from '../../errors.js'
import { checkFlag, checkFunction } from '../../session/option-checks.js'
import { checkCookie, checkCommonOptions, LOCK_OPTIONS, namesOf, OWN_COOKIE } from '../http/check-options.js'
import type { CookieOptions, SessionOptions } from './options.js'
import { FetchCookie, fetchFormOf } from './session-cookie.js'

const KNOWN = namesOf<SessionOptions>({ ...LOCK_OPTIONS, secret: true, cookieName: true, cookie: true, lifetimeSec: true, onRefused: true })
const KNOWN_OF_COOKIE = namesOf<CookieOptions>(OWN_COOKIE)

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with what it must be, or the nearest name. */
export function checkOptions(options: SessionOptions): void {
  const { readOnly, ...rest } = { ...options }
  // Here alone it may be true as well: a handler has options of its own.
  if (typeof readOnly !== 'boolean') checkFunction('readOnly', readOnly, 'a boolean or a function of the request')
  checkCommonOptions(rest, KNOWN, 'withSession({ manager, secret }, handler)')
  const { secret, cookie, onRefused } = rest
  const secrets: unknown[] = [secret].flat()
  const isMissing = secrets.length === 0 || secrets.some((one) => typeof one !== 'string' || one === '')
  if (isMissing && rest.manager.php === undefined) {
    throw new InvalidOptionError('secret must be a string that is not empty, or a list of such: it signs the cookie.')
  }
  checkFunction('onRefused', onRefused)
  checkCookie(cookie, KNOWN_OF_COOKIE, () => new FetchCookie(fetchFormOf(options)).set(''), 'seconds')
  for (const name of ['httpOnly', 'secure', 'partitioned'] as const) checkFlag(`cookie.${name}`, cookie?.[name])
}
