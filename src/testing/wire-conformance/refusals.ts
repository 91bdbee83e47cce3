import assert from 'node:assert/strict'
import type { Cas, Command, Wire } from '../../wire/wire.js'
import { expectMissing, expectStored, freshKey, overwritten, type Plays, run, statusesOf, text, type WireSubject } from './subject.js'

/** A value that is too large for certain: larger than the limit by more than a wire may keep back for safety. */
const tooLarge = (wire: Wire, key: string): Buffer => Buffer.alloc(wire.maxValueBytes(key, key) + 1024, 'x')
/**
 * The value that fills the small store and then no longer fits. All have one size, because memcached has room by size.
 */
const FILLING = Buffer.alloc(1000, 'f')

/** A write that is refused because it is too large leaves the old record as it was. */
export const tooLargeCases: Plays = [
  ...(['right', 'stale'] as const).map((which): Plays[number] => [`by cas with the ${which} version`, async ({ wire }) => {
    const { key, cas, stale } = await overwritten(wire, 'the old record')
    const reply = await run(wire, casOver(key, tooLarge(wire, key), which === 'right' ? cas : stale))
    assert.equal(reply.status, 'tooLarge')
    await expectStored(wire, key, 'the old record', cas)
    assert.equal((await run(wire, casOver(key, text('smaller'), cas))).status, 'ok')
  }]),

  ['by cas with wantCas, between other commands', async ({ wire }) => {
    const { key, cas } = await overwritten(wire, 'the old record')
    const replies = await wire.flight(key, [
      { op: 'get', key },
      { op: 'cas', key, value: tooLarge(wire, key), ttlSec: 100, cas, wantCas: true },
      { op: 'touch', key, ttlSec: 100 },
      { op: 'add', key: freshKey(), value: text('next'), ttlSec: 100 },
    ])
    assert.deepEqual(statusesOf(replies), ['ok', 'tooLarge', 'ok', 'ok'])
    await expectStored(wire, key, 'the old record', cas)
  }],

  ['by add: nothing is stored, and an occupant stays', async ({ wire }) => {
    const key = freshKey()
    assert.equal((await run(wire, { op: 'add', key, value: tooLarge(wire, key), ttlSec: 100 })).status, 'tooLarge')
    await expectMissing(wire, key)
    const { key: occupied, cas } = await overwritten(wire, 'occupant')
    const reply = await run(wire, { op: 'add', key: occupied, value: tooLarge(wire, occupied), ttlSec: 100 })
    assert.equal(reply.status, 'tooLarge')
    await expectStored(wire, occupied, 'occupant', cas)
  }],

  ['by set: refused, and the next command is none the worse', async ({ wire }) => {
    const { key } = await overwritten(wire, 'may be lost')
    const other = freshKey()
    const replies = await wire.flight(key, [
      { op: 'set', key, value: tooLarge(wire, key), ttlSec: 100 },
      { op: 'add', key: other, value: text('fine'), ttlSec: 100 },
    ])
    assert.deepEqual(statusesOf(replies), ['tooLarge', 'ok'])
    await expectStored(wire, other, 'fine')
  }],

  ['the first byte beyond the limit is refused', async ({ wire }) => {
    const { key, cas } = await overwritten(wire, 'the old record')
    // A wire may keep back fewer than 64 bytes for safety, so 64 more than maxValueBytes must be refused.
    const value = Buffer.alloc(wire.maxValueBytes(key, key) + 64)
    assert.equal((await run(wire, casOver(key, value, cas))).status, 'tooLarge')
    await expectStored(wire, key, 'the old record', cas)
  }],
]

interface Full {
  readonly wire: Wire
  readonly comparesWhenFull: boolean
  /** A record that no other case uses, stored before there was no room left. */
  readonly record: { readonly key: string; readonly cas: Cas; readonly stale: Cas }
}

const filled = new WeakMap<WireSubject, Promise<Full['record'][]>>()

/** Fills the store of a small subject once, for all cases, and gives each case a record of its own. */
const whenFull =
  (play: (full: Full) => Promise<void>): Plays[number][1] =>
    async (subject) => {
      const { wire, comparesWhenFull = false } = subject
      const records = filled.get(subject) ?? fillWithRecords(wire)
      filled.set(subject, records)
      const record = (await records).pop()
      if (record === undefined) return assert.fail('no record is left')
      await play({ wire, comparesWhenFull, record })
    }

async function fillWithRecords(wire: Wire): Promise<Full['record'][]> {
  const records: Full['record'][] = []
  for (let i = 0; i < 4; i++) records.push(await overwritten(wire, FILLING.toString()))
  await fill(wire)
  return records
}

export const outOfMemoryCases: Plays = [
  ...(['right', 'stale'] as const).map((which): Plays[number] => [`by cas with the ${which} version`, whenFull(async ({ wire, comparesWhenFull, record: { key, cas, stale } }) => {
    const refused = comparesWhenFull && which === 'stale' ? 'exists' : 'outOfMemory'
    const replies = await wire.flight(key, [
      casOver(key, FILLING, which === 'right' ? cas : stale),
      { op: 'get', key },
      { ...casOver(key, FILLING, which === 'right' ? cas : stale), wantCas: true },
    ])
    assert.deepEqual(statusesOf(replies), [refused, 'ok', refused])
    await expectStored(wire, key, FILLING, cas)
  })]),

  ['by add: nothing is stored, and an occupant stays', whenFull(async ({ wire, record: { key: occupied, cas } }) => {
    const key = freshKey()
    assert.equal((await run(wire, { op: 'add', key, value: FILLING, ttlSec: 100 })).status, 'outOfMemory')
    await expectMissing(wire, key)
    const reply = await run(wire, { op: 'add', key: occupied, value: FILLING, ttlSec: 100 })
    assert.equal(reply.status, 'outOfMemory')
    await expectStored(wire, occupied, FILLING, cas)
  })],

  ['a record can still be read, touched and compare-and-deleted', whenFull(async ({ wire, record: { key, cas, stale } }) => {
    const statuses = []
    for (const command of [
      { op: 'touch', key, ttlSec: 100 },
      { op: 'cad', key, cas: stale },
      { op: 'get', key },
    ] as const) {
      statuses.push((await run(wire, command)).status)
    }
    assert.deepEqual(statuses, ['ok', 'exists', 'ok'])
    await expectStored(wire, key, FILLING, cas)
  })],
]

function casOver(key: string, value: Buffer, cas: Cas): Command & { readonly op: 'cas' } {
  return { op: 'cas', key, value, ttlSec: 100, cas }
}

async function fill(wire: Wire): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const adds: Command[] = []
    for (let i = 0; i < 200; i++) adds.push({ op: 'add', key: freshKey('filling'), value: FILLING, ttlSec: 100 })
    const replies = await wire.flight('filling', adds)
    if (replies.every((reply) => reply.status === 'outOfMemory')) return
    for (const status of statusesOf(replies)) assert.ok(status === 'ok' || status === 'outOfMemory', status)
  }
  assert.fail('the small store does not get full')
}
