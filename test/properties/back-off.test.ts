import fc from 'fast-check'
import { SeededRandom } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { backOffMs, IN_LINE_FLOOR_MS } from '../../src/lock/queue/back-off.js'

const FLOOR_MS = 1
const CAP_MS = 1600
const JITTER = 0.1

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const seenMs = fc.oneof(fc.double({ min: 0, max: 60_000, noNaN: true }), fc.integer({ min: 0, max: 600_000 }))
const fixed = (value: number): { fraction(): number; bytes(count: number): Uint8Array } => ({
  fraction: () => value,
  bytes: (count) => new Uint8Array(count),
})

/** The polls of a waiter that sees one holder for `holdMs`, and how much longer than the hold it waits. */
function wait(holdMs: number, random: SeededRandom, floorMs?: number): { polls: number; lateMs: number } {
  let nowMs = 0
  for (let polls = 1; ; polls++) {
    nowMs += backOffMs(nowMs, random, floorMs)
    if (nowMs >= holdMs) return { polls, lateMs: nowMs - holdMs }
  }
}

describe('the back-off', () => {
  it('lies between its floor and its cap, jitter apart', () => {
    fc.assert(
      fc.property(seenMs, fraction, fc.constantFrom(FLOOR_MS, IN_LINE_FLOOR_MS), (seen, part, floorMs) => {
        const delayMs = backOffMs(seen, fixed(part), floorMs)
        expect(delayMs).toBeGreaterThanOrEqual(Math.floor(floorMs * (1 - JITTER)))
        expect(delayMs).toBeLessThanOrEqual(CAP_MS * (1 + JITTER) + 1)
        expect(delayMs).toSatisfy((ms: number) => Number.isInteger(ms) && ms >= 1)
      }),
      { numRuns: 2000 },
    )
  })

  it('never shrinks while the same holder stays', () => {
    fc.assert(
      fc.property(seenMs, seenMs, fraction, (one, other, part) => {
        const [sooner, later] = one <= other ? [one, other] : [other, one]
        expect(backOffMs(sooner, fixed(part))).toBeLessThanOrEqual(backOffMs(later, fixed(part)))
      }),
      { numRuns: 2000 },
    )
  })

  it('costs at most 60 polls in the first ten seconds, and under 1 more a second after that, whatever the seed', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 120 }), (seed, beyondSec) => {
        const { polls } = wait(10_000 + beyondSec * 1000, new SeededRandom(seed))
        expect(polls).toBeLessThanOrEqual(60 + beyondSec * (1 / (1 - JITTER)))
      }),
    )
  })

  it('adds at most 20 % and its floor to a hold, and never more than the cap', () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 1, max: 60_000, noNaN: true }), (seed, holdMs) => {
        const { lateMs } = wait(holdMs, new SeededRandom(seed))
        const longest = 0.18 * (1 + JITTER)
        expect(lateMs).toBeLessThanOrEqual(Math.max(holdMs * longest, FLOOR_MS) + 1)
        expect(lateMs).toBeLessThanOrEqual(CAP_MS * (1 + JITTER) + 1)
      }),
      { numRuns: 1000 },
    )
  })
})
