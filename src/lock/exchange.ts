import type { LatchkeyError } from '../errors.js'
import type { Cas, Reply, Value } from '../wire/wire.js'
import type { LockToken } from './lock-token.js'

/** What goes over the wire when a lock is let go of, handed on or renewed: [change of the record, exit of the lock]. */

/** What is to become of the record. */
export type Change =
  | { readonly kind: 'none' }
  | { readonly kind: 'write'; readonly bytes: Value; readonly ttlSec: number }
  /** The same bytes for another while: how long a record lives is a part of it, and fenced like the rest. */
  | { readonly kind: 'touch'; readonly bytes: Value; readonly ttlSec: number }
  | { readonly kind: 'destroy' }

/** What is to become of the lock in the same flight: kept and renewed, deleted, or put into other hands. */
export type Exit =
  | { readonly kind: 'keep' }
  | { readonly kind: 'free' }
  | { readonly kind: 'pass'; readonly token: LockToken; readonly ttlSec: number }

/** How [change, exit] ended. */
export interface Outcome {
  /** Why the change was not, or may not have been, carried out. */
  readonly error: LatchkeyError | undefined
  /** 'unclear': the lock may still bear our name; whoever polls next finds out. */
  readonly lock: 'done' | 'lost' | 'unclear'
  /** The lock's new version, when it was kept or passed on. */
  readonly lockCas: Cas | undefined
  /** When the flight that counted was sent: a lease runs from here. */
  readonly sentAtMs: number
  /** Replies to the commands that rode along. */
  readonly extra: readonly Reply[]
}
