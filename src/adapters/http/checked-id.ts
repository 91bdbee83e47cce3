import { MisuseError } from '../../errors.js'

/**
 * The application's function that makes session ids, given as the option `name`, or `createSid`: the ids that frameworks make
 * by themselves come from the process's memory, and a process that is resumed twice from a snapshot makes the same ones again.
 * It throws LATCHKEY_MISUSE where it returns no string: a promise, say, which a framework would answer with and never
 * store a session under. What is no function the framework refuses by itself.
 */
export function checkedIds<Args extends unknown[]>(
  name: string,
  given: ((...args: Args) => string) | undefined,
  createSid: () => string,
): (...args: Args) => string {
  const make = given ?? createSid
  if (typeof make !== 'function') return make
  return (...args) => {
    const id: unknown = make(...args)
    if (typeof id === 'string') return id
    // Without a handler, a promise that fails would end the process.
    if (id instanceof Promise) id.catch(() => undefined)
    throw new MisuseError(`${name} returned ${id instanceof Promise ? 'a promise' : typeof id}; it must return a string, at once.`)
  }
}
