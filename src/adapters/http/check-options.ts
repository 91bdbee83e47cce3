import { InvalidOptionError } from '../../errors.js'
import { checkNames, shown } from '../../session/option-checks.js'
import { SessionManager } from '../../session/session-manager.js'
import { MAX_TTL_SEC } from './session-record.js'

const MAX_GRACE_MS = 3_600_000

/** What adapters are given of latchkey's own, before it is known whether it is right. */
interface Given {
  readonly manager?: unknown
  readonly store?: unknown
  readonly label?: unknown
  readonly readOnly?: unknown
  readonly graceMs?: unknown
  readonly ttl?: unknown
  readonly touchAfter?: unknown
  readonly disableTouch?: unknown
}

/** The names of an adapter's options: a list that the compiler compares with their type. */
export type Names<Options> = Readonly<Record<keyof Options, true>>

export const namesOf = (...lists: readonly Readonly<Record<string, true>>[]): ReadonlySet<string> =>
  new Set(lists.flatMap((names) => Object.keys(names)))

/**
 * All that adapters have in common. A name that is none is refused: in silence, `readonly: true` would lock and write.
 *
 * @param example how the adapter is called: 'latchkey({ manager, ... })'
 * @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with the value and the limit, or the nearest name.
 */
export function checkOptions(options: Given, known: ReadonlySet<string>, example: string): void {
  // Called from plain JavaScript, it may be given none.
  const given: Given | null | undefined = options
  if (!(given?.manager instanceof SessionManager)) {
    throw new InvalidOptionError(`manager is missing: const manager = new SessionManager({ savePath }); ${example}.`)
  }
  const { store, label, readOnly, graceMs, ttl, touchAfter, disableTouch } = given
  if (store !== undefined) {
    throw new InvalidOptionError('store cannot be given: the sessions are kept by the manager (its savePath).')
  }
  checkNames(given, known)
  checkFunction('label', label, 'a function of the request')
  checkFunction('readOnly', readOnly, 'a function of the request that returns true or false')
  checkNumber('graceMs', graceMs, 0, MAX_GRACE_MS)
  if (typeof ttl !== 'function') checkNumber('ttl', ttl, -Number.MAX_VALUE, MAX_TTL_SEC)
  checkNumber('touchAfter', touchAfter, 0, MAX_TTL_SEC)
  checkFlag('disableTouch', disableTouch)
}

export function checkFunction(name: string, value: unknown, what = 'a function'): void {
  if (value !== undefined && typeof value !== 'function') fail(name, value, what)
}

export function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') fail(name, value, 'true or false')
}

export function checkNumber(name: string, value: unknown, least: number, most: number): void {
  if (value === undefined || (typeof value === 'number' && value >= least && value <= most)) return
  fail(name, value, least < 0 ? `a function, or a number up to ${String(most)}` : `a number from ${String(least)} to ${String(most)}`)
}

export function fail(name: string, value: unknown, what: string): never {
  throw new InvalidOptionError(`${name} is ${shown(value)}; it must be ${what}.`)
}
