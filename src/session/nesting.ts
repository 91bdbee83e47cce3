import { AsyncLocalStorage } from 'node:async_hooks'
import { MisuseError } from '../errors.js'
import { hashOf } from '../system/session-hash.js'

/** A session that the code around holds by `run()`. */
interface Held {
  readonly id: string
  readonly isHeld: boolean
}

interface Scope {
  readonly session: Held
  readonly outer: Scope | undefined
}

/**
 * Which sessions of one manager the running code holds by `run()`. Asking for one of them again would wait for itself
 * until `waitMs` is over, and tell only then. The storage is entered by `run()` alone: in a process that never calls it,
 * nothing is paid for it.
 */
export class Nesting {
  private readonly scopes = new AsyncLocalStorage<Scope>()

  /** Why `id` must not be waited for: the code around holds it, and has not released it. LATCHKEY_MISUSE. */
  flawOf(id: string | undefined): MisuseError | undefined {
    for (let scope = this.scopes.getStore(); scope !== undefined; scope = scope.outer) {
      if (scope.session.id !== id || !scope.session.isHeld) continue
      return new MisuseError(
        'This code runs within run() of the same session, and would wait for itself. Use the session that run() gave, ' +
          'release() it first, or begin when run() has ended.',
        { session: hashOf(scope.session.id) },
      )
    }
    return undefined
  }

  within<R>(session: Held, work: () => R): R {
    return this.scopes.run({ session, outer: this.scopes.getStore() }, work)
  }
}
