import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/testing/seeded-random.js'

describe('SeededRandom', () => {
  it('is xoshiro128**: the values that the reference implementation yields', () => {
    // Computed with prng.di.unimi.it/xoshiro128starstar.c, compiled by gcc.
    const first = new SeededRandom([1, 2, 3, 4])
    const drawn = Array.from({ length: 6 }, () => first.uint32())
    expect(drawn).toEqual([11520, 0, 5927040, 70819200, 2031721883, 1637235492])
    const second = new SeededRandom([0x964d4a0c, 0xd40ab895, 0xad7fdecb, 0x3006f0f0])
    const words = Array.from({ length: 4 }, () => second.uint32())
    expect(words).toEqual([0xf1391922, 0x6fe53806, 0xa5be2840, 0xf510ee70])
  })

  it('repeats itself for a seed, and differs for another', () => {
    const draw = (seed: number): unknown => {
      const random = new SeededRandom(seed)
      return [random.bytes(40), random.fraction(), random.integer(1000), random.pick(['a', 'b', 'c']), random.uint32()]
    }
    expect(draw(1)).toEqual(draw(1))
    const seen = new Set(Array.from({ length: 1000 }, (_, seed) => JSON.stringify(draw(seed))))
    expect(seen.size).toBe(1000)
    expect(draw(0)).toEqual(draw(2 ** 32))
  })

  it('hands out bytes of its own, as many as asked for', () => {
    const random = new SeededRandom(7)
    const first = random.bytes(16)
    const kept = Uint8Array.from(first)
    expect(random.bytes(16)).not.toEqual(first)
    expect(first).toEqual(kept)
    expect([0, 1, 3, 4, 5, 1000].map((count) => random.bytes(count).length)).toEqual([0, 1, 3, 4, 5, 1000])
  })

  it('is uniform in [0, 1), roughly', () => {
    const random = new SeededRandom(42)
    const buckets = new Array<number>(10).fill(0)
    for (let i = 0; i < 100_000; i++) {
      const index = random.integer(10)
      buckets[index] = (buckets[index] ?? 0) + 1
    }
    expect(buckets).toHaveLength(10)
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500)
  })

  it('forks: drawing from the fork leaves the sequence alone', () => {
    const [one, other] = [new SeededRandom(3), new SeededRandom(3)]
    const fork = one.fork()
    other.fork()
    fork.bytes(100)
    expect(one.uint32()).toBe(other.uint32())
    expect(fork.uint32()).not.toBe(one.uint32())
  })

  it('refuses a state of zeros, and to pick from nothing', () => {
    expect(() => new SeededRandom([0, 0, 0, 0])).toThrow(RangeError)
    expect(() => new SeededRandom(1).pick([])).toThrow(RangeError)
  })
})
