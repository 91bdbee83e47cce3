import assert from 'node:assert/strict'
import { type Command, FlightError, type Wire } from '../../wire/wire.js'
import { casOf, expectMissing, expectStored, freshKey, longKey, only, type Plays, run, statusesOf, stored, text } from './subject.js'

const BAD_KEYS: readonly (readonly [string, (wire: Wire) => string])[] = [
  ['empty', () => ''],
  ['a byte too long', (wire) => `${longKey(wire, 'k')}k`],
  ['a space', () => 'a b'],
  ['a line end', () => 'a\r\nflush_all\r\n'],
  ['a NUL', () => 'a\0b'],
  ['a DEL', () => 'a\x7fb'],
  ['not ASCII', () => 'é'],
]

/** Order, isolation and framing of flights. */
export const flightCases: Plays = [
  ['an empty flight has no replies', async ({ wire }) => {
    assert.deepEqual(await wire.flight('route', []), [])
  }],

  ['replies come in the order of the commands, one each', async ({ wire }) => {
    const { key, cas } = await stored(wire, 'one')
    const absent = freshKey()
    const replies = await wire.flight(key, [
      { op: 'get', key: absent },
      { op: 'get', key },
      { op: 'touch', key, ttlSec: 50 },
      { op: 'add', key, value: text('no'), ttlSec: 100 },
      { op: 'cas', key, value: text('two'), ttlSec: 100, cas, wantCas: true },
      { op: 'cas', key, value: text('no'), ttlSec: 100, cas, wantCas: true },
      { op: 'get', key },
      { op: 'cad', key, cas },
      { op: 'delete', key: absent },
      { op: 'set', key, value: text('three'), ttlSec: 100 },
      { op: 'get', key },
      { op: 'delete', key },
      { op: 'get', key },
      { op: 'touch', key, ttlSec: 50 },
      { op: 'cad', key, cas },
      { op: 'cas', key, value: text('no'), ttlSec: 100, cas },
      { op: 'add', key, value: text('four'), ttlSec: 100 },
    ])
    assert.deepEqual(statusesOf(replies), [
      ...['missing', 'ok', 'ok', 'exists', 'ok', 'exists', 'ok', 'exists', 'missing', 'ok', 'ok', 'ok', 'missing'],
      ...['missing', 'missing', 'missing', 'ok'],
    ])
    const values = replies.filter((_reply, index) => [1, 6, 10].includes(index)).map((reply) => String(reply.value))
    assert.deepEqual(values, ['one', 'two', 'three'])
    assert.equal(casOf(replies[4] ?? only([])).version, casOf(replies[6] ?? only([])).version)
  }],

  ['acquires in one flight and commits in one', async ({ wire }) => {
    const { key } = await stored(wire, 'record', 'session')
    const lock = `${key}-lck`
    const acquire: Command[] = [
      { op: 'add', key: lock, value: text('token'), ttlSec: 15 },
      { op: 'get', key },
    ]
    const [taken, record] = await wire.flight(key, acquire)
    if (taken === undefined || record === undefined) return assert.fail('two replies')
    assert.deepEqual([taken.status, record.status, String(record.value)], ['ok', 'ok', 'record'])
    assert.deepEqual(statusesOf(await wire.flight(key, acquire)), ['exists', 'ok'])
    const committed = await wire.flight(key, [
      { op: 'cas', key, value: text('changed'), ttlSec: 100, cas: casOf(record) },
      { op: 'cad', key: lock, cas: casOf(taken) },
    ])
    assert.deepEqual(statusesOf(committed), ['ok', 'ok'])
    await expectStored(wire, key, 'changed')
    await expectMissing(wire, lock)
  }],

  ['a long flight', async ({ wire }) => {
    const key = freshKey()
    const commands: Command[] = []
    for (let i = 0; i < 300; i++) {
      commands.push({ op: 'set', key, value: text(`value ${i}`), ttlSec: 100 }, { op: 'get', key })
    }
    const replies = await wire.flight(key, commands)
    assert.equal(replies.length, 600)
    replies.forEach((reply, i) => {
      assert.equal(reply.status, 'ok')
      if (i % 2 === 1) assert.equal(String(reply.value), `value ${(i - 1) / 2}`)
    })
  }],

  ['the longest key is a key', async ({ wire }) => {
    const key = longKey(wire, '!~')
    assert.equal((await run(wire, { op: 'add', key, value: text('x'), ttlSec: 100 })).status, 'ok')
    await expectStored(wire, key, 'x')
  }],

  ...BAD_KEYS.map(([name, badKey]): Plays[number] => [`a bad key (${name}) is not sent, nor is anything else of its flight`, async ({ wire }) => {
    const bad = badKey(wire)
    const key = freshKey()
    const neighbours = [freshKey(), freshKey()]
    const flights = [
      stored(wire, 'unharmed'),
      wire.flight(key, [
        { op: 'add', key, value: text('must not be stored'), ttlSec: 100 },
        { op: 'get', key: bad },
      ]),
      ...neighbours.map((name) => run(wire, { op: 'add', key: name, value: text('unharmed'), ttlSec: 100 })),
    ] as const
    const [first, broken, ...others] = await Promise.allSettled(flights)
    assert.equal(first.status, 'fulfilled')
    assert.deepEqual(others.map((other) => other.status), ['fulfilled', 'fulfilled'])
    if (broken.status === 'fulfilled') return assert.fail('a bad key was accepted')
    assert.ok(broken.reason instanceof FlightError, String(broken.reason))
    assert.deepEqual([broken.reason.outcome, broken.reason.untrusted], ['not-sent', false])
    await expectMissing(wire, key)
    for (const neighbour of neighbours) await expectStored(wire, neighbour, 'unharmed')
  }]),
]
