import { areSameBytes, type Cas, type Command, FlightError, type Reply, type Value } from '../../wire/wire.js'
import { asFlightError, tooLarge } from './failures.js'
import { type Change, EMPTY, NOTHING } from './exchange.js'
import type { SessionKeys } from './key-layout.js'
import { nonceOf } from '../../system/random.js'
import { tombstoneSec } from './lease.js'
import { fly, type LockContext, replyAt } from './lock-context.js'
import type { LockToken } from './lock-token.js'

/** Reads, compares and stamps the records of sessions. */

/**
 * A record as it was read or written. `cas` is undefined while it is not known; it is then read before the next write.
 */
export interface StoredRecord {
  readonly bytes: Value
  /**
   * The stamp of the write, kept in memcached's client flags. Two records with the same bytes and stamp are the same.
   */
  readonly flags: number
  readonly cas: Cas | undefined
}

/** Ends a session whatever stands there, without its lock: a tombstone takes its place, or nothing. Sent once. */
export const ending = (context: LockContext, keys: SessionKeys, flags = newStamp(context)): Command =>
  context.dialect.hasTombstones ? tombstone(context, keys, flags) : { op: 'delete', key: keys.record }

/**
 * Makes the tombstone of a destroyed session. A missing record cannot fence anything: a slower request could create it
 * again with `add`. A record of no bytes is replaced by its CAS only.
 */
const tombstone = (context: LockContext, keys: SessionKeys, flags: number): Command => ({
  op: 'set',
  key: keys.record,
  value: EMPTY,
  ttlSec: tombstoneSec(context.limits),
  flags,
})

/** Whether the session has ended for certain, by the reply to `ending`: nothing to delete is no failure. */
export const hasEnded = ({ status }: Reply): boolean => status === 'ok' || status === 'missing'

/** Draws a stamp, which tells a record from all others of the same bytes, even from those of a copy of this process. */
export const newStamp = ({ dialect, random }: LockContext): number => (dialect.hasStamps ? nonceOf(random).number() : 0)

/**
 * The stamp of the record after `change`. A record that is only prolonged stays the same record, and keeps its stamp.
 */
export function stampFor(context: LockContext, change: Change, record: { readonly flags: number } | undefined): number {
  if (change.kind === 'none' || change.kind === 'delete') return 0
  return change.kind === 'touch' && record !== undefined ? record.flags : newStamp(context)
}

/** The change that gives the record that was read a new lifetime; no change where there is no record. */
export const prolonging = (context: LockContext, record: StoredRecord | undefined, ttlSec: number): Change =>
  isSession(context, record) ? { kind: 'touch', bytes: record.bytes, ttlSec } : NOTHING

/** The change that destroys the session, under its lock: a tombstone takes the record's place, or nothing. */
export const burial = ({ dialect, limits }: LockContext): Change =>
  dialect.hasTombstones ? { kind: 'destroy', ttlSec: tombstoneSec(limits) } : { kind: 'delete', isFenced: false }

/** As `burial`, but refused if the record is not as it was read any more. */
export const fencedEnd = ({ dialect, limits }: LockContext): Change =>
  dialect.hasTombstones ? { kind: 'write', bytes: EMPTY, ttlSec: tombstoneSec(limits) } : { kind: 'delete', isFenced: true }

/** @throws RecordTooLargeError LATCHKEY_RECORD_TOO_LARGE, before anything is sent. */
export function assertFits(context: LockContext, id: string, keys: SessionKeys, bytes: Value): void {
  const limitBytes = context.wire.maxValueBytes(id, keys.record)
  if (bytes.length > limitBytes) throw tooLarge(context, id, bytes.length, limitBytes)
}

export type Seen = { readonly record: StoredRecord | undefined } & (
  | { readonly mine: true; readonly lockCas: Cas }
  | { readonly mine: false }
)

/** Reads record and lock in one flight, and says whether the lock still bears `token`. */
export async function look(
  context: LockContext,
  id: string,
  keys: SessionKeys,
  token: LockToken,
): Promise<Seen | FlightError> {
  try {
    const replies = await fly(context, id, [
      { op: 'get', key: keys.record },
      { op: 'get', key: keys.lock },
    ])
    const lock = replyAt(replies, 1)
    const seen = { record: recordOf(replyAt(replies, 0)) }
    return lock.cas !== undefined && lock.value !== undefined && areSameBytes(lock.value, token)
      ? { ...seen, mine: true, lockCas: lock.cas }
      : { ...seen, mine: false }
  } catch (thrown) {
    return asFlightError(thrown)
  }
}

/** The record in the reply to a `get`; undefined when there is none. */
export const recordOf = (reply: Reply): StoredRecord | undefined =>
  reply.status === 'ok' && reply.value !== undefined ? { bytes: reply.value, flags: reply.flags, cas: reply.cas } : undefined

/** Whether there is a session: where a record of no bytes is a tombstone, that is none. */
export const isSession = ({ dialect }: LockContext, record: StoredRecord | undefined): record is StoredRecord =>
  record !== undefined && (record.bytes.length > 0 || !dialect.hasTombstones)

/**
 * Whether both are the same record: the same bytes and the same stamp. Bytes alone do not say it: the session may have
 * been destroyed in between and started again with the same bytes.
 */
export const isSame = (one: StoredRecord | undefined, other: StoredRecord | undefined): boolean =>
  one === undefined ? other === undefined : other?.flags === one.flags && areSameBytes(other.bytes, one.bytes)
