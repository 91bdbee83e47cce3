/** What may reach a socket: anything else would break the framing, or mean something else than it says. */
import { problemOfKey, problemOfTtl } from '../problems.js'
import type { Cas, Command, Value } from '../wire.js'

/** Why a command must not reach a socket: it would break the framing, or mean something else than it says. */
function problemOf(command: Command, version: RegExp): string | undefined {
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

/** Why a flight with these commands must not be sent. */
export function problemIn(commands: readonly Command[], version: RegExp): string | undefined {
  for (const command of commands) {
    const problem = problemOf(command, version)
    if (problem !== undefined) return problem
  }
  return undefined
}

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

const problemOfCas = (cas: Cas, version: RegExp): string | undefined =>
  version.test(cas.version) ? undefined : 'The CAS was not made by this wire.'
