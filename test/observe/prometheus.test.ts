import { InvalidOptionError } from 'latchkey'
import { instrumentPrometheus } from 'latchkey/prometheus'
import { register, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { codeOf, World } from '../support/world.js'

const ID = 'a-session-id'

/** The samples of a registry, as Prometheus reads them. */
async function scrape(registry: { metrics(): Promise<string> }): Promise<(sample: string) => number | undefined> {
  const text = await registry.metrics()
  expect(text).not.toContain(ID)
  const samples = new Map(
    text.split('\n').flatMap((line) => {
      const [, sample, value] = /^([^#].*) (\S+)$/.exec(line) ?? []
      return sample === undefined || value === undefined ? [] : [[sample, Number(value)] as const]
    }),
  )
  return (sample) => samples.get(sample)
}

describe('latchkey/prometheus', () => {
  it('measures waits and holds, and counts what stats() counts', async () => {
    const world = new World()
    const { manager } = world.process({ waitMs: 200 })
    const registry = new Registry()
    const stop = instrumentPrometheus(manager, { registry, name: 'shop' })
    const held = await world.until(manager.start(ID))
    const next = manager.start(ID)
    await world.until(world.pause(30))
    const during = await scrape(registry)
    expect(during('latchkey_held{manager="shop"}')).toBe(1)
    expect(during('latchkey_waiting{manager="shop"}')).toBe(1)
    await world.until(held.release())
    const second = await world.until(next)
    expect(await world.until(codeOf(manager.start(ID)))).toBe('LATCHKEY_LOCK_TIMEOUT')
    await world.until(second.release())

    const after = await scrape(registry)
    expect(after('latchkey_held{manager="shop"}')).toBe(0)
    expect(after('latchkey_acquired_total{manager="shop"}')).toBe(2)
    expect(after('latchkey_hand_offs_total{manager="shop"}')).toBe(1)
    expect(after('latchkey_timeouts_total{manager="shop"}')).toBe(1)
    expect(after('latchkey_flights_total{manager="shop"}')).toBe(manager.stats().flights)
    for (const name of ['polls', 'fenced', 'lost', 'unknown', 'grants']) {
      expect(after(`latchkey_${name}_total{manager="shop"}`)).toBe(0)
    }
    expect(after('latchkey_wait_seconds_count{manager="shop",outcome="ok"}')).toBe(2)
    expect(after('latchkey_wait_seconds_sum{manager="shop",outcome="ok"}')).toBeCloseTo(0.03)
    expect(after('latchkey_wait_seconds_sum{manager="shop",outcome="LATCHKEY_LOCK_TIMEOUT"}')).toBeCloseTo(0.2)
    expect(after('latchkey_wait_seconds_bucket{le="0.025",manager="shop",outcome="ok"}')).toBe(1)
    expect(after('latchkey_hold_seconds_count{manager="shop"}')).toBe(2)
    expect(after('latchkey_hold_seconds_sum{manager="shop"}')).toBeCloseTo(0.23)
    expect(after('latchkey_hold_seconds_bucket{le="0.05",manager="shop"}')).toBe(1)

    stop()
    await world.until(manager.run(ID, () => undefined))
    const stopped = await scrape(registry)
    expect(stopped('latchkey_acquired_total{manager="shop"}')).toBeUndefined()
    expect(stopped('latchkey_hold_seconds_count{manager="shop"}')).toBe(2)
  })

  it('keeps managers of one registry apart, and takes each once', async () => {
    const world = new World()
    const [one, other] = [world.process().manager, world.process().manager]
    const stops = [instrumentPrometheus(one), instrumentPrometheus(other)]
    await world.until(one.run(ID, () => undefined))
    await world.until(one.run(ID, () => undefined))
    await world.until(other.run(ID, () => undefined))
    const sample = await scrape(register)
    expect(sample(`latchkey_acquired_total{manager="${one.name}"}`)).toBe(2)
    expect(sample(`latchkey_acquired_total{manager="${other.name}"}`)).toBe(1)
    expect(sample(`latchkey_hold_seconds_count{manager="${one.name}"}`)).toBe(2)
    expect(() => instrumentPrometheus(one)).toThrow(InvalidOptionError)
    for (const stop of stops) stop()
    instrumentPrometheus(one)()
    register.clear()
  })

  it('begins again in a registry that was cleared', async () => {
    const { manager } = new World().process()
    const registry = new Registry()
    instrumentPrometheus(manager, { registry })
    registry.clear()
    const stop = instrumentPrometheus(manager, { registry })
    expect((await scrape(registry))(`latchkey_flights_total{manager="${manager.name}"}`)).toBe(0)
    stop()
  })

  it('counts a hold that ended in a loss once', async () => {
    const world = new World()
    const { manager } = world.process()
    const registry = new Registry()
    const stop = instrumentPrometheus(manager, { registry, name: 'shop' })
    const session = await world.until(manager.start(ID))
    await world.evict(`sess:${ID}-lck`)
    await world.until(world.pause(6000))
    await world.until(session.abort())
    const sample = await scrape(registry)
    expect(sample('latchkey_lost_total{manager="shop"}')).toBe(1)
    expect(sample('latchkey_hold_seconds_count{manager="shop"}')).toBe(1)
    stop()
  })
})
