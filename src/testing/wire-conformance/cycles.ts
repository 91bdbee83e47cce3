import assert from 'node:assert/strict'
import { type CycleEnd, type CycleSeat, type CycleStart, endReplies, startReplies } from '../../wire/cycle.js'
import { FlightError, type Reply, type Wire } from '../../wire/wire.js'
import { expectMissing, expectStored, freshKey, type Plays, run, statusesOf, stored, text } from './subject.js'

/** What a wire has told: the replies (for a plain success those that it stands for), or the error. */
interface Told {
  readonly isPlain: boolean
  readonly replies: readonly Reply[]
  readonly error: unknown
}

const statuses = ({ replies }: Told): string[] => statusesOf(replies)

/** The two flights of a cycle, in plain values. A wire may leave them out. */
export const cycleCases: Plays = [
  ['a cycle locks and reads, and then stores and unlocks', async ({ wire }) => {
    if (wire.startCycle === undefined) return
    const { key } = await stored(wire, 'before')
    const { seat, told } = await start(wire, key)
    assert.ok(told.isPlain, JSON.stringify(told))
    assert.equal(told.replies[1]?.value?.toString(), 'before')
    await expectStored(wire, `${key}-lck`, TOKEN)
    assert.ok((await end(seat, 'after')).isPlain)
    await expectStored(wire, key, 'after')
    await expectMissing(wire, `${key}-lck`)
  }],

  ['a cycle tells that there is no record', async ({ wire }) => {
    if (wire.startCycle === undefined) return
    const { told } = await start(wire, freshKey())
    assert.ok(told.isPlain)
    assert.deepEqual(statuses(told), ['ok', 'missing'])
  }],

  ['a cycle that finds a lock does not start', async ({ wire }) => {
    if (wire.startCycle === undefined) return
    const { key } = await stored(wire, 'before')
    await run(wire, { op: 'add', key: `${key}-lck`, value: text('of another'), ttlSec: 100 })
    const { told } = await start(wire, key)
    assert.ok(!told.isPlain)
    assert.deepEqual(statuses(told), ['exists', 'ok'])
    await expectStored(wire, `${key}-lck`, 'of another')
  }],

  ['a cycle that was overtaken stores nothing, and still unlocks', async ({ wire }) => {
    if (wire.startCycle === undefined) return
    const { key } = await stored(wire, 'before')
    const { seat } = await start(wire, key)
    await run(wire, { op: 'set', key, value: text('by another'), ttlSec: 100 })
    const told = await end(seat, 'after')
    assert.ok(!told.isPlain)
    assert.deepEqual(statuses(told), ['exists', 'ok'])
    await expectStored(wire, key, 'by another')
    await expectMissing(wire, `${key}-lck`)
  }],

  ['a cycle whose lock was taken over leaves it alone', async ({ wire }) => {
    if (wire.startCycle === undefined) return
    const { key } = await stored(wire, 'before')
    const { seat } = await start(wire, key)
    await run(wire, { op: 'set', key: `${key}-lck`, value: text('of another'), ttlSec: 100 })
    const told = await end(seat, 'after')
    assert.ok(!told.isPlain)
    assert.deepEqual(statuses(told), ['ok', 'exists'])
    await expectStored(wire, `${key}-lck`, 'of another')
  }],

  ['a cycle with a key that is none is never sent', async ({ wire }) => {
    if (wire.startCycle === undefined) return
    const { told } = await start(wire, 'a b')
    assert.ok(told.error instanceof FlightError && told.error.outcome === 'not-sent', String(told.error))
  }],
]

const TOKEN = '{"token":"of the suite"}'

function start(wire: Wire, recordKey: string): Promise<{ readonly seat: CycleSeat | undefined; readonly told: Told }> {
  return new Promise((resolve) => {
    let hasReturned = false
    const tell = (isPlain: boolean, replies: readonly Reply[], error?: unknown): void => {
      if (hasReturned) resolve({ seat, told: { isPlain, replies, error } })
      else resolve({ seat: undefined, told: { isPlain: false, replies, error: new Error('it was told before the call had returned') } })
    }
    const start: CycleStart = {
      lockKey: `${recordKey}-lck`,
      recordKey,
      tokenName: TOKEN.slice(0, -1),
      tokenRest: TOKEN.slice(-1),
      leaseSec: 15,
      started: (found) => tell(true, startReplies(found)),
      landed: (replies) => tell(false, replies),
      failed: (error) => tell(false, [], error),
    }
    const seat = wire.startCycle?.('route', start)
    hasReturned = true
  })
}

function end(seat: CycleSeat | undefined, value: string): Promise<Told> {
  return new Promise((resolve) => {
    const end: CycleEnd = {
      value,
      flags: 0,
      ttlSec: 100,
      ended: () => resolve({ isPlain: true, replies: endReplies(2), error: undefined }),
      landed: (replies) => resolve({ isPlain: false, replies, error: undefined }),
      failed: (error) => resolve({ isPlain: false, replies: [], error }),
    }
    seat?.end(end)
  })
}
