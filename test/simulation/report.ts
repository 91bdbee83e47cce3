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
  readonly failures: readonly { readonly seed: number; readonly rules: readonly string[]; readonly details: readonly string[] }[]
  readonly timelines: readonly string[]
}

/** A weakened code that merely crashes is not caught by a rule. */
export function isCrash(rule: string): boolean {
  return rule === 'untypedError' || rule === 'unhandled'
}
