import { randomInt } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { withBundle } from './bundle.js'
import type { Mutant } from './mutants.js'
import type { Job, Report } from './report.js'

export interface Options {
  readonly firstSeed: number
  readonly runs: number
  readonly workers: number
  readonly mutant?: Mutant | undefined
  readonly wantsTimeline?: boolean
  /** Called with the results of each portion. */
  readonly onPortion?: (report: Report) => void
}

const PORTION = 250

/**
 * Runs the seeds from `firstSeed` on, on several threads. With a mutant the
 * simulation stops soon after the first violation.
 */
export const simulate = (options: Options): Promise<Report> =>
  withBundle(new URL('./worker.ts', import.meta.url), options.mutant, async (file) => {
    const portions = portionsOf(options)
    const sums = Array.from({ length: options.workers }, () => drive(file, portions, options))
    return (await Promise.all(sums)).reduce(sumOf)
  })

/**
 * A first seed for runs that nobody has seen yet. The seeds after it still fit into the 32 bits of a seed that count.
 */
export const freshSeed = (): number => randomInt(1_000_000, 2 ** 31)

function *portionsOf({ firstSeed, runs, mutant, wantsTimeline = false }: Options): Generator<Job> {
  const stopsAtViolation = mutant !== undefined
  for (let done = 0; done < runs; done += PORTION) {
    yield { from: firstSeed + done, count: Math.min(PORTION, runs - done), stopsAtViolation, wantsTimeline }
  }
}

const NOTHING: Report = { runs: 0, operations: 0, acknowledged: 0, coverage: {}, failures: [], timelines: [] }

async function drive(file: string, portions: Generator<Job>, options: Options): Promise<Report> {
  const worker = new Worker(file, { execArgv: [] })
  let sum = NOTHING
  try {
    for (const job of portions) {
      const report = await ask(worker, job)
      // The portions are summed up one by one, so that two million runs take no more memory than two thousand.
      sum = sumOf(sum, report)
      options.onPortion?.(report)
      // `break` closes the generator, so that the other workers stop as well.
      if (job.stopsAtViolation && report.runs < job.count) break
    }
    return sum
  } finally {
    await worker.terminate()
  }
}

/**
 * Longer than any portion takes, also beside much else: after this time the code must be caught in a loop. The time is
 * counted in ticks of a timer, so that the time for which this process is stopped does not count.
 */
const PORTION_SEC = 600

function ask(worker: Worker, job: Job): Promise<Report> {
  return new Promise((resolve, reject) => {
    let leftSec = PORTION_SEC
    const timer = setInterval(() => {
      leftSec -= 1
      if (leftSec === 0) reject(new Error(`The runs from seed ${String(job.from)} on do not come to an end.`))
    }, 1000).unref()
    worker.once('error', reject)
    worker.once('message', (report: Report) => {
      clearInterval(timer)
      worker.off('error', reject)
      resolve(report)
    })
    worker.postMessage(job)
  })
}

function sumOf(one: Report, other: Report): Report {
  const coverage = { ...one.coverage }
  for (const [what, runs] of Object.entries(other.coverage)) coverage[what] = (coverage[what] ?? 0) + runs
  return {
    runs: one.runs + other.runs,
    operations: one.operations + other.operations,
    acknowledged: one.acknowledged + other.acknowledged,
    coverage,
    failures: [...one.failures, ...other.failures].sort((left, right) => left.seed - right.seed),
    timelines: [...one.timelines, ...other.timelines],
  }
}
