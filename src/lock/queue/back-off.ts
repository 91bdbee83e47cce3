import type { Random } from '../../system/random.js'

/**
 * A pause is this share of the time for which the present holder has been
 * seen. On average a poll is late by half a pause.
 */
const SHARES = [
  { untilMs: 25, share: 0.13 },
  { untilMs: 500, share: 0.165 },
  { untilMs: Infinity, share: 0.175 },
] as const
const JITTER = 0.1
export const FLOOR_MS = 1
const CAP_MS = 1600

/**
 * The shortest pause of a process that stands in line: it gets the lock by grant, so faster polls would gain nothing.
 */
export const IN_LINE_FLOOR_MS = 20

/**
 * The pause before the next poll, when the present holder has been seen for `seenMs`. The pause is proportional to
 * `seenMs`, so that a short hold is noticed soon and a long one costs few polls (60 at most in its first ten seconds).
 * In whole milliseconds, because timers count those, and at least 1; rounded at random, so that the average stays
 * right.
 */
export function backOffMs(seenMs: number, random: Random, floorMs = FLOOR_MS): number {
  const share = SHARES.find(({ untilMs }) => seenMs < untilMs)?.share ?? 0
  const jitter = 1 + JITTER * (2 * random.fraction() - 1)
  const delayMs = Math.min(Math.max(seenMs * share, floorMs), CAP_MS) * jitter
  return Math.max(Math.floor(delayMs + random.fraction()), 1)
}
