import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { renewAfterMs, tombstoneSec, usableLeaseMs } from '../../src/lock/protocol/lease.js'

const leaseSec = fc.integer({ min: 2, max: 3600 })
const ms = (max: number): fc.Arbitrary<number> => fc.double({ min: 0, max, noNaN: true })

describe('lease arithmetic', () => {
  it('what a holder counts on is over before the shortest life of a lock with that TTL is', () => {
    // Carried out when the server's clock is `phaseMs` into a second, an item of t seconds lives t*1000 - phaseMs.
    fc.assert(
      fc.property(leaseSec, ms(999), ms(10_000), (lease, phaseMs, underWayMs) => {
        const believedUntilMs = usableLeaseMs(lease)
        const goneAtMs = underWayMs + lease * 1000 - phaseMs
        expect(believedUntilMs).toBeLessThan(goneAtMs)
      }),
    )
  })

  it('a lease is renewed in time for a second try', () => {
    fc.assert(
      fc.property(leaseSec, (lease) => {
        expect(renewAfterMs(lease)).toBeGreaterThan(0)
        expect(renewAfterMs(lease) * 2).toBeLessThanOrEqual(usableLeaseMs(lease))
        expect(renewAfterMs(lease) * 3).toBeLessThanOrEqual(lease * 1000)
      }),
    )
  })

  it('a tombstone outlives whoever read the record before it, in whole seconds', () => {
    fc.assert(
      fc.property(leaseSec, ms(86_400_000), ms(600_000), (lease, maxHoldMs, waitMs) => {
        const sec = tombstoneSec({ leaseSec: lease, maxHoldMs, waitMs })
        expect(Number.isInteger(sec)).toBe(true)
        // memcached's second, off.
        expect((sec - 1) * 1000).toBeGreaterThanOrEqual(lease * 1000 + maxHoldMs + waitMs)
      }),
    )
  })
})
