/**
 * Lease arithmetic. An item with a TTL of t seconds lives (t-1, t] on memcached, whose clock ticks whole seconds, so a
 * holder counts on t-1 seconds only. The holder counts from the moment of *sending*, because the server starts later.
 */

/** How long after sending its add (or renewal) a holder may believe that the lock is still its own. */
export const usableLeaseMs = (leaseSec: number): number => (leaseSec - 1) * 1000

/** When to renew, after the sending of the last acknowledged add or renewal. */
export const renewAfterMs = (leaseSec: number): number => Math.min((leaseSec * 1000) / 3, usableLeaseMs(leaseSec) / 2)

/**
 * When to prolong the record of a held session, counted from the sending of the command that last set its lifetime:
 * well before that lifetime is over.
 */
export const prolongAfterMs = (lifetimeSec: number): number => Math.max(renewAfterMs(lifetimeSec), SHORTEST_PROLONG_MS)

/**
 * A TTL of one second may end almost at once: such a record cannot be kept
 * alive for sure, and is not worth more flights.
 */
const SHORTEST_PROLONG_MS = 250

/**
 * How long a tombstone must stay: longer than any request that read the old record, or found none, can wait, hold the
 * session and pause. Such a request could otherwise store the old session again after the tombstone has gone.
 */
export const tombstoneSec = (limits: { leaseSec: number; maxHoldMs: number; waitMs: number }): number =>
  limits.leaseSec + Math.ceil((limits.maxHoldMs + limits.waitMs) / 1000) + STANDSTILL_SEC

/**
 * Added for a process or a server that stands still in the meantime. A tombstone has no bytes, so a long stay is cheap.
 */
const STANDSTILL_SEC = 60
