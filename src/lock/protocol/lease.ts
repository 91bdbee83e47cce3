/**
 * Lease arithmetic. A TTL of t seconds lives (t-1, t] on memcached, whose clock ticks whole seconds, so a holder
 * counts on t-1 only; and it counts from the moment of *sending*, because the server's count starts later.
 */

/** How long after sending its add (or renewal) a holder may believe that the lock is still its own. */
export const usableLeaseMs = (leaseSec: number): number => (leaseSec - 1) * 1000

/** When to renew, after the sending of the last acknowledged add or renewal. */
export const renewAfterMs = (leaseSec: number): number => Math.min((leaseSec * 1000) / 3, usableLeaseMs(leaseSec) / 2)

/** When to prolong a record that is held, after the sending of what gave it its time: well before that is over. */
export const prolongAfterMs = (lifetimeSec: number): number => Math.max(renewAfterMs(lifetimeSec), SHORTEST_PROLONG_MS)

/** A record of one second may live for hardly any: it cannot be kept alive for sure, and is not worth more flights. */
const SHORTEST_PROLONG_MS = 250

/**
 * How long a tombstone must stay: no request that read the old record, or found none, may outlive it
 * (it waits, holds and pauses for no longer than this).
 */
export const tombstoneSec = (limits: { leaseSec: number; maxHoldMs: number; waitMs: number }): number =>
  limits.leaseSec + Math.ceil((limits.maxHoldMs + limits.waitMs) / 1000) + STANDSTILL_SEC

/** For a process or a server that was stopped in the meantime; a tombstone has no bytes, so it may stay long. */
const STANDSTILL_SEC = 60
