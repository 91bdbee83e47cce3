import { InvalidOptionError } from '../../errors.js'
import { checkFlag, checkFunction, checkNumber, fail, MAX_TTL_SEC } from '../../session/option-checks.js'
import { SessionManager } from '../../session/session-manager.js'
import { checkNames } from '../../system/option-names.js'
import type { LockOptions } from './options.js'
import type { KeepingOptions } from './session-record.js'
import { checkPhpOptions } from './shared-cookie.js'

const MAX_CLIENT_GONE_MS = 3_600_000
/** Later than this is no date. */
const LAST_MS = 8.64e15

/** What adapters are given, before it is known whether it is right. */
type Given = Readonly<Partial<Record<keyof LockOptions<never> | keyof KeepingOptions<never> | 'store' | 'lifetimeSec', unknown>>>

/** The names of an adapter's options: a list that the compiler compares with their type. */
type Names<Options> = Readonly<Record<keyof Options, true>>

export const LOCK_OPTIONS: Names<LockOptions<never>> = { manager: true, readOnly: true, label: true, clientGoneMs: true }
export const KEEPING_OPTIONS: Names<KeepingOptions<never>> = { ttl: true, touchAfter: true, disableTouch: true }
/** The attributes of a cookie that only says which session it is. */
export const OWN_COOKIE = {
  path: true, domain: true, httpOnly: true, secure: true, sameSite: true, maxAge: true, partitioned: true,
} as const
/** And those that express-session and @fastify/session know. */
export const ANY_COOKIE = { ...OWN_COOKIE, expires: true, priority: true, signed: true, encode: true } as const

/** @param others what the type does not say. */
export const namesOf = <Options>(names: Names<Options>, others: object = {}): ReadonlySet<string> =>
  new Set([names, others].flatMap((all) => Object.keys(all)))

/**
 * All that adapters have in common. A name that is none is refused: in silence, `readonly: true` would lock and write.
 *
 * @param example how the adapter is called: 'latchkey({ manager, ... })'
 * @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with the value and the limit, or the nearest name.
 */
export function checkCommonOptions(options: Given, known: ReadonlySet<string>, example: string): void {
  // Called from plain JavaScript, it may be given none.
  const given: Given | null | undefined = options
  if (!(given?.manager instanceof SessionManager)) {
    throw new InvalidOptionError(`manager is missing: const manager = new SessionManager({ savePath }); ${example}.`)
  }
  const { store, label, readOnly, clientGoneMs, lifetimeSec, ttl, touchAfter, disableTouch } = given
  if (store !== undefined) {
    throw new InvalidOptionError('store cannot be given: the sessions are kept by the manager (its savePath).')
  }
  checkNames(given, known)
  if (given.manager.php !== undefined) checkPhpOptions(given)
  checkFunction('label', label, 'a function of the request')
  checkFunction('readOnly', readOnly, 'a function of the request that returns true or false')
  checkNumber('clientGoneMs', clientGoneMs, 0, MAX_CLIENT_GONE_MS)
  checkNumber('lifetimeSec', lifetimeSec, 1, MAX_TTL_SEC)
  if (typeof ttl !== 'function') checkNumber('ttl', ttl, -Number.MAX_VALUE, MAX_TTL_SEC)
  checkNumber('touchAfter', touchAfter, 0, MAX_TTL_SEC)
  checkFlag('disableTouch', disableTouch)
}

/**
 * The option `cookie`: whether a cookie can be made of it, and every attribute is one.
 *
 * @param make makes one, as every response will; throws where it cannot.
 * @param unit the framework's, of maxAge; in seconds it is the session's lifetime as well.
 * @throws InvalidOptionError LATCHKEY_INVALID_OPTION
 */
export function checkCookie(cookie: unknown, known: ReadonlySet<string>, make: () => unknown, unit: 'seconds' | 'milliseconds'): void {
  if (cookie !== undefined) {
    if (typeof cookie !== 'object' || cookie === null) fail('cookie', cookie, 'an object')
    const { maxAge, expires }: { readonly maxAge?: unknown; readonly expires?: unknown } = cookie
    checkNames(cookie, known, 'cookie')
    // To express-session null is none.
    const [least, most] = unit === 'seconds' ? [1, MAX_TTL_SEC] : [0, LAST_MS - Date.now()]
    checkNumber('cookie.maxAge', maxAge ?? undefined, least, most, `a number of ${unit}`)
    if (expires instanceof Date && Number.isNaN(expires.getTime())) fail('cookie.expires', expires, 'a date')
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
