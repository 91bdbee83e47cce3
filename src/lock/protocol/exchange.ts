import type { LatchkeyError } from '../../errors.js'
import type { Cas, Command, Reply, Value } from '../../wire/wire.js'
import type { SessionKeys } from './key-layout.js'
import type { LockToken } from './lock-token.js'

/** What goes over the wire when a lock is let go of, handed on or renewed: [change of the record, exit of the lock]. */

/** What is to become of the record. */
export type Change =
  | { readonly kind: 'none' }
  | { readonly kind: 'write'; readonly bytes: Value; readonly ttlSec: number }
  /** The same bytes for another while: how long a record lives is a part of it, and fenced like the rest. */
  | { readonly kind: 'touch'; readonly bytes: Value; readonly ttlSec: number }
  /** A record of no bytes takes its place, for `ttlSec`. */
  | { readonly kind: 'destroy'; readonly ttlSec: number }
  /**
   * Nothing takes its place, where records of no bytes are sessions. `isFenced`: only if it is as it was read; otherwise
   * what stands there goes as well, as with `destroy`.
   */
  | { readonly kind: 'delete'; readonly isFenced: boolean }

/** What is to become of the lock in the same flight: kept and renewed, deleted, or put into other hands. */
export type Exit =
  | { readonly kind: 'keep'; readonly token: LockToken; readonly ttlSec: number }
  | { readonly kind: 'free' }
  | { readonly kind: 'pass'; readonly token: LockToken; readonly ttlSec: number }

export const NOTHING: Change = { kind: 'none' }
export const FREE: Exit = { kind: 'free' }

/** [change, FREE] that was sent already. */
export interface Departed {
  readonly change: Change
  readonly stamp: number
  readonly sentAtMs: number
}

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

export const EMPTY: Buffer = Buffer.alloc(0)

/** The version of what it replaces, and the stamp that the record is to bear. */
interface Fence {
  readonly recordCas: Cas | undefined
  readonly lockCas: Cas
  readonly stamp: number
}

/** The commands of one flight, in their order. */
export function commandsOf(keys: SessionKeys, change: Change, exit: Exit, fence: Fence): Command[] {
  const exits = exitCommand(keys.lock, exit, fence.lockCas)
  return change.kind === 'none' ? [exits] : [changeCommand(keys.record, change, exit, fence), exits]
}

/** Carried out once at the most, however often and however late: by the record's version, or where there is none. */
export function changeCommand(
  key: string,
  change: Exclude<Change, { readonly kind: 'none' }>,
  exit: Exit,
  { recordCas: cas, stamp: flags }: Omit<Fence, 'lockCas'>,
): Command {
  // By its version: carried out late, it deletes nothing that was begun since. Where nothing was, there is nothing to do.
  if (change.kind === 'delete') return cas === undefined ? { op: 'get', key } : { op: 'cad', key, cas }
  const { ttlSec } = change
  const value = change.kind === 'destroy' ? EMPTY : change.bytes
  if (cas === undefined) return { op: 'add', key, value, ttlSec, flags }
  return { op: 'cas', cas, wantCas: exit.kind !== 'free', key, value, ttlSec, flags }
}

function exitCommand(key: string, exit: Exit, cas: Cas): Command {
  if (exit.kind === 'free') return { op: 'cad', key, cas }
  return { op: 'cas', cas, wantCas: true, key, value: exit.token, ttlSec: exit.ttlSec }
}
