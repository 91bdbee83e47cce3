/** The simulation's command line: options.ts. */
import { type Mutant, mutants } from './mutants.js'
import { parseOptions, type SimulationOptions, USAGE } from './options.js'
import { simulate } from './pool.js'
import { Progress } from './progress.js'
import { describeFailure, isCrash, type Report } from './report.js'
import { simulateReplicated } from './replicated/main.js'

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
const say = (text: string): void => void process.stderr.write(text)

async function replay(seed: number, mutant: Mutant | undefined): Promise<void> {
  const report = await simulate({ firstSeed: seed, runs: 1, workers: 1, mutant, wantsTimeline: true })
  process.stdout.write(`${report.timelines.join('\n')}\n`)
  for (const { details } of report.failures) process.stdout.write(`${details.join('\n')}\n`)
  process.exitCode = report.failures.length === 0 ? 0 : 1
}

async function runAll(options: SimulationOptions): Promise<void> {
  const { firstSeed, mutant: chosen, workers, withMutants, json } = options
  const startedMs = performance.now()
  const report = chosen === undefined ? await runUnweakened(options) : undefined
  const seconds = (performance.now() - startedMs) / 1000
  const caught: Record<string, { runs: number; violations: number; caughtBy: string }> = {}
  for (const mutant of chosen !== undefined ? [chosen] : withMutants ? mutants : []) {
    caught[mutant.name] = await runMutant(mutant, workers)
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
  const result = { firstSeed, runs, operations, acknowledged, violations: failures.length, coverage, mutants: caught }
  process.stdout.write(`${JSON.stringify(result, undefined, json ? 0 : 2)}\n`)
  say(`${String(runs)} runs in ${seconds.toFixed(1)} s\n`)
  const isDull = rare.length > 0 || acknowledged * 2 < operations
  process.exitCode = failures.length > 0 || survivors.length > 0 || isDull ? 1 : 0
}

async function runUnweakened({ firstSeed, runs, workers }: SimulationOptions): Promise<Report> {
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

async function runMutant(mutant: Mutant, workers: number): Promise<{ runs: number; violations: number; caughtBy: string }> {
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

let options: SimulationOptions | 'help'
try {
  options = parseOptions(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`)
  process.exit(2)
}
if (options === 'help') process.stdout.write(`${USAGE}\n`)
else if (options.isReplicated) await simulateReplicated(options)
else if (options.seed === undefined) await runAll(options)
else await replay(options.seed, options.mutant)
