import { beforeAll, expect, it } from 'vitest'
import type { Wire } from '../../../src/wire/wire.js'
import { casOf, expectMissing, expectStored, freshKey, run, stored, text } from './subject.js'
import type { MakeSubject, Subject } from './subject.js'

const DAY_SEC = 86_400

// A TTL of t seconds lives (t-1, t] on a clock of whole seconds. memcached's clock may be late, and it skips a second
// every 1000 or so (it is set a good second after it was last set, to the second that it then is): what lives across
// that lives a second less. So the least that can be relied on is t-2.
const CASES: readonly (readonly [string, (subject: Subject) => Promise<void>])[] = [
  [
    '1 s is gone after a second',
    async ({ wire, advance }) => {
      const keys = await everyWrite(wire, 1)
      await advance(1500)
      for (const key of keys) await expectMissing(wire, key)
    },
  ],
  [
    '3 s lives one second at least, and three at most',
    async ({ wire, advance }) => {
      const keys = await everyWrite(wire, 3)
      await advance(850)
      for (const key of keys) await expectStored(wire, key, 'x')
      await advance(2650)
      for (const key of keys) await expectMissing(wire, key)
    },
  ],
  [
    'an expired item is as good as none to every command',
    async ({ wire, advance }) => {
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
      const statuses = replies.map((reply) => reply.status)
      expect(statuses).toEqual(['missing', 'missing', 'missing', 'missing', 'ok', 'exists'])
    },
  ],
  [
    'touch and cas extend it',
    async ({ wire, advance }) => {
      const [touched, replaced] = await everyWrite(wire, 3)
      const cas = casOf(await run(wire, { op: 'get', key: replaced }))
      expect((await run(wire, { op: 'touch', key: touched, ttlSec: 100 })).status).toBe('ok')
      expect((await run(wire, { op: 'cas', key: replaced, value: text('x'), ttlSec: 100, cas })).status).toBe('ok')
      await advance(3200)
      await expectStored(wire, touched, 'x')
      await expectStored(wire, replaced, 'x')
    },
  ],
  [
    'touch and cas shorten it',
    async ({ wire, advance }) => {
      const touched = await stored(wire, 'x')
      const replaced = await stored(wire, 'x')
      await run(wire, { op: 'touch', key: touched.key, ttlSec: 1 })
      await run(wire, { op: 'cas', key: replaced.key, value: text('x'), ttlSec: 1, cas: replaced.cas })
      await advance(1500)
      await expectMissing(wire, touched.key)
      await expectMissing(wire, replaced.key)
    },
  ],
  [
    'a write that is refused extends nothing',
    async ({ wire, advance }) => {
      const { key, cas: stale } = await stored(wire, 'old')
      await run(wire, { op: 'cas', key, value: text('new'), ttlSec: 1, cas: stale })
      await run(wire, { op: 'cas', key, value: text('no'), ttlSec: 100, cas: stale })
      await run(wire, { op: 'add', key, value: text('no'), ttlSec: 100 })
      await advance(1500)
      await expectMissing(wire, key)
    },
  ],
  [
    'over 30 days lives, for all that memcached reads dates there',
    async ({ wire, advance }) => {
      const keys: string[] = []
      for (const days of [30, 31, 400]) {
        keys.push(...(await everyWrite(wire, days * DAY_SEC)), ...(await everyWrite(wire, days * DAY_SEC + 1)))
        const { key } = await stored(wire, 'x')
        expect((await run(wire, { op: 'touch', key, ttlSec: days * DAY_SEC + 1 })).status).toBe('ok')
        keys.push(key)
      }
      for (const key of keys) await expectStored(wire, key, 'x')
      await advance(1500)
      for (const key of keys) await expectStored(wire, key, 'x')
    },
  ],
]

/** How long items live. On a real store all cases wait at the same time, each on a store of its own. */
export function ttlCases(make: MakeSubject): void {
  const running = new Map<string, Promise<void>>()
  beforeAll(() => {
    for (const [name, play] of CASES) {
      const outcome = onItsOwn(make, play)
      // Looked at by its test, which may come to it later.
      outcome.catch(() => undefined)
      running.set(name, outcome)
    }
  })
  it.each(CASES)('%s', async (name) => {
    await running.get(name)
  })
}

async function onItsOwn(make: MakeSubject, play: (subject: Subject) => Promise<void>): Promise<void> {
  const subject = await make()
  try {
    await play(subject)
  } finally {
    await subject.close()
  }
}

/** Fresh items that live `ttlSec`, by add, cas and set. */
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
  expect(replies.map((reply) => reply.status)).toEqual(['ok', 'ok', 'ok'])
  return [add, replaced.key, set]
}
