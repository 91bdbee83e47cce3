import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../src/testing/virtual-clock.js'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import type { Command } from '../../src/wire/wire.js'
import { casOf, expectMissing, expectStored, run, stored, text } from '../../src/testing/wire-conformance/subject.js'
import { itConforms } from './conformance.js'

itConforms('memory', async (options) => {
  const clock = new VirtualClock({ nowMs: 123_456 })
  const wire = createMemoryWire({ clock, ...(options?.small === true ? { maxTotalBytes: 8 * 1024 * 1024 } : {}) })
  return { wire, advance: (ms) => clock.advance(ms), close: () => wire.close() }
})

describe('the memory wire', () => {
  it('counts whole seconds: TTL t ends with the t-th tick', async () => {
    const clock = new VirtualClock({ nowMs: 900 })
    const wire = createMemoryWire({ clock })
    await run(wire, { op: 'set', key: 'one', value: text('x'), ttlSec: 1 })
    await run(wire, { op: 'set', key: 'two', value: text('x'), ttlSec: 2 })
    await clock.advance(99)
    await expectStored(wire, 'one', 'x')
    await clock.advance(1)
    await expectMissing(wire, 'one')
    await clock.advance(999)
    await expectStored(wire, 'two', 'x')
    await clock.advance(1)
    await expectMissing(wire, 'two')
  })

  it('lives for 40 days if it was told to', async () => {
    const clock = new VirtualClock()
    const wire = createMemoryWire({ clock })
    const days = (count: number): number => count * 86_400
    await run(wire, { op: 'add', key: 'k', value: text('x'), ttlSec: days(40) })
    await clock.advance(days(40) * 1000 - 1)
    await expectStored(wire, 'k', 'x')
    await clock.advance(1)
    await expectMissing(wire, 'k')
  })

  it('numbers versions from 1, by every write and by nothing else', async () => {
    const wire = createMemoryWire()
    const item = { value: text('x'), ttlSec: 100 }
    const first = casOf(await run(wire, { op: 'add', key: 'a', ...item }))
    expect(first.version).toBe('1')
    await run(wire, { op: 'touch', key: 'a', ttlSec: 9 })
    await run(wire, { op: 'add', key: 'a', ...item })
    await run(wire, { op: 'set', key: 'b', ...item })
    const third = await run(wire, { op: 'cas', key: 'a', ...item, cas: first, wantCas: true })
    expect(casOf(third).version).toBe('3')
  })

  it('carries a flight out later than the call, but before anything that the call lets run', async () => {
    const wire = createMemoryWire()
    const value = Buffer.from('before')
    const order: string[] = []
    const flight = wire.flight('k', [{ op: 'set', key: 'k', value, ttlSec: 9 }]).then(() => order.push('flight'))
    value.fill('x')
    order.push('caller')
    expect(wire.size).toBe(0)
    await flight
    expect(order).toEqual(['caller', 'flight'])
    await expectStored(wire, 'k', 'before')
  })

  it('drops the old item when a set is refused, as memcached does', async () => {
    const wire = createMemoryWire({ maxItemBytes: 2000, maxTotalBytes: 3000 })
    const filler = { value: Buffer.alloc(1000), ttlSec: 100 }
    await run(wire, { op: 'set', key: 'a', value: text('old'), ttlSec: 100 })
    const tooLarge = await run(wire, { op: 'set', key: 'a', value: Buffer.alloc(2000), ttlSec: 100 })
    expect(tooLarge.status).toBe('tooLarge')
    await expectMissing(wire, 'a')
    await run(wire, { op: 'set', key: 'a', ...filler })
    await run(wire, { op: 'set', key: 'b', ...filler })
    expect((await run(wire, { op: 'set', key: 'a', ...filler })).status).toBe('outOfMemory')
    await expectMissing(wire, 'a')
    expect((await run(wire, { op: 'set', key: 'a', ...filler })).status).toBe('ok')
  })

  it('makes room by what has expired before it refuses', async () => {
    const clock = new VirtualClock()
    const wire = createMemoryWire({ clock, maxTotalBytes: 5000 })
    for (const key of ['a', 'b', 'c', 'd']) await run(wire, { op: 'add', key, value: Buffer.alloc(1000), ttlSec: 5 })
    const more: Command = { op: 'add', key: 'e', value: Buffer.alloc(1000), ttlSec: 5 }
    expect((await run(wire, more)).status).toBe('outOfMemory')
    await clock.advance(5000)
    expect((await run(wire, more)).status).toBe('ok')
  })

  it('sweep removes what has expired, and counts it', async () => {
    const clock = new VirtualClock()
    const wire = createMemoryWire({ clock })
    const { key } = await stored(wire, 'stays')
    for (let i = 0; i < 10; i++) await run(wire, { op: 'add', key: `k${i}`, value: text('x'), ttlSec: 5 })
    expect(wire.sweep()).toBe(0)
    await clock.advance(5000)
    expect(wire.sweep()).toBe(10)
    expect(wire.sweep()).toBe(0)
    expect(wire.size).toBe(1)
    await expectStored(wire, key, 'stays')
  })

  it('does not grow without bound where nobody sweeps', async () => {
    const clock = new VirtualClock()
    const wire = createMemoryWire({ clock })
    let largest = 0
    for (let i = 0; i < 20_000; i++) {
      await wire.flight('r', [{ op: 'add', key: `k${i}`, value: text('x'), ttlSec: 10 }])
      if (i % 10 === 0) await clock.advance(100)
      largest = Math.max(largest, wire.size)
    }
    // 1000 are alive at any time.
    expect(largest).toBeLessThan(3000)
    await clock.advance(11_000)
    wire.sweep()
    expect([wire.size, wire.usedBytes]).toEqual([0, 0])
  })

  it('refuses a TTL that memcached would read as something else', async () => {
    const wire = createMemoryWire()
    for (const ttlSec of [0, -1, 1.5, Number.NaN]) {
      const flight = wire.flight('k', [{ op: 'set', key: 'k', value: text('x'), ttlSec }])
      await expect(flight).rejects.toMatchObject({ name: 'FlightError', outcome: 'not-sent' })
    }
  })
})
