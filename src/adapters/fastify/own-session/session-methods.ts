import type { LatchkeySession } from 'fastify'
import { MisuseError } from '../../../errors.js'
import { own } from '../../../session/protect.js'

export type Data = Record<string, unknown>

const METHODS = ['save', 'release', 'regenerate', 'destroy'] as const
/** For plugins that know sessions by them (@fastify/passport). */
const ACCESS = ['get', 'set'] as const

/** Whose data is on `request.session`. */
type Owner = Omit<LatchkeySession, (typeof ACCESS)[number]> & { readonly data: Data }

/** The data, or a copy of what may be another request's as well, with the methods on it, where no serializer sees them. */
export function withSessionMethods(given: object, isOwn: boolean, owner: Owner): object {
  const data = isOwn && Object.isExtensible(given) ? given : own({ ...given })
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
  Object.defineProperty(data, 'get', { value: (name: string) => owner.data[name], configurable: true })
  Object.defineProperty(data, 'set', {
    value: (name: string, value: unknown) => {
      if (value === undefined) Reflect.deleteProperty(owner.data, name)
      else owner.data[name] = value
    },
    configurable: true,
  })
  return data
}
