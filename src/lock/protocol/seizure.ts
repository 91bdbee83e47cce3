import type { LatchkeyError } from '../../errors.js'
import type { Cas, Reply } from '../../wire/wire.js'
import { commandsOf, FREE } from './exchange.js'
import { asFlightError, outcomeUnknown, serverRefused, unavailable } from './failures.js'
import type { SessionKeys } from './key-layout.js'
import { tombstoneSec } from './lease.js'
import { fly, type LockContext, replyAt } from './lock-context.js'
import { newStamp, recordOf, type StoredRecord } from './record.js'

/** So many others may come in between, each with a lock of its own. */
const MAX_TRIES = 6

interface Seized {
  readonly lockCas: Cas
  readonly record: StoredRecord | undefined
}

/**
 * Ends a session that several nodes keep, whoever holds it: its lock is taken away, by its version, and a tombstone stored
 * under the new one, as any record. A tombstone without a lock would have no place in the order of the copies, and one that a
 * single node has missed would let an older copy count again. The holder is fenced.
 *
 * @returns why that is not certain; undefined: it has ended. It may be tried again: to end it twice is no harm.
 */
export async function seizeAndEnd(context: LockContext, id: string, keys: SessionKeys): Promise<LatchkeyError | undefined> {
  const dueAtMs = context.clock.nowMs() + 3 * context.limits.flightMs
  const instance = context.mint.instance()
  let hasSent = false
  let failure: LatchkeyError | undefined
  for (let tries = 0; tries < MAX_TRIES && context.clock.nowMs() + context.limits.flightMs <= dueAtMs; tries++) {
    try {
      const seized = await seize(context, id, keys, instance)
      if (seized === undefined) continue
      const { lockCas, record } = seized
      hasSent = true
      const change = { kind: 'destroy', ttlSec: tombstoneSec(context.limits) } as const
      const replies = await fly(context, id, commandsOf(keys, change, FREE, { recordCas: record?.cas, lockCas, stamp: newStamp(context) }))
      if (replies.every(({ status }) => status === 'ok')) return undefined
      const [stored] = replies
      if (stored !== undefined && isFull(stored)) failure = serverRefused(context, id, stored)
    } catch (thrown) {
      const cause = asFlightError(thrown)
      failure = hasSent ? outcomeUnknown(id, cause) : unavailable(context, id, cause)
    }
  }
  return failure ?? outcomeUnknown(id)
}

async function seize(context: LockContext, id: string, keys: SessionKeys, instance: string): Promise<Seized | undefined> {
  const { leaseSec: ttlSec } = context.limits
  const value = context.mint.mint(instance, undefined)
  const get = { op: 'get', key: keys.record } as const
  const added = await fly(context, id, [{ op: 'add', key: keys.lock, value, ttlSec }, { op: 'get', key: keys.lock }, get])
  const free = seizedIn(replyAt(added, 0), replyAt(added, 2))
  const { cas } = replyAt(added, 1)
  if (free !== undefined || cas === undefined) return free
  const taken = await fly(context, id, [{ op: 'cas', key: keys.lock, cas, value, ttlSec, wantCas: true }, get])
  return seizedIn(replyAt(taken, 0), replyAt(taken, 1))
}

const seizedIn = ({ status, cas }: Reply, record: Reply): Seized | undefined =>
  status === 'ok' && cas !== undefined ? { lockCas: cas, record: recordOf(record) } : undefined

const isFull = ({ status }: Reply): boolean => status === 'outOfMemory' || status === 'tooLarge'
