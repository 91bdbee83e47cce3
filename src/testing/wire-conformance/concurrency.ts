import assert from 'node:assert/strict'
import { FlightError } from '../../wire/wire.js'
import { assertBytes, casOf, expectStored, freshKey, type Plays, run, stored, text } from './subject.js'

/** Many flights at once, on as many connections as the wire likes. */
export const concurrencyCases: Plays = [
  ['many concurrent flights on many routes get their own replies', async ({ wire }) => {
    const keys = Array.from({ length: 300 }, () => freshKey('own'))
    await Promise.all(
      keys.map(async (key, i) => {
        const value = text(`${key}:${'x'.repeat(i * 7)}`)
        const [before, added, read] = await wire.flight(key, [
          { op: 'get', key },
          { op: 'add', key, value, ttlSec: 100, flags: i },
          { op: 'get', key },
        ])
        assert.deepEqual([before?.status, added?.status, read?.status, read?.flags], ['missing', 'ok', 'ok', i])
        assertBytes(read?.value, value)
        const [gone, nothing] = await wire.flight(key, [
          { op: 'delete', key },
          { op: 'get', key },
        ])
        assert.deepEqual([gone?.status, nothing?.status], ['ok', 'missing'])
      }),
    )
  }],

  ['nobody sees the second command of a flight done and the first one not', async ({ wire }) => {
    const [first, second] = [freshKey('first'), freshKey('second')]
    const store = async (i: number): Promise<void> => {
      const item = { value: text(String(i)), ttlSec: 100 }
      await wire.flight(first, [
        { op: 'set', key: first, ...item },
        { op: 'set', key: second, ...item },
      ])
    }
    // Before anybody watches: where only two of three servers are there, and one has a record that the other one does not have yet, a wire
    // that keeps copies can not say whether it is there, and refuses to.
    await store(0)
    let writing = true
    const write = async (): Promise<void> => {
      try {
        for (let i = 1; i <= 100; i++) await store(i)
      } finally {
        writing = false
      }
    }
    const watch = async (): Promise<void> => {
      while (writing) {
        const [later, earlier] = await wire.flight(first, [
          { op: 'get', key: second },
          { op: 'get', key: first },
        ])
        assert.ok(Number(earlier?.value ?? 0) >= Number(later?.value ?? 0), `${String(later?.value)} after ${String(earlier?.value)}`)
      }
    }
    await Promise.all([write(), watch(), watch(), watch()])
  }],

  ['of many adds exactly one wins', async ({ wire }) => {
    const key = freshKey()
    const adds = Array.from({ length: 40 }, (_, i) => run(wire, { op: 'add', key, value: text(`${i}`), ttlSec: 100 }))
    const statuses = (await Promise.all(adds)).map((reply) => reply.status)
    assert.equal(statuses.filter((status) => status === 'ok').length, 1)
    assert.equal(statuses.filter((status) => status === 'exists').length, 39)
  }],

  ['no update is lost between concurrent read, compare-and-set loops', async ({ wire }) => {
    const { key } = await stored(wire, '0')
    const increment = async (): Promise<void> => {
      for (;;) {
        const read = await run(wire, { op: 'get', key })
        const value = text(String(Number(read.value) + 1))
        const status = await run(wire, { op: 'cas', key, value, ttlSec: 100, cas: casOf(read) }).then(
          (reply) => reply.status,
          distrust,
        )
        if (status === 'ok') return
        assert.ok(['exists', 'untrusted'].includes(status), status)
      }
    }
    await Promise.all(Array.from({ length: 20 }, increment))
    await expectStored(wire, key, '20')
  }],
]

/** A wire may refuse a version that it read before it opened another connection. After another read it goes on. */
function distrust(error: unknown): string {
  if (error instanceof FlightError && error.untrusted) return 'untrusted'
  throw error
}
