import type { Random } from '../system/random.js'

/** Share of the time the present holder has been seen; the mean delay it adds to a hold is half of it. */
const SHARE = 0.16
const JITTER = 0.1
const FLOOR_MS = 2
const CAP_MS = 1000

/** While a place in the waiting line is held: the lock comes by grant then, and haste wins nothing. */
export const IN_LINE_FLOOR_MS = 20

/**
 * How long to wait before the next poll, when the present holder has been seen for `seenMs`: proportional to it,
 * so that waiting adds little to a short hold and a long one costs few polls (under 60 in its first ten seconds).
 */
export function backOffMs(seenMs: number, random: Random, floorMs = FLOOR_MS): number {
  const jitter = 1 + JITTER * (2 * random.fraction() - 1)
  return Math.min(Math.max(seenMs * SHARE, floorMs), CAP_MS) * jitter
}
