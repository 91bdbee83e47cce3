import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type Mutant, mutants } from './mutants.js'
import { freshSeed } from './pool.js'
import { mutants as replicatedMutants } from './replicated/mutants.js'

export interface SimulationOptions {
  readonly runs: number
  readonly firstSeed: number
  /** The one run that is played again. */
  readonly seed: number | undefined
  /** The one that is played alone. */
  readonly mutant: Mutant | undefined
  readonly workers: number
  readonly withMutants: boolean
  readonly isReplicated: boolean
  readonly json: boolean
}

export const USAGE = `npm run simulate -- [options]
  --runs N         fresh runs, and all mutants after them; default 10000
  --first-seed N   the runs from that seed on; default: a random one, which is printed
  --no-mutants     the fresh runs alone
  --seed N         one run again, with its timeline (not of --replicated)
  --mutant NAME    one mutant alone; with --seed: in that run
  --replicated     of sessions on several nodes
  --workers N      threads; default: as many as there are processors, two at least
  --json           the figures as one line on standard output, for programs

Exit code 1: a rule was broken, a mutant survived, or something that must be tested hardly ever happened.`

/** @throws RangeError or TypeError with what is wrong. */
export function parseOptions(args: readonly string[]): SimulationOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'runs': { type: 'string', default: '10000' },
      'first-seed': { type: 'string', default: String(freshSeed()) },
      'seed': { type: 'string' },
      'mutant': { type: 'string' },
      'workers': { type: 'string', default: String(Math.max(availableParallelism(), 2)) },
      'no-mutants': { type: 'boolean', default: false },
      'replicated': { type: 'boolean', default: false },
      'json': { type: 'boolean', default: false },
      'help': { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  return {
    runs: natural('runs', values.runs, 1),
    firstSeed: natural('first-seed', values['first-seed']),
    seed: values.seed === undefined ? undefined : natural('seed', values.seed),
    mutant: values.mutant === undefined ? undefined : find(values.mutant, values.replicated ? replicatedMutants : mutants),
    workers: natural('workers', values.workers, 1),
    withMutants: !values['no-mutants'],
    isReplicated: values.replicated,
    json: values.json,
  }
}

function natural(name: string, text: string, least = 0): number {
  const number = Number(text)
  if (text.trim() !== '' && Number.isSafeInteger(number) && number >= least) return number
  throw new RangeError(`--${name} is a whole number from ${String(least)} on, not "${text}"`)
}

function find(name: string, among: readonly Mutant[]): Mutant {
  const mutant = among.find((one) => one.name === name)
  if (mutant === undefined) throw new RangeError(`There is no mutant "${name}": ${among.map((one) => one.name).join(', ')}`)
  return mutant
}
