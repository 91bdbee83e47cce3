/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util'

export const ROW_NAMES = ['cycle', 'cost', 'http', 'size', 'herd', 'handoff', 'isolation', 'waiters', 'scale', 'growth', 'records', 'observe', 'shapes', 'file', 'php', 'engines', 'mutex', 'cluster'] as const
export type RowName = (typeof ROW_NAMES)[number]

export interface Options {
  readonly quick: boolean
  /** Names of rows; undefined: all. */
  readonly only: readonly RowName[] | undefined
  /** Where the figures are written to. */
  readonly json: string | undefined
  /** The dist/ of a second build of latchkey, measured beside this one: by slices where a row can, else by turns. */
  readonly against: string | undefined
}

export const USAGE = `npm run bench -- [options]
  --quick            cycle, http, herd, handoff, isolation and waiters, shorter: within 120 seconds
  --only cycle,herd  these rows only, of ${ROW_NAMES.join(', ')}
  --json FILE        writes the figures to FILE
  --against DIR      measures a second build of latchkey (its dist/) beside this one: in cycle, cost and observe slice by
                     slice in one process, in all other rows by turns`

/** @throws TypeError when an option is unknown or lacks its value, or a row is unknown. */
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
  const only = values.only?.split(',').map(rowNameOf)
  return { quick: values.quick, only, json: values.json, against: values.against }
}

function rowNameOf(text: string): RowName {
  const name = ROW_NAMES.find((candidate) => candidate === text.trim())
  if (name === undefined) throw new TypeError(`There is no row "${text}"; the rows are ${ROW_NAMES.join(', ')}`)
  return name
}
