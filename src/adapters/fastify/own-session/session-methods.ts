import type { LatchkeySession } from 'fastify'
import { MisuseError } from '../../../errors.js'
import { own } from '../../../session/protect.js'

export type Data = Record<string, unknown>

const METHODS = ['save', 'release', 'regenerate', 'destroy'] as const
/** For plugins that know sessions by them (@fastify/passport). */
const ACCESS = ['get', 'set'] as const

/** What is done with a session, whose data is on `request.session`. */
interface Owner extends Omit<LatchkeySession, (typeof ACCESS)[number]> {
  readonly data: Data
}

/** A copy of the data, which may be another request's as well, with the methods on it, where no serializer sees them. */
export function withMethods(given: object, owner: () => Owner): Data {
  const data: Data = own({ ...given })
  for (const name of ['id', 'maxAge', ...METHODS, ...ACCESS]) {
    if (!Object.hasOwn(data, name)) continue
    throw new MisuseError(`"${name}" cannot be the name of data: request.session.${name} has a meaning of its own.`)
  }
  const define = (name: string, property: PropertyDescriptor): unknown =>
    Object.defineProperty(data, name, { ...property, configurable: true })
  define('id', { get: () => owner().id })
  define('maxAge', { get: () => owner().maxAge, set: (maxAge: number | undefined) => (owner().maxAge = maxAge) })
  for (const name of METHODS) define(name, { value: () => owner()[name]() })
  define('get', { value: (name: string) => owner().data[name] })
  define('set', {
    value: (name: string, value: unknown) => {
      if (value === undefined) Reflect.deleteProperty(owner().data, name)
      else owner().data[name] = value
    },
  })
  return data
}
