import assert from 'node:assert/strict'
import type { Wire } from '../../wire/wire.js'
import { casOf, expectMissing, expectStored, freshKey, type Plays, run, statusesOf, stored, text } from './subject.js'

const DAY_SEC = 86_400

/**
 * How long items live. With a TTL of t seconds an item lives (t-1, t] on a clock of whole seconds. memcached's clock
 * may be late, and skips about one second in 1000 (it is set slightly more than a second after it was last set, to the
 * second that it is then). An item that lives across such a skip lives a second less. So only t-2 seconds can be relied
 * on.
 */
export const ttlCases: Plays = [
  ['1 s is gone after a second', async ({ wire, advance }) => {
    const keys = await everyWrite(wire, 1)
    await advance(1500)
    for (const key of keys) await expectMissing(wire, key)
  }],

  ['3 s lives one second at least, and three at most', async ({ wire, advance }) => {
    const beganMs = performance.now()
    const keys = await everyWrite(wire, 3)
    // Half of what can be relied on: writing and reading them takes a busy machine the other half.
    await advance(500)
    for (const key of keys) {
      const found = await run(wire, { op: 'get', key })
      // What a busy machine has read later than that may be gone.
      if (performance.now() - beganMs < 1000) assert.deepEqual([found.status, String(found.value)], ['ok', 'x'])
    }
    await advance(3000)
    for (const key of keys) await expectMissing(wire, key)
  }],

  ['an expired item is as good as none to every command', async ({ wire, advance }) => {
    const key = freshKey()
    const item = { key, value: text('x'), ttlSec: 1 }
    const cas = casOf(await run(wire, { op: 'add', ...item }))
    await advance(1500)
    const replies = await wire.flight(key, [
      { op: 'touch', key, ttlSec: 100 },
      { op: 'cas', ...item, cas },
      { op: 'cad', key, cas },
      { op: 'delete', key },
      { op: 'add', ...item, ttlSec: 100 },
      { op: 'cas', ...item, cas },
    ])
    assert.deepEqual(statusesOf(replies), ['missing', 'missing', 'missing', 'missing', 'ok', 'exists'])
  }],

  ['touch and cas extend it', async ({ wire, advance }) => {
    // Of 6 s, so that they are there still when a busy machine comes to extend them.
    const [touched, replaced] = await everyWrite(wire, 6)
    const cas = casOf(await run(wire, { op: 'get', key: replaced }))
    assert.equal((await run(wire, { op: 'touch', key: touched, ttlSec: 100 })).status, 'ok')
    assert.equal((await run(wire, { op: 'cas', key: replaced, value: text('x'), ttlSec: 100, cas })).status, 'ok')
    await advance(6200)
    await expectStored(wire, touched, 'x')
    await expectStored(wire, replaced, 'x')
  }],

  ['touch and cas shorten it', async ({ wire, advance }) => {
    const touched = await stored(wire, 'x')
    const replaced = await stored(wire, 'x')
    await run(wire, { op: 'touch', key: touched.key, ttlSec: 1 })
    await run(wire, { op: 'cas', key: replaced.key, value: text('x'), ttlSec: 1, cas: replaced.cas })
    await advance(1500)
    await expectMissing(wire, touched.key)
    await expectMissing(wire, replaced.key)
  }],

  ['a write that is refused extends nothing', async ({ wire, advance }) => {
    const { key, cas: stale } = await stored(wire, 'old')
    // Of 3 s, so that it is there still when it is to be written again: one of 1 s may be gone by then.
    await run(wire, { op: 'cas', key, value: text('new'), ttlSec: 3, cas: stale })
    const refused = [
      await run(wire, { op: 'cas', key, value: text('no'), ttlSec: 100, cas: stale }),
      await run(wire, { op: 'add', key, value: text('no'), ttlSec: 100 }),
    ]
    assert.deepEqual(statusesOf(refused), ['exists', 'exists'])
    await advance(3500)
    await expectMissing(wire, key)
  }],

  ['over 30 days lives', async ({ wire, advance }) => {
    // memcached reads a number of more than 30 days as a date.
    const keys: string[] = []
    for (const days of [30, 31, 400]) {
      keys.push(...(await everyWrite(wire, days * DAY_SEC)), ...(await everyWrite(wire, days * DAY_SEC + 1)))
      const { key } = await stored(wire, 'x')
      assert.equal((await run(wire, { op: 'touch', key, ttlSec: days * DAY_SEC + 1 })).status, 'ok')
      keys.push(key)
    }
    for (const key of keys) await expectStored(wire, key, 'x')
    await advance(1500)
    for (const key of keys) await expectStored(wire, key, 'x')
  }],
]

/** Stores fresh items that live `ttlSec`, by add, cas and set, and returns their keys. */
async function everyWrite(wire: Wire, ttlSec: number): Promise<[string, string, string]> {
  const add = freshKey('add')
  const set = freshKey('set')
  const replaced = await stored(wire, 'x')
  const value = text('x')
  const replies = await wire.flight(add, [
    { op: 'add', key: add, value, ttlSec },
    { op: 'cas', key: replaced.key, value, ttlSec, cas: replaced.cas },
    { op: 'set', key: set, value, ttlSec },
  ])
  assert.deepEqual(statusesOf(replies), ['ok', 'ok', 'ok'])
  return [add, replaced.key, set]
}
