/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util'

export interface Options {
  readonly quick: boolean
  /** Names of rows; undefined: all. */
  readonly only: readonly string[] | undefined
  /** Where the figures are written to. */
  readonly json: string | undefined
  /** The dist/ of a second build of latchkey, measured beside this one in `cycle`. */
  readonly against: string | undefined
}

export const USAGE = `npm run bench -- [options]
  --quick            the rows that have a target, fewer and shorter rounds: within 120 seconds
  --only cycle,herd  these rows only
  --json FILE        writes the figures to FILE
  --against DIR      measures a second build of latchkey (its dist/) beside this one, in cycle`

/** @throws TypeError when an option is unknown, or lacks its value. */
export function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      json: { type: 'string' },
      against: { type: 'string' },
    },
  })
  const only = values.only?.split(',').map((name) => name.trim())
  return { quick: values.quick, only, json: values.json, against: values.against }
}
