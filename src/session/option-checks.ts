import { InvalidOptionError } from '../errors.js'

/** The longest that a manager keeps a record; a cookie may name a later day. */
export const MAX_TTL_SEC = 100 * 365 * 86_400

/** What all keys of a manager may begin with. */
export const KEY_PREFIX = /^[\x21-\x7e]{0,100}$/

/** A value as an error message shows it: a string as one, for 60 and '60' differ, and without the password of a save path. Never throws. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.replace(/:\/\/.*@/s, '://…@')}' (a string)`
  if (value instanceof Date && Number.isNaN(value.getTime())) return 'an invalid Date'
  if (typeof value === 'function') return 'a function'
  // Some objects have no string form: those without a prototype.
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

export function checkFunction(name: string, value: unknown, what = 'a function'): void {
  if (value !== undefined && typeof value !== 'function') fail(name, value, what)
}

export function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') fail(name, value, 'true or false')
}

export function checkNumber(name: string, value: unknown, least: number, most: number, what = 'a number'): void {
  if (value === undefined || (typeof value === 'number' && value >= least && value <= most)) return
  fail(name, value, least < 0 ? `a function, or a number up to ${String(most)}` : `${what} from ${String(least)} to ${String(most)}`)
}

export function fail(name: string, value: unknown, what: string): never {
  throw new InvalidOptionError(`${name} is ${shown(value)}; it must be ${what}.`)
}

/** What was given in place of a collaborator must be able to do what it is for, or say so now and not in a request. */
export function withMethods<T extends object>(name: string, value: T | undefined, methods: readonly (keyof T & string)[]): T | undefined {
  if (value === undefined) return undefined
  const given: unknown = value
  // superjson is a class.
  const isObject = (typeof given === 'object' && given !== null) || typeof given === 'function'
  const missing = isObject ? methods.find((method) => typeof value[method] !== 'function') : methods[0]
  if (missing === undefined) return value
  throw new InvalidOptionError(`${name} has no method ${missing}(); it must have ${methods.join('(), ')}().`)
}
