import { LockTimeoutError } from '../../errors.js'
import { acquired, committed } from '../../lock/protocol/handle.js'
import type { LockedRecord } from '../../session/locked-record.js'
import { severalAtOnce } from '../../system/several-at-once.js'
import { UNKNOWN_TTL_SEC } from '../../wire/operated-store.js'
import { areSameBytes, type Reply, type Status, type Value } from '../../wire/wire.js'
import { nameOf, type Place } from '../place.js'
import { keysIn, leftSecOf, refuseOneOfSeveral } from '../records.js'
import { EXIT, type Report } from '../report.js'
import { oncePerSecond, codeAndReason, tallied } from '../telling.js'

export interface CopyOptions {
  /** Makes the one store what the other is: sessions that differ are overwritten, those that are gone are removed. */
  readonly mirrors: boolean
  /** Told of each session, as far as it went. */
  readonly progress: (line: string) => void
}

/** What becomes of a session. `kept`: another one is stored there, and was left alone. */
type Outcome = 'copied' | 'same' | 'kept' | 'gone' | 'removed' | 'locked' | 'failed'

/** Sessions that are under way at once; each is locked by itself, and for one flight only. */
const AT_ONCE = 16
const LABEL = 'latchkey copy'
/** An id that no session has. */
const NOBODY = '-'

/**
 * `latchkey copy <from> <to>`: every session under the prefix, as the bytes that are stored. Each is locked while it is read,
 * so that no request is in the middle of it, and written by a version, so that nothing that somebody else stores there
 * meanwhile is overwritten. What is there already is not written again: a copy that was cut off goes on where it was.
 */
export async function copy(from: Place, to: Place, { mirrors, progress }: CopyOptions): Promise<Report> {
  const counts: Record<Outcome, number> = { copied: 0, same: 0, kept: 0, gone: 0, removed: 0, locked: 0, failed: 0 }
  const failures = new Set<string>()
  await reach(to)
  const here = await idsOf(from)
  const total = here.length
  let done = 0
  const tell = oncePerSecond(from.clock, () => progress(`${String(done)} of ${String(total)}: ${wordsOf(counts)}`))
  const each = async (id: string, work: () => Promise<Outcome>): Promise<void> => {
    try {
      counts[await work()] += 1
    } catch (error) {
      // Not thrown here: the others that are under way must come to their end first.
      if (from.signal.aborted) return
      counts[error instanceof LockTimeoutError ? 'locked' : 'failed'] += 1
      failures.add(`${nameOf(id)}: ${codeAndReason(error)}`)
    }
    done += 1
    tell()
  }
  await severalAtOnce(here, AT_ONCE, from.signal, (id) => each(id, () => copyOne(from, to, id, mirrors)))
  if (mirrors) {
    const known = new Set(here)
    const more = (await idsOf(to)).filter((id) => !known.has(id))
    await severalAtOnce(more, AT_ONCE, from.signal, (id) => each(id, () => removeOne(from, to, id)))
  }
  const left = counts.locked + counts.failed
  return {
    exitCode: left > 0 ? EXIT.problem : EXIT.fine,
    data: { sessions: total, ...counts, failures: [...failures] },
    lines: [
      `${String(total)} sessions: ${wordsOf(counts)}.`,
      ...[...failures].slice(0, 10).map((failure) => `  ${failure}`),
      ...(left > 0 ? ['Run it again for those that are left.'] : []),
      ...(counts.kept > 0 ? ['Sessions that differ in the other store were kept there; --mirror overwrites them.'] : []),
    ],
  }
}

/** Each session would else be tried, and told of as failed. @throws FlightError; NotSupportedError as `refuseOneOfSeveral`. */
async function reach(place: Place): Promise<void> {
  const { wire } = place
  // Of several copies a majority is enough.
  if (wire.quorum !== undefined) await read(place, NOBODY)
  else {
    await Promise.all(wire.probes?.().map((probe) => probe.ask()) ?? [])
    await refuseOneOfSeveral(place, NOBODY)
  }
}

async function idsOf(place: Place): Promise<string[]> {
  const ids = [...(await keysIn(place))].flatMap((key) => place.layout.idOfRecord(key) ?? [])
  return [...new Set(ids)]
}

async function copyOne(from: Place, to: Place, id: string, mirrors: boolean): Promise<Outcome> {
  return locked(from, id, async () => {
    const source = await read(from, id)
    const target = await read(to, id)
    // No bytes: it was destroyed, and this keeps it from coming back. To PHP it is a session in which nothing is stored yet.
    const isTombstone = source.value?.length === 0 && from.manager.php === undefined
    if (source.value === undefined || (isTombstone && target.value === undefined)) return 'gone'
    if (target.value !== undefined && areSameBytes(source.value, target.value)) return 'same'
    if (target.cas !== undefined && !mirrors) return 'kept'
    const { record: key } = to.layout.keysOf(id)
    const ttlSec = (await leftSecOf(from, id)) ?? UNKNOWN_TTL_SEC
    const item = { key, value: source.value, flags: source.flags, ttlSec: Math.max(1, ttlSec) }
    if (to.wire.quorum !== undefined) return storeUnderLock(to, id, target, isTombstone ? undefined : item)
    const [reply] = await to.wire.flight(id, [target.cas === undefined ? { op: 'add', ...item } : { op: 'cas', cas: target.cas, ...item }])
    return stored(reply?.status, isTombstone ? 'removed' : 'copied')
  })
}

/** What several nodes keep is stored under its lock, and in no other way. @param item undefined: the session is ended there. */
async function storeUnderLock(to: Place, id: string, before: Reply, item: { readonly value: Value; readonly ttlSec: number } | undefined): Promise<Outcome> {
  const handle = await acquired(to.manager.engine.locker, id, { label: LABEL })
  try {
    const { record } = handle
    const isAsBefore = record === undefined || before.value === undefined ? record === before.value : areSameBytes(record, before.value)
    if (!isAsBefore) return 'kept'
    if (item === undefined) await handle.end()
    else await committed(handle, item.value, item.ttlSec)
    return item === undefined ? 'removed' : 'copied'
  } finally {
    if (!handle.isLeft) await handle.release()
  }
}

/** A session that is not in the first store any more: it has ended there since it was copied. */
async function removeOne(from: Place, to: Place, id: string): Promise<Outcome> {
  return locked(from, id, async () => {
    const [source, target] = [await read(from, id), await read(to, id)]
    if (source.value !== undefined || target.cas === undefined) return 'gone'
    if (to.wire.quorum !== undefined) return target.value?.length === 0 ? 'gone' : storeUnderLock(to, id, target, undefined)
    const [reply] = await to.wire.flight(id, [{ op: 'cad', key: to.layout.keysOf(id).record, cas: target.cas }])
    return stored(reply?.status, 'removed')
  })
}

function stored(status: Status | undefined, outcome: Outcome): Outcome {
  // Somebody stored, or removed, another one since it was read.
  if (status === 'exists' || status === 'missing') return 'kept'
  if (status !== 'ok') throw new Error(`the other store has no room for it (${String(status)})`)
  return outcome
}

async function locked(place: Place, id: string, work: () => Promise<Outcome>): Promise<Outcome> {
  const record: LockedRecord = await place.manager.lock(id, { label: LABEL })
  try {
    return await work()
  } finally {
    // A copy that regenerate() left behind is not kept locked.
    if (record.isHeld) await record.release()
  }
}

async function read({ wire, layout }: Place, id: string): Promise<Reply> {
  const [reply] = await wire.flight(id, [{ op: 'get', key: layout.keysOf(id).record }])
  if (reply === undefined) throw new Error('no reply')
  return reply
}

const WORDS: Readonly<Record<Outcome, string>> = {
  copied: 'copied',
  same: 'there already',
  kept: 'kept as they are there',
  gone: 'gone meanwhile',
  removed: 'removed',
  locked: 'still locked',
  failed: 'failed',
}

const OUTCOMES: readonly Outcome[] = ['copied', 'same', 'kept', 'gone', 'removed', 'locked', 'failed']

const wordsOf = (counts: Readonly<Record<Outcome, number>>): string => tallied(OUTCOMES, counts, WORDS, 'copied')
