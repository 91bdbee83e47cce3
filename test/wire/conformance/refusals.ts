import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Cas, Command, Wire } from '../../../src/wire/wire.js'
import { expectMissing, expectStored, freshKey, type GetWire, overwritten, run, text } from './subject.js'
import type { MakeSubject, Subject } from './subject.js'

const TOO_LARGE = Buffer.alloc(1024 * 1024 + 1, 'x')
/** What the small store is filled with, and what then no longer fits: all of one size, as memcached's room is. */
const FILLING = Buffer.alloc(1000, 'f')

/** A refused write leaves the old record as it was: right and stale version, too large and out of memory. */
export function refusalCases(wire: GetWire, make: MakeSubject): void {
  it.each(['right', 'stale'] as const)('too large, by cas with the %s version', async (which) => {
    const { key, cas, stale } = await overwritten(wire(), 'the old record')
    const reply = await run(wire(), casOver(key, TOO_LARGE, which === 'right' ? cas : stale))
    expect(reply.status).toBe('tooLarge')
    await expectStored(wire(), key, 'the old record', cas)
    expect((await run(wire(), casOver(key, text('smaller'), cas))).status).toBe('ok')
  })

  it('too large, by cas with wantCas, between other commands', async () => {
    const { key, cas } = await overwritten(wire(), 'the old record')
    const replies = await wire().flight(key, [
      { op: 'get', key },
      { op: 'cas', key, value: TOO_LARGE, ttlSec: 100, cas, wantCas: true },
      { op: 'touch', key, ttlSec: 100 },
      { op: 'add', key: freshKey(), value: text('next'), ttlSec: 100 },
    ])
    expect(replies.map((reply) => reply.status)).toEqual(['ok', 'tooLarge', 'ok', 'ok'])
    await expectStored(wire(), key, 'the old record', cas)
  })

  it('too large, by add: nothing is stored, and an occupant stays', async () => {
    const key = freshKey()
    expect((await run(wire(), { op: 'add', key, value: TOO_LARGE, ttlSec: 100 })).status).toBe('tooLarge')
    await expectMissing(wire(), key)
    const { key: occupied, cas } = await overwritten(wire(), 'occupant')
    const reply = await run(wire(), { op: 'add', key: occupied, value: TOO_LARGE, ttlSec: 100 })
    expect(reply.status).toBe('tooLarge')
    await expectStored(wire(), occupied, 'occupant', cas)
  })

  it('too large, by set: refused, and the next command is none the worse', async () => {
    const { key } = await overwritten(wire(), 'may be lost')
    const other = freshKey()
    const replies = await wire().flight(key, [
      { op: 'set', key, value: TOO_LARGE, ttlSec: 100 },
      { op: 'add', key: other, value: text('fine'), ttlSec: 100 },
    ])
    expect(replies.map((reply) => reply.status)).toEqual(['tooLarge', 'ok'])
    await expectStored(wire(), other, 'fine')
  })

  it('the first byte beyond the limit is refused', async () => {
    const { key, cas } = await overwritten(wire(), 'the old record')
    // 64 more than maxValueBytes is more than a wire may keep back for safety.
    const value = Buffer.alloc(wire().maxValueBytes(key, key) + 64)
    expect((await run(wire(), casOver(key, value, cas))).status).toBe('tooLarge')
    await expectStored(wire(), key, 'the old record', cas)
  })

  outOfMemoryCases(make)
}

function outOfMemoryCases(make: MakeSubject): void {
  const records: { key: string; cas: Cas; stale: Cas }[] = []
  let full: Subject | undefined
  const wire = (): Wire => {
    if (full === undefined) throw new Error('used before beforeAll')
    return full.wire
  }
  const record = (): { key: string; cas: Cas; stale: Cas } => {
    const next = records.pop()
    if (next === undefined) throw new Error('no record is left')
    return next
  }

  beforeAll(async () => {
    full = await make({ small: true })
    for (let i = 0; i < 4; i++) records.push(await overwritten(full.wire, FILLING.toString()))
    await fill(full.wire)
  })
  afterAll(() => full?.close())

  it.each(['right', 'stale'] as const)('out of memory, by cas with the %s version', async (which) => {
    const { key, cas, stale } = record()
    const replies = await wire().flight(key, [
      casOver(key, FILLING, which === 'right' ? cas : stale),
      { op: 'get', key },
      { ...casOver(key, FILLING, which === 'right' ? cas : stale), wantCas: true },
    ])
    expect(replies.map((reply) => reply.status)).toEqual(['outOfMemory', 'ok', 'outOfMemory'])
    await expectStored(wire(), key, FILLING, cas)
  })

  it('out of memory, by add: nothing is stored, and an occupant stays', async () => {
    const key = freshKey()
    expect((await run(wire(), { op: 'add', key, value: FILLING, ttlSec: 100 })).status).toBe('outOfMemory')
    await expectMissing(wire(), key)
    const { key: occupied, cas } = record()
    const reply = await run(wire(), { op: 'add', key: occupied, value: FILLING, ttlSec: 100 })
    expect(reply.status).toBe('outOfMemory')
    await expectStored(wire(), occupied, FILLING, cas)
  })

  it('out of memory, a record can still be read, touched and compare-and-deleted', async () => {
    const { key, cas, stale } = record()
    const statuses = []
    for (const command of [
      { op: 'touch', key, ttlSec: 100 },
      { op: 'cad', key, cas: stale },
      { op: 'get', key },
    ] as const) {
      statuses.push((await run(wire(), command)).status)
    }
    expect(statuses).toEqual(['ok', 'exists', 'ok'])
    await expectStored(wire(), key, FILLING, cas)
  })
}

function casOver(key: string, value: Buffer, cas: Cas): Command & { readonly op: 'cas' } {
  return { op: 'cas', key, value, ttlSec: 100, cas }
}

async function fill(wire: Wire): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const adds: Command[] = []
    for (let i = 0; i < 200; i++) adds.push({ op: 'add', key: freshKey('filling'), value: FILLING, ttlSec: 100 })
    const replies = await wire.flight('filling', adds)
    if (replies.every((reply) => reply.status === 'outOfMemory')) return
    for (const reply of replies) expect(['ok', 'outOfMemory']).toContain(reply.status)
  }
  throw new Error('the small store does not get full')
}
