/** What may reach a socket: anything else would break the framing, or mean something else than it says. */
import { isKey } from '../key.js'
import type { Cas, Command, Value } from '../wire.js'

/** Why a command must not reach a socket: it would break the framing, or mean something else than it says. */
export function problemOf(command: Command, version: RegExp): string | undefined {
  const problem = problemOfKey(command.key)
  if (problem !== undefined) return problem
  switch (command.op) {
    case 'get':
    case 'delete':
      return undefined
    case 'touch':
      return problemOfTtl(command.ttlSec)
    case 'cad':
      return problemOfCas(command.cas, version)
    case 'cas':
      return problemOfCas(command.cas, version) ?? problemOfItem(command)
    case 'add':
    case 'set':
      return problemOfItem(command)
  }
}

export const problemOfKey = (key: string): string | undefined =>
  isKey(key) ? undefined : 'A key is 1 to 250 visible ASCII characters.'

interface Item {
  readonly value: Value
  readonly flags?: number
  readonly ttlSec: number
}

export function problemOfItem({ value, flags, ttlSec }: Item): string | undefined {
  if (typeof value !== 'string' && !Buffer.isBuffer(value)) return 'A value is a Buffer or a string.'
  if (flags !== undefined && flags >>> 0 !== flags) return `Flags are an unsigned 32-bit integer (got ${String(flags)}).`
  return problemOfTtl(ttlSec)
}

export const problemOfTtl = (ttlSec: number): string | undefined =>
  Number.isInteger(ttlSec) && ttlSec >= 1 ? undefined : `A TTL is a whole number of seconds, at least 1 (got ${String(ttlSec)}).`

const problemOfCas = (cas: Cas, version: RegExp): string | undefined =>
  version.test(cas.version) ? undefined : 'The CAS was not made by this wire.'
