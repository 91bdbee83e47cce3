/** A job for one worker: the runs `from` to `from + count - 1`. */
export interface Job {
  readonly from: number
  readonly count: number
  readonly stopsAtViolation: boolean
  readonly wantsTimeline: boolean
}

/** The results of the runs of a job. */
export interface Report {
  readonly runs: number
  readonly operations: number
  readonly acknowledged: number
  /** In how many runs each kind of event happened. */
  readonly coverage: Readonly<Record<string, number>>
  readonly failures: readonly Failure[]
  readonly timelines: readonly string[]
}

/** A run in which a rule was broken. */
export interface Failure {
  readonly seed: number
  readonly rules: readonly string[]
  readonly details: readonly string[]
}

/** Says which rules were broken, and how to play the run again. */
export const describeFailure = ({ seed, details }: Failure): string =>
  `Seed ${String(seed)} (again: npm run simulate -- --seed ${String(seed)})\n  ${details.join('\n  ')}`

/** Whether the "rule" is only a crash. A mutant that merely crashes does not count as caught by a rule. */
export function isCrash(rule: string): boolean {
  return rule === 'untypedError' || rule === 'unhandled'
}
