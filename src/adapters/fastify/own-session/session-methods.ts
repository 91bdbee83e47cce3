import type { LatchkeySession } from 'fastify'
import { MisuseError } from '../../../errors.js'

export type Data = Record<string, unknown>

const METHODS = ['save', 'release', 'regenerate', 'destroy'] as const

/** Puts the methods on the data, where no serializer sees them. */
export function withMethods(data: Data, owner: LatchkeySession): Data {
  for (const name of ['id', ...METHODS]) {
    if (!Object.prototype.propertyIsEnumerable.call(data, name)) continue
    throw new MisuseError(`"${name}" cannot be the name of data: request.session.${name} has a meaning of its own.`)
  }
  Object.defineProperty(data, 'id', { get: () => owner.id, configurable: true })
  for (const name of METHODS) Object.defineProperty(data, name, { value: () => owner[name](), configurable: true })
  return data
}
