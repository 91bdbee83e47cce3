/** How commands tell people how far they are, and what has become of what. */
import { LatchkeyError } from '../errors.js'
import type { Clock } from '../system/clock.js'

const PROGRESS_EVERY_MS = 1000

/** Calls `tell` when it is called, and a second has passed since the last time. */
export function oncePerSecond<Told extends unknown[]>(clock: Clock, tell: (...told: Told) => void): (...told: Told) => void {
  let toldMs = clock.nowMs()
  return (...told) => {
    if (clock.nowMs() - toldMs < PROGRESS_EVERY_MS) return
    toldMs = clock.nowMs()
    tell(...told)
  }
}

/** What has become of how many, in the order of `outcomes`. What has become of none is left out, but for `main`. */
export function tallied<Outcome extends string>(
  outcomes: readonly Outcome[],
  counts: Readonly<Record<Outcome, number>>,
  words: Readonly<Record<Outcome, string>>,
  main: Outcome,
): string {
  const shown = outcomes.filter((outcome) => counts[outcome] > 0 || outcome === main)
  return shown.map((outcome) => `${String(counts[outcome])} ${words[outcome]}`).join(', ')
}

/** Why something failed, with its code where it has one. */
export const codeAndReason = (error: unknown): string =>
  `${error instanceof LatchkeyError ? `${error.code}: ` : ''}${error instanceof Error ? error.message : String(error)}`
