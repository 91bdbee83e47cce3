import type { Random } from '../../system/random.js'

/** Shares of the time the present holder has been seen: a poll comes late by half of one, in the mean. */
const SHARES = [
  { untilMs: 25, share: 0.13 },
  { untilMs: 500, share: 0.165 },
  { untilMs: Infinity, share: 0.175 },
] as const
const JITTER = 0.1
export const FLOOR_MS = 1
const CAP_MS = 1600

/** While a place in the waiting line is held: the lock comes by grant then, and haste wins nothing. */
export const IN_LINE_FLOOR_MS = 20

/**
 * How long to wait before the next poll, when the present holder has been seen for `seenMs`: proportional to it,
 * so that waiting adds little to a short hold and a long one costs few polls (60 at most in its first ten seconds).
 * Whole milliseconds, as timers have them, rounded at random so that the mean stays; at least 1.
 */
export function backOffMs(seenMs: number, random: Random, floorMs = FLOOR_MS): number {
  const share = SHARES.find(({ untilMs }) => seenMs < untilMs)?.share ?? 0
  const jitter = 1 + JITTER * (2 * random.fraction() - 1)
  const delayMs = Math.min(Math.max(seenMs * share, floorMs), CAP_MS) * jitter
  return Math.max(Math.floor(delayMs + random.fraction()), 1)
}
