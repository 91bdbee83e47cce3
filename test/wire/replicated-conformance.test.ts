/** What every wire does, on three memcached that keep each record: under locks (support/under-lock.ts), as nothing is stored there without. */
import { wireConformance } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { casOf, expectMissing, expectStored, freshKey, overwritten, run, statusesOf, stored, text } from '../../src/testing/wire-conformance/subject.js'
import { MOST_HEAD_BYTES } from '../../src/wire/replicated/copy.js'
import type { Command } from '../../src/wire/wire.js'
import { rowsOf } from '../support/matrix.js'
import { type Present, replicatedSubject } from '../support/replicated-subject.js'
import { itConforms, itConformsToo } from './conformance.js'

const TOUCHED = 'a touch stores the record anew, by its version: the copies are ordered by that'
const LOOKED = 'who adds has found the record under its lock, and sends nothing that could be too large'

/** Rows of the suite that cannot be had on several nodes, and why. What holds in their place is below. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'commands: touch: answers with the version and leaves it, the value and the flags alone': TOUCHED,
  'flights: replies come in the order of the commands, one each': TOUCHED,
  'too large: by cas with wantCas, between other commands': TOUCHED,
  'out of memory: a record can still be read, touched and compare-and-deleted': TOUCHED,
  'too large: by add: nothing is stored, and an occupant stays': LOOKED,
  'out of memory: by add: nothing is stored, and an occupant stays': LOOKED,
  'too large: the first byte beyond the limit is refused': 'what a head takes is kept back, and few heads take all of it',
  'cycles: a cycle whose lock was taken over leaves it alone': 'it is not acknowledged either: a write counts where the lock was ours behind it',
}
const BUT = new RegExp(`^(${Object.keys(LEFT_OUT).map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})$`)

itConforms('three nodes', (options) => replicatedSubject('all three', options), BUT, MOST_HEAD_BYTES)
itConformsToo('two of three nodes, as one is dead', (options) => replicatedSubject('two of three', options), BUT, MOST_HEAD_BYTES)

it('each row that is left out is one of the suite', () => {
  const names = wireConformance(() => replicatedSubject('all three')).cases.map(({ name }) => name)
  for (const name of Object.keys(LEFT_OUT)) expect(names).toContain(name)
})

const PRESENTS: readonly Present[] = ['all three', 'two of three']

describe.each(rowsOf(PRESENTS))('in the place of rows that are left out, with %s', (present) => {
  it('a touch keeps value and flags, gives a new version and a new life, and the one before is stale', async () => {
    const { wire, advance, close } = await replicatedSubject(present)
    const key = freshKey()
    const before = casOf(await run(wire, { op: 'add', key, value: text('same'), ttlSec: 6, flags: 5 }))
    const touched = casOf(await run(wire, { op: 'touch', key, ttlSec: 100 }))
    expect(touched.version).not.toBe(before.version)
    expect((await run(wire, { op: 'cas', key, value: text('late'), ttlSec: 100, cas: before })).status).toBe('exists')
    await advance(6200)
    await expectStored(wire, key, 'same', touched)
    expect((await run(wire, { op: 'get', key })).flags).toBe(5)
    await close()
  })

  it('what is too large for an item with any head is refused, by add where nothing is and by cas; an occupant stays', async () => {
    const { wire, close } = await replicatedSubject(present)
    const { key, cas } = await overwritten(wire, 'occupant')
    const value = Buffer.alloc(wire.maxValueBytes(key, key) + MOST_HEAD_BYTES + 1, 'x')
    const free = freshKey()
    expect((await run(wire, { op: 'add', key: free, value, ttlSec: 100 })).status).toBe('tooLarge')
    await expectMissing(wire, free)
    expect((await run(wire, { op: 'add', key, value, ttlSec: 100 })).status).toBe('exists')
    expect((await run(wire, { op: 'cas', key, value, ttlSec: 100, cas, wantCas: true })).status).toBe('tooLarge')
    await expectStored(wire, key, 'occupant', cas)
    await close()
  })

  it('replies come in the order of the commands, one each', async () => {
    const { wire, close } = await replicatedSubject(present)
    const { key, cas } = await stored(wire, 'one')
    const item = { key, ttlSec: 100 }
    const replies = await wire.flight(key, [
      ...[{ op: 'get', key: freshKey() }, { op: 'get', key }, { op: 'add', value: text('no'), ...item }] as const,
      ...[{ op: 'cas', value: text('two'), cas, wantCas: true, ...item }, { op: 'cas', value: text('no'), cas, ...item }, { op: 'get', key }] as const,
      ...[{ op: 'cad', key, cas }, { op: 'set', value: text('three'), ...item }, { op: 'delete', key }, { op: 'get', key }, { op: 'touch', ...item }] as const,
      ...[{ op: 'cad', key, cas }, { op: 'cas', value: text('no'), cas, ...item }, { op: 'add', value: text('four'), ...item }] as const,
    ])
    expect(statusesOf(replies)).toEqual([
      ...['missing', 'ok', 'exists', 'ok', 'exists', 'ok', 'exists', 'ok', 'ok', 'missing', 'missing', 'missing', 'missing', 'ok'],
    ])
    await expectStored(wire, key, 'four')
    await close()
  })

  it('when all nodes are full a record is read and destroyed, and stays as it is where it cannot be stored anew', async () => {
    const { wire, close } = await replicatedSubject(present, { small: true })
    const value = Buffer.alloc(1000, 'f')
    const { key, cas } = await stored(wire, value)
    const filling = (): Command[] => Array.from({ length: 500 }, () => ({ op: 'add', key: freshKey('filling'), value, ttlSec: 100 }))
    await expect.poll(async () => statusesOf(await wire.flight('', filling())).includes('ok')).toBe(false)
    expect((await run(wire, { op: 'touch', key, ttlSec: 100 })).status).toBe('outOfMemory')
    expect((await run(wire, { op: 'add', key: freshKey(), value, ttlSec: 100 })).status).toBe('outOfMemory')
    await expectStored(wire, key, value, cas)
    expect((await run(wire, { op: 'cad', key, cas })).status).toBe('ok')
    await expectMissing(wire, key)
    await close()
  })

  it('who writes under a lock that another has by now is not acknowledged, and leaves that lock alone', async () => {
    const { replicated, wire, close } = await replicatedSubject(present)
    const { key } = await stored(wire, 'before')
    const lock = `${key}-lck`
    const [taken, record] = await replicated.flight(key, [{ op: 'add', key: lock, value: 'mine', ttlSec: 15 }, { op: 'get', key }])
    await run(wire, { op: 'set', key: lock, value: 'of another', ttlSec: 100 })
    const commands: Command[] = [{ op: 'cas', key, value: 'after', ttlSec: 100, cas: casOf(record ?? FAILED) }, { op: 'cad', key: lock, cas: casOf(taken ?? FAILED) }]
    await expect(replicated.flight(key, commands)).rejects.toMatchObject({ name: 'FlightError', outcome: 'unknown', isFinal: true })
    await expectStored(wire, lock, 'of another')
    await close()
  })
})

const FAILED = { status: 'missing', value: undefined, flags: 0, cas: undefined } as const
