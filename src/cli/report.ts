/** What a command found: the same for people and for programs. Printed in one place, `run.ts`. */
export interface Report {
  readonly exitCode: ExitCode
  /** Becomes the JSON; its fields are documented in docs/reference/cli.md. */
  readonly data: Readonly<Record<string, unknown>>
  readonly lines: readonly string[]
}

export const EXIT = {
  fine: 0,
  /** A problem was found, or what was asked for is not there. */
  problem: 1,
  usage: 2,
  unreachable: 3,
  /** Refused, because it changed in the meantime. */
  changed: 4,
  notSupported: 5,
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
