/**
 * The simulation's command line.
 *
 *   npm run simulate -- --runs 100000 --json      fresh runs and all mutants, as one JSON object on standard output
 *   npm run simulate -- --first-seed 1            the runs from that seed on; without it the first is drawn, and said
 *   npm run simulate -- --seed 4711               one run again, with its timeline
 *   npm run simulate -- --mutant NAME [--seed N]  one mutant
 *   npm run simulate -- --replicated               of sessions on several nodes, with all of these options: replicated/main.ts
 *   npm run simulate -- --workers 1               on one thread; default: as many as there are processors, two at least
 *
 * Exit code 1: a rule was broken, a mutant survived, or something that must be tested hardly ever happened.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type Mutant, mutants } from './mutants.js'
import { freshSeed, simulate } from './pool.js'
import { Progress } from './progress.js'
import { describeFailure, isCrash, type Report } from './report.js'
import { simulateReplicated } from './replicated/main.js'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10000' },
    'first-seed': { type: 'string', default: String(freshSeed()) },
    seed: { type: 'string' },
    mutant: { type: 'string' },
    workers: { type: 'string', default: String(Math.max(availableParallelism(), 2)) },
    'no-mutants': { type: 'boolean', default: false },
    replicated: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

/**
 * Each of REQUIRED must happen in at least this share of the runs;
 * otherwise the simulation does not test what it claims.
 */
const LEAST_SHARE = 0.01
const REQUIRED = [
  ...['expiryWhileHeld', 'zombieExecuted', 'unknownOutcome', 'handoff', 'eviction', 'restart', 'untrustedCas', 'pause', 'spread'],
  ...['crash', 'destroy', 'grant', 'takeover', 'stall', 'partial', 'mute', 'delay', 'abort', 'fenced', 'gone', 'lost'],
  ...['heldTooLong', 'lockTimeout', 'outOfMemory', 'regenerate', 'shutdown', 'uncontended', 'deaf', 'prolonged', 'unclear', 'cloned', 'unseenRestart', 'quickUnseenRestart', 'overtaken'],
]
const MUTANT_RUNS = 150_000
const workers = natural('workers', values.workers, 1)
const say = (text: string): void => void process.stderr.write(text)
const chosen = values.mutant === undefined || values.replicated ? undefined : find(values.mutant)

if (values.replicated) {
  await simulateReplicated({
    runs: natural('runs', values.runs, 1),
    firstSeed: natural('first-seed', values['first-seed']),
    seed: values.seed === undefined ? undefined : natural('seed', values.seed),
    mutant: values.mutant,
    workers,
    withMutants: !values['no-mutants'],
    json: values.json,
  })
} else if (values.seed === undefined) await runAll()
else await replay(natural('seed', values.seed))

async function replay(seed: number): Promise<void> {
  const report = await simulate({ firstSeed: seed, runs: 1, workers: 1, mutant: chosen, wantsTimeline: true })
  process.stdout.write(`${report.timelines.join('\n')}\n`)
  for (const { details } of report.failures) process.stdout.write(`${details.join('\n')}\n`)
  process.exitCode = report.failures.length === 0 ? 0 : 1
}

async function runAll(): Promise<void> {
  const startedMs = performance.now()
  const report = chosen === undefined ? await runUnweakened() : undefined
  const seconds = (performance.now() - startedMs) / 1000
  const caught: Record<string, { runs: number; violations: number; caughtBy: string }> = {}
  for (const mutant of chosen !== undefined ? [chosen] : values['no-mutants'] ? [] : mutants) {
    caught[mutant.name] = await runMutant(mutant)
  }
  const survivors = Object.keys(caught).filter((name) => caught[name]?.caughtBy === '')
  if (survivors.length > 0) say(`Survived: ${survivors.join(', ')}\n`)
  if (report === undefined) {
    process.stdout.write(`${JSON.stringify(caught, undefined, 2)}\n`)
    process.exitCode = survivors.length > 0 ? 1 : 0
    return
  }
  const coverage = sharesOf(report)
  const rare = REQUIRED.filter((what) => (coverage[what] ?? 0) < LEAST_SHARE)
  if (rare.length > 0) say(`Hardly ever happened: ${rare.join(', ')}\n`)
  const { runs, operations, acknowledged, failures } = report
  const result = { firstSeed: Number(values['first-seed']), runs, operations, acknowledged, violations: failures.length, coverage, mutants: caught }
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  else process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`)
  say(`${String(runs)} runs in ${seconds.toFixed(1)} s\n`)
  const isDull = rare.length > 0 || acknowledged * 2 < operations
  process.exitCode = failures.length > 0 || survivors.length > 0 || isDull ? 1 : 0
}

async function runUnweakened(): Promise<Report> {
  const firstSeed = natural('first-seed', values['first-seed'])
  const runs = natural('runs', values.runs, 1)
  say(`${String(runs)} runs from seed ${String(firstSeed)} on (again: --first-seed ${String(firstSeed)})\n`)
  const progress = new Progress(runs)
  const onPortion = (portion: Report): void => {
    for (const failure of portion.failures) say(`${describeFailure(failure)}\n`)
    progress.add(portion.runs)
  }
  const report = await simulate({ firstSeed, runs, workers, onPortion })
  const [first] = report.failures
  if (first !== undefined) {
    const again = await simulate({ firstSeed: first.seed, runs: 1, workers: 1, wantsTimeline: true })
    say(`${again.timelines.join('\n').split('\n').slice(-60).join('\n')}\n`)
  }
  return report
}

async function runMutant(mutant: Mutant): Promise<{ runs: number; violations: number; caughtBy: string }> {
  const { runs, failures } = await simulate({ firstSeed: 1, runs: MUTANT_RUNS, workers, mutant })
  const caught = failures.filter(({ rules }) => rules.some((rule) => !isCrash(rule)))
  const caughtBy = caught[0]?.rules.find((rule) => !isCrash(rule)) ?? ''
  const seed = caught[0] === undefined ? '' : `, seed ${String(caught[0].seed)}`
  say(`${mutant.name}: ${caughtBy === '' ? 'SURVIVED' : `caught by ${caughtBy}`} after ${String(runs)} runs${seed}\n`)
  return { runs, violations: caught.length, caughtBy }
}

function sharesOf({ coverage, runs }: Report): Record<string, number> {
  return Object.fromEntries(
    Object.entries(coverage)
      .map(([what, count]): [string, number] => [what, Number((count / runs).toFixed(4))])
      .sort(([one], [other]) => one.localeCompare(other)),
  )
}

function natural(name: string, text: string, least = 0): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= least) return number
  throw new Error(`--${name} is a whole number from ${String(least)} on, not "${text}"`)
}

function find(name: string): Mutant {
  const mutant = mutants.find((one) => one.name === name)
  if (mutant === undefined) throw new Error(`There is no mutant "${name}": ${mutants.map((one) => one.name).join(', ')}`)
  return mutant
}
