import { UnserializableError } from '../errors.js'
import { inherit } from '../php/memory.js'
import { hashOf } from '../system/session-hash.js'

/** Where a session that has a lifetime of its own keeps it, beside its data. */
const NAME = '_lifetimeSec'

/** Takes it out of what was stored; undefined where there is none. */
export function takeLifetime(data: object): number | undefined {
  const sec: unknown = Object.hasOwn(data, NAME) ? Reflect.get(data, NAME) : undefined
  // Where the value is no lifetime, the application itself keeps something under this name.
  if (typeof sec !== 'number' || !Number.isInteger(sec) || sec < 1) return undefined
  Reflect.deleteProperty(data, NAME)
  return sec
}

/** What was stored, for who does not ask for it. */
export function withoutLifetime<T extends object>(data: T): T {
  takeLifetime(data)
  return data
}

/** The data with it, to be stored. @throws LATCHKEY_UNSERIALIZABLE: data that is a list or a Map has no place for it. */
export function withLifetime(id: string, data: object, lifetimeSec: number): object {
  if (Object.prototype.toString.call(data) === '[object Object]') {
    const copy = { ...data, [NAME]: lifetimeSec }
    // What is remembered of a session of PHP, which is to keep its bytes.
    inherit(copy, data)
    return copy
  }
  throw new UnserializableError('The data of a session with a lifetime of its own must be a plain object; nothing was stored.', {
    session: hashOf(id),
    path: '',
  })
}
