/** Until when an item lives, in SQL and here. */
import type { Instant } from './store-clock.js'

/** What clocks of two processes may differ by: they count on one, and round. */
const SLACK_MS = 1000

/**
 * Its four values are those of `aliveAt`. Its moment must be later than the reading of the row, or under the write lock:
 * a process that was stopped in between would take a lock that was set meanwhile for one of an earlier start of the machine.
 */
export const ALIVE = '((boot = 0 AND expires > ?) OR (boot = ? AND expires > ? AND expires - ttl < ?))'
export const aliveAt = ({ wallMs, boot, bootMs }: Instant): [number, number, number, number] => [wallMs, boot, bootMs, bootMs + SLACK_MS]

export interface Lifetime {
  readonly boot: number
  readonly expires: number
  readonly ttl: number
}

/** The same as ALIVE. */
export const isAlive = ({ boot, expires, ttl }: Lifetime, now: Instant): boolean =>
  boot === 0 ? expires > now.wallMs : boot === now.boot && expires > now.bootMs && expires - ttl < now.bootMs + SLACK_MS
