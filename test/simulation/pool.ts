import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { bundle } from './bundle.js'
import type { Mutant } from './mutants.js'
import type { Job, Report } from './report.js'

export interface Options {
  readonly firstSeed: number
  readonly runs: number
  readonly workers: number
  readonly mutant?: Mutant | undefined
  readonly wantsTimeline?: boolean
  /** Told after every portion. */
  readonly onProgress?: (runs: number) => void
}

const PORTION = 250

/** Runs the seeds from `firstSeed` on, on several threads. With a mutant it stops soon after the first violation. */
export async function simulate(options: Options): Promise<Report> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-simulate-'))
  try {
    const file = join(folder, 'worker.mjs')
    await bundle(file, options.mutant)
    const portions = portionsOf(options)
    const reports = await Promise.all(Array.from({ length: options.workers }, () => drive(file, portions, options)))
    return merge(reports.flat())
  } finally {
    await rm(folder, { recursive: true })
  }
}

function* portionsOf({ firstSeed, runs, mutant, wantsTimeline = false }: Options): Generator<Job> {
  const stopsAtViolation = mutant !== undefined
  for (let done = 0; done < runs; done += PORTION) {
    yield { from: firstSeed + done, count: Math.min(PORTION, runs - done), stopsAtViolation, wantsTimeline }
  }
}

let done = 0

async function drive(file: string, portions: Generator<Job>, options: Options): Promise<Report[]> {
  const worker = new Worker(file, { execArgv: [] })
  const reports: Report[] = []
  try {
    for (const job of portions) {
      const report = await ask(worker, job)
      reports.push(report)
      done += report.runs
      options.onProgress?.(done)
      // Closes the generator for the other workers too.
      if (job.stopsAtViolation && report.runs < job.count) break
    }
    return reports
  } finally {
    await worker.terminate()
  }
}

/** Longer than any portion takes: the code is caught in a loop. */
const PORTION_MS = 120_000

function ask(worker: Worker, job: Job): Promise<Report> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`The runs from seed ${String(job.from)} on do not come to an end.`))
    }, PORTION_MS)
    worker.once('error', reject)
    worker.once('message', (report: Report) => {
      clearTimeout(timer)
      worker.off('error', reject)
      resolve(report)
    })
    worker.postMessage(job)
  })
}

function merge(reports: readonly Report[]): Report {
  const coverage: Record<string, number> = {}
  for (const report of reports) {
    for (const [what, runs] of Object.entries(report.coverage)) coverage[what] = (coverage[what] ?? 0) + runs
  }
  const sum = (of: (report: Report) => number): number => reports.reduce((total, report) => total + of(report), 0)
  return {
    runs: sum(({ runs }) => runs),
    operations: sum(({ operations }) => operations),
    acknowledged: sum(({ acknowledged }) => acknowledged),
    coverage,
    failures: reports.flatMap(({ failures }) => failures).sort((one, other) => one.seed - other.seed),
    timelines: reports.flatMap(({ timelines }) => timelines),
  }
}
