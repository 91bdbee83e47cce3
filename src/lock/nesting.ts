import { AsyncLocalStorage } from 'node:async_hooks'
import { MisuseError } from '../errors.js'
import { hashOf } from '../system/session-hash.js'

/** A session or a named lock that the code around holds by `run()`. */
interface Held {
  readonly id: string
  readonly isHeld: boolean
}

interface Scope {
  readonly of: Nesting
  readonly held: Held
}

/**
 * One for all managers: Node carries each storage that was ever entered to every promise that the process makes, for
 * as long as it runs. With one for each manager, each manager that was ever made would slow the process down for ever.
 */
const scopes = new AsyncLocalStorage<readonly Scope[]>()

/**
 * Which sessions of one manager, or which of its named locks, the running code holds by `run()`. Asking for one of them
 * again would wait for itself until `waitMs` is over, and tell only then. The storage is entered by `run()` alone: in a process that never calls it,
 * nothing is paid for it.
 */
export class Nesting {
  constructor(private readonly what: 'session' | 'lock') {}

  /** Why `id` must not be waited for: the code around holds it, and has not released it. LATCHKEY_MISUSE. */
  flawOf(id: string | undefined): MisuseError | undefined {
    const around = scopes.getStore()?.find(({ of, held }) => of === this && held.id === id && held.isHeld)
    if (around === undefined) return undefined
    return new MisuseError(
      `This code runs within run() of the same ${this.what}, and would wait for itself. Use the ${this.what} that run() gave, ` +
        'release() it first, or begin when run() has ended.',
      { session: hashOf(around.held.id) },
    )
  }

  within<R>(held: Held, work: () => R): R {
    // Without those that have ended: what a run() sets off for later calls run(), and so on, for as long as the process runs.
    const around = scopes.getStore()?.filter((scope) => scope.held.isHeld) ?? []
    return scopes.run([...around, { of: this, held }], work)
  }
}
