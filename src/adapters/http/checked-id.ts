import { MisuseError } from '../../errors.js'
import type { SessionManager } from '../../session/session-manager.js'

/** The application's function that makes session ids, under its option's `name`, if there is one. */
export interface IdMaker<Args extends unknown[]> {
  readonly manager: SessionManager
  readonly name: string
  readonly make: ((...args: Args) => string) | undefined
}

/**
 * The function, but that it throws LATCHKEY_MISUSE where it makes no id: a promise, say, which a framework would
 * answer with and never store a session under.
 */
export function checkedIds<Args extends unknown[]>({ manager, name, make }: IdMaker<Args>): ((...args: Args) => string) | undefined {
  if (make === undefined) return undefined
  return (...args) => {
    const id: unknown = make(...args)
    const flaw = manager.flawOf(id)
    if (typeof id === 'string' && flaw === undefined) return id
    // Of a promise that fails nobody is told otherwise.
    if (id instanceof Promise) id.catch(() => undefined)
    const what = id instanceof Promise ? 'a promise' : typeof id === 'string' ? 'a string that is no session id' : typeof id
    throw new MisuseError(`${name} returned ${what}; it must return a session id, at once: ${flaw ?? 'a string'}.`)
  }
}
