/** What the pool asks for: the runs `from` to `from + count - 1`. */
export interface Job {
  readonly from: number
  readonly count: number
  readonly stopsAtViolation: boolean
  readonly wantsTimeline: boolean
}

/** What became of them. */
export interface Report {
  readonly runs: number
  readonly operations: number
  readonly acknowledged: number
  /** In how many runs each thing happened. */
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

/** Which rules, and how to see it again. */
export const describeFailure = ({ seed, details }: Failure): string =>
  `Seed ${String(seed)} (again: npm run simulate -- --seed ${String(seed)})\n  ${details.join('\n  ')}`

/** A weakened code that merely crashes is not caught by a rule. */
export function isCrash(rule: string): boolean {
  return rule === 'untypedError' || rule === 'unhandled'
}
