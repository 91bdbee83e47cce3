/**
 * What JavaScript's values do not show of the PHP values that they were made of. It is kept beside them, so that what
 * nobody has changed is written with the same bytes again.
 */

/** Of one entry of an array, an object or the session itself. */
export interface Remembered {
  /** What stands there, if nobody has changed it. */
  readonly value: unknown
  /** A float's text as it was: `5` of `d:5;` would come back as an integer, and PHP may be set to write more digits. */
  readonly float: string | undefined
  /** The key was written as an integer. Of objects only: in arrays the key itself says so. */
  readonly hasIntegerKey: boolean
  /** The entry is one of several names of one value: the same object for each of them. */
  readonly reference: object | undefined
}

export interface Memory {
  /** The keys as PHP had them: JavaScript puts those that are numbers before all others. */
  readonly order: readonly string[]
  readonly entries: ReadonlyMap<string, Remembered>
}

const memories = new WeakMap<object, Memory>()

export const remember = (container: object, memory: Memory): void => void memories.set(container, memory)

export const memoryOf = (container: object): Memory | undefined => memories.get(container)

/** `to` holds what `from` held, for a framework that makes an object of its own of it: what is still the same there is remembered. */
export function inherit(to: object, from: object): void {
  const memory = memoryOf(from)
  if (memory !== undefined) remember(to, memory)
}

/** The container's keys: those that PHP knows in PHP's order, then the new ones. */
export function keysOf(container: object): string[] {
  const keys = Object.keys(container)
  const memory = memoryOf(container)
  if (memory === undefined) return keys
  const present = new Set(keys)
  const known = memory.order.filter((key) => present.has(key))
  const isKnown = new Set(known)
  return [...known, ...keys.filter((key) => !isKnown.has(key))]
}
