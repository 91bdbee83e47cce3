import { areSameBytes, type Cas, type Command, FlightError, type Reply, type Value } from '../../wire/wire.js'
import { asFlightError, tooLarge } from './failures.js'
import { type Change, EMPTY, NOTHING } from './exchange.js'
import type { SessionKeys } from './key-layout.js'
import { nonceOf } from '../../system/random.js'
import { tombstoneSec } from './lease.js'
import { fly, type LockContext, replyAt } from './lock-context.js'
import type { LockToken } from './lock-token.js'

/** What stands in a session's record, and who may have put it there. */

/** A record as it was read or written. `cas` is undefined where it was not learned: it is read before it is needed. */
export interface StoredRecord {
  readonly bytes: Value
  /** memcached's client flags: the stamp of whoever wrote it. Two records of the same bytes and stamp are one. */
  readonly flags: number
  readonly cas: Cas | undefined
}

/** Stands where a session was destroyed: absence has no fence, a record of no bytes is overwritten by its CAS only. */
export const tombstone = (context: LockContext, keys: SessionKeys, flags = newStamp(context)): Command => ({
  op: 'set',
  key: keys.record,
  value: EMPTY,
  ttlSec: tombstoneSec(context.limits),
  flags,
})

/** Tells a record from any other of the same bytes: also from one that a process of the same memory writes. */
export const newStamp = ({ random }: LockContext): number => nonceOf(random).number()

/** Of the record after `change`: prolonged, it is the same record still. */
export function stampFor(context: LockContext, change: Change, record: StoredRecord | undefined): number {
  if (change.kind === 'none') return 0
  return change.kind === 'touch' && record !== undefined ? record.flags : newStamp(context)
}

/** Another lifetime for a record as it was read; nothing where there is none. */
export const prolonging = (record: StoredRecord | undefined, ttlSec: number): Change =>
  record !== undefined && hasBytes(record) ? { kind: 'touch', bytes: record.bytes, ttlSec } : NOTHING

/** As `tombstone`, under the lock. */
export const burial = ({ limits }: LockContext): Change => ({ kind: 'destroy', ttlSec: tombstoneSec(limits) })

/** @throws RecordTooLargeError LATCHKEY_RECORD_TOO_LARGE, before anything is sent. */
export function assertFits(context: LockContext, id: string, keys: SessionKeys, bytes: Value): void {
  const limitBytes = context.wire.maxValueBytes(id, keys.record)
  if (bytes.length > limitBytes) throw tooLarge(context, id, bytes.length, limitBytes)
}

export type Seen = { readonly record: StoredRecord | undefined } & (
  | { readonly mine: true; readonly lockCas: Cas }
  | { readonly mine: false }
)

/** Reads record and lock in one flight: what stands there, and is the token still `token`? */
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

/** The record in the reply to a get; undefined when there is none. */
export const recordOf = (reply: Reply): StoredRecord | undefined =>
  reply.status === 'ok' && reply.value !== undefined ? { bytes: reply.value, flags: reply.flags, cas: reply.cas } : undefined

export const hasBytes = (record: StoredRecord | undefined): boolean => record !== undefined && record.bytes.length > 0

/** The same bytes by the same writer: a record of the same bytes may have been destroyed and begun anew in between. */
export const isSame = (one: StoredRecord | undefined, other: StoredRecord | undefined): boolean =>
  one === undefined ? other === undefined : other?.flags === one.flags && areSameBytes(other.bytes, one.bytes)
