import type { LatchkeySession } from 'fastify'
import { MisuseError } from '../../../errors.js'

export type Data = Record<string, unknown>

const METHODS = ['save', 'release', 'regenerate', 'destroy'] as const
/** For plugins that know sessions by them (@fastify/passport). */
const ACCESS = ['get', 'set'] as const

/** Puts the methods on the data, where no serializer sees them. */
export function withMethods(data: Data, owner: LatchkeySession): Data {
  for (const name of ['id', 'maxAge', ...METHODS, ...ACCESS]) {
    if (!Object.prototype.propertyIsEnumerable.call(data, name)) continue
    throw new MisuseError(`"${name}" cannot be the name of data: request.session.${name} has a meaning of its own.`)
  }
  Object.defineProperty(data, 'id', { get: () => owner.id, configurable: true })
  Object.defineProperty(data, 'maxAge', {
    get: () => owner.maxAge,
    set: (maxAge: number | undefined) => (owner.maxAge = maxAge),
    configurable: true,
  })
  for (const name of METHODS) Object.defineProperty(data, name, { value: () => owner[name](), configurable: true })
  Object.defineProperty(data, 'get', { value: (name: string) => owner.get(name), configurable: true })
  Object.defineProperty(data, 'set', { value: (name: string, value: unknown) => owner.set(name, value), configurable: true })
  return data
}
