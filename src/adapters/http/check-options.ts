import { InvalidOptionError } from '../../errors.js'
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

/**
 * @param example how the adapter is called: 'latchkey({ manager, ... })'
 * @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with the value and the limit.
 */
export function checkOptions({ manager, store, label, readOnly, graceMs, ...storing }: Given, example: string): void {
  const { ttl, touchAfter, disableTouch } = storing
  if (!(manager instanceof SessionManager)) {
    throw new InvalidOptionError(`manager is missing: const manager = new SessionManager({ savePath }); ${example}.`)
  }
  if (store !== undefined) {
    throw new InvalidOptionError('store cannot be given: the sessions are kept by the manager (its savePath).')
  }
  checkFunction('label', label, 'a function of the request')
  checkFunction('readOnly', readOnly, 'a function of the request that returns true or false')
  checkNumber('graceMs', graceMs, 0, MAX_GRACE_MS)
  if (typeof ttl !== 'function') checkNumber('ttl', ttl, -Infinity, MAX_TTL_SEC)
  checkNumber('touchAfter', touchAfter, 0, MAX_TTL_SEC)
  if (disableTouch !== undefined && typeof disableTouch !== 'boolean') fail('disableTouch', disableTouch, 'true or false')
}

function checkFunction(name: string, value: unknown, what: string): void {
  if (value !== undefined && typeof value !== 'function') fail(name, value, what)
}

function checkNumber(name: string, value: unknown, least: number, most: number): void {
  if (value === undefined || (typeof value === 'number' && value >= least && value <= most)) return
  fail(name, value, least === -Infinity ? `a function, or a number up to ${String(most)}` : `a number from ${String(least)} to ${String(most)}`)
}

function fail(name: string, value: unknown, what: string): never {
  throw new InvalidOptionError(`${name} is ${String(value)}; it must be ${what}.`)
}
