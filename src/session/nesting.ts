import { AsyncLocalStorage } from 'node:async_hooks'
import { MisuseError } from '../errors.js'
import { hashOf } from '../system/session-hash.js'

/** A session that the code around holds by `run()`. */
interface Held {
  readonly id: string
  readonly isHeld: boolean
}

interface Scope {
  readonly of: Nesting
  readonly session: Held
}

/**
 * One for all managers: Node carries each storage that was ever entered to every promise that the process makes, for
 * as long as it runs. With one for each manager, each manager that was ever made would slow the process down for ever.
 */
const scopes = new AsyncLocalStorage<readonly Scope[]>()

/**
 * Which sessions of one manager the running code holds by `run()`. Asking for one of them again would wait for itself
 * until `waitMs` is over, and tell only then. The storage is entered by `run()` alone: in a process that never calls it,
 * nothing is paid for it.
 */
export class Nesting {
  /** Why `id` must not be waited for: the code around holds it, and has not released it. LATCHKEY_MISUSE. */
  flawOf(id: string | undefined): MisuseError | undefined {
    const around = scopes.getStore()?.find(({ of, session }) => of === this && session.id === id && session.isHeld)
    if (around === undefined) return undefined
    return new MisuseError(
      'This code runs within run() of the same session, and would wait for itself. Use the session that run() gave, ' +
        'release() it first, or begin when run() has ended.',
      { session: hashOf(around.session.id) },
    )
  }

  within<R>(session: Held, work: () => R): R {
    // Without those that have ended: what a run() sets off for later calls run(), and so on, for as long as the process runs.
    const around = scopes.getStore()?.filter((scope) => scope.session.isHeld) ?? []
    return scopes.run([...around, { of: this, session }], work)
  }
}
