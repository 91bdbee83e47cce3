import { afterAll, beforeAll, expect, it } from 'vitest'
import { FlightError, type Wire, valueBytes } from '../../../src/wire/wire.js'
import { casOf, expectStored, freshKey, run, stored, text } from './subject.js'
import type { MakeSubject, Subject } from './subject.js'

/** Many flights at once, on as many connections as the wire likes. */
export function concurrencyCases(make: MakeSubject): void {
  let subject: Subject | undefined
  const wire = (): Wire => {
    if (subject === undefined) throw new Error('used before beforeAll')
    return subject.wire
  }
  beforeAll(async () => {
    subject = await make({ wide: true })
  })
  afterAll(() => subject?.close())

  it('many concurrent flights on many routes get their own replies', async () => {
    const keys = Array.from({ length: 300 }, () => freshKey('own'))
    await Promise.all(
      keys.map(async (key, i) => {
        const value = text(`${key}:${'x'.repeat(i * 7)}`)
        const [before, added, read] = await wire().flight(key, [
          { op: 'get', key },
          { op: 'add', key, value, ttlSec: 100, flags: i },
          { op: 'get', key },
        ])
        expect([before?.status, added?.status, read?.status, read?.flags]).toEqual(['missing', 'ok', 'ok', i])
        expect(valueBytes(read?.value ?? '')).toEqual(value)
        const [gone, nothing] = await wire().flight(key, [
          { op: 'delete', key },
          { op: 'get', key },
        ])
        expect([gone?.status, nothing?.status]).toEqual(['ok', 'missing'])
      }),
    )
  })

  it('nobody sees the second command of a flight done and the first one not', async () => {
    const [first, second] = [freshKey('first'), freshKey('second')]
    let writing = true
    const write = async (): Promise<void> => {
      for (let i = 1; i <= 100; i++) {
        const item = { value: text(String(i)), ttlSec: 100 }
        await wire().flight(first, [
          { op: 'set', key: first, ...item },
          { op: 'set', key: second, ...item },
        ])
      }
      writing = false
    }
    const watch = async (): Promise<void> => {
      while (writing) {
        const [later, earlier] = await wire().flight(first, [
          { op: 'get', key: second },
          { op: 'get', key: first },
        ])
        expect(Number(earlier?.value ?? 0)).toBeGreaterThanOrEqual(Number(later?.value ?? 0))
      }
    }
    await Promise.all([write(), watch(), watch(), watch()])
  })

  it('of many adds exactly one wins', async () => {
    const key = freshKey()
    const adds = Array.from({ length: 40 }, (_, i) => run(wire(), { op: 'add', key, value: text(`${i}`), ttlSec: 100 }))
    const statuses = (await Promise.all(adds)).map((reply) => reply.status)
    expect(statuses.filter((status) => status === 'ok')).toHaveLength(1)
    expect(statuses.filter((status) => status === 'exists')).toHaveLength(39)
  })

  it('no update is lost between concurrent read, compare-and-set loops', async () => {
    const { key } = await stored(wire(), '0')
    const increment = async (): Promise<void> => {
      for (;;) {
        const read = await run(wire(), { op: 'get', key })
        const value = text(String(Number(read.value) + 1))
        const status = await run(wire(), { op: 'cas', key, value, ttlSec: 100, cas: casOf(read) }).then(
          (reply) => reply.status,
          distrust,
        )
        if (status === 'ok') return
        expect(['exists', 'untrusted']).toContain(status)
      }
    }
    await Promise.all(Array.from({ length: 20 }, increment))
    await expectStored(wire(), key, '20')
  })
}

/** A wire may refuse a version that it read before it opened another connection; whoever reads again gets on. */
function distrust(error: unknown): string {
  if (error instanceof FlightError && error.untrusted) return 'untrusted'
  throw error
}
