import { expect, it } from 'vitest'
import { type Command, FlightError } from '../../../src/wire/wire.js'
import { casOf, expectMissing, expectStored, freshKey, type GetWire, only, run, stored, text } from './subject.js'

const BAD_KEYS: readonly (readonly [string, string])[] = [
  ['empty', ''],
  ['251 bytes', 'k'.repeat(251)],
  ['a space', 'a b'],
  ['a line end', 'a\r\nflush_all\r\n'],
  ['a NUL', 'a\0b'],
  ['a DEL', 'a\x7fb'],
  ['not ASCII', 'é'],
]

/** Order, isolation and framing of flights. */
export function flightCases(wire: GetWire): void {
  it('an empty flight has no replies', async () => {
    expect(await wire().flight('route', [])).toEqual([])
  })

  it('replies come in the order of the commands, one each', async () => {
    const { key, cas } = await stored(wire(), 'one')
    const absent = freshKey()
    const replies = await wire().flight(key, [
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
    expect(replies.map((reply) => reply.status)).toEqual([
      ...['missing', 'ok', 'ok', 'exists', 'ok', 'exists', 'ok', 'exists', 'missing', 'ok', 'ok', 'ok', 'missing'],
      ...['missing', 'missing', 'missing', 'ok'],
    ])
    const values = replies.filter((_reply, index) => [1, 6, 10].includes(index)).map((reply) => String(reply.value))
    expect(values).toEqual(['one', 'two', 'three'])
    expect(casOf(replies[4] ?? only([])).version).toBe(casOf(replies[6] ?? only([])).version)
  })

  it('acquires in one flight and commits in one', async () => {
    const { key } = await stored(wire(), 'record', 'session')
    const lock = `${key}-lck`
    const acquire: Command[] = [
      { op: 'add', key: lock, value: text('token'), ttlSec: 15 },
      { op: 'get', key },
    ]
    const [taken, record] = await wire().flight(key, acquire)
    if (taken === undefined || record === undefined) throw new Error('two replies')
    expect([taken.status, record.status, String(record.value)]).toEqual(['ok', 'ok', 'record'])
    expect((await wire().flight(key, acquire)).map((reply) => reply.status)).toEqual(['exists', 'ok'])
    const committed = await wire().flight(key, [
      { op: 'cas', key, value: text('changed'), ttlSec: 100, cas: casOf(record) },
      { op: 'cad', key: lock, cas: casOf(taken) },
    ])
    expect(committed.map((reply) => reply.status)).toEqual(['ok', 'ok'])
    await expectStored(wire(), key, 'changed')
    await expectMissing(wire(), lock)
  })

  it('a long flight', async () => {
    const key = freshKey()
    const commands: Command[] = []
    for (let i = 0; i < 300; i++) {
      commands.push({ op: 'set', key, value: text(`value ${i}`), ttlSec: 100 }, { op: 'get', key })
    }
    const replies = await wire().flight(key, commands)
    expect(replies).toHaveLength(600)
    replies.forEach((reply, i) => {
      expect(reply.status).toBe('ok')
      if (i % 2 === 1) expect(String(reply.value)).toBe(`value ${(i - 1) / 2}`)
    })
  })

  it('a key of 250 bytes is a key', async () => {
    const key = freshKey('!~').padEnd(250, '~')
    expect((await run(wire(), { op: 'add', key, value: text('x'), ttlSec: 100 })).status).toBe('ok')
    await expectStored(wire(), key, 'x')
  })

  it.each(BAD_KEYS)('a bad key (%s) is not sent, nor is anything else of its flight', async (_name, bad) => {
    const key = freshKey()
    const neighbours = [freshKey(), freshKey()]
    const flights = [
      stored(wire(), 'unharmed'),
      wire().flight(key, [
        { op: 'add', key, value: text('must not be stored'), ttlSec: 100 },
        { op: 'get', key: bad },
      ]),
      ...neighbours.map((name) => run(wire(), { op: 'add', key: name, value: text('unharmed'), ttlSec: 100 })),
    ] as const
    const [first, broken, ...others] = await Promise.allSettled(flights)
    expect(first.status).toBe('fulfilled')
    expect(others.map((other) => other.status)).toEqual(['fulfilled', 'fulfilled'])
    if (broken.status === 'fulfilled') throw new Error('a bad key was accepted')
    expect(broken.reason).toBeInstanceOf(FlightError)
    expect(broken.reason).toMatchObject({ outcome: 'not-sent', untrusted: false })
    await expectMissing(wire(), key)
    for (const neighbour of neighbours) await expectStored(wire(), neighbour, 'unharmed')
  })
}
