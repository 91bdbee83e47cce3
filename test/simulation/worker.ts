import { parentPort } from 'node:worker_threads'
import { run, type RunResult } from './run.js'
import { isCrash, type Job, type Report } from './report.js'

const port = parentPort
if (port === null) throw new Error('This is a worker of the simulation; run main.ts.')

// Nobody reads the stacks here, and to make them costs more than the errors themselves.
Error.stackTraceLimit = 0

let strays: string[] = []
process.on('unhandledRejection', (reason) => strays.push(String(reason)))
process.on('uncaughtException', (failure) => strays.push(String(failure)))

port.on('message', (job: Job) => {
  void work(job).then((report) => {
    port.postMessage(report)
  })
})

async function work({ from, count, stopsAtViolation, wantsTimeline }: Job): Promise<Report> {
  let runs = 0
  let operations = 0
  let acknowledged = 0
  const coverage: Record<string, number> = {}
  const failures: Report['failures'][number][] = []
  const timelines: string[] = []
  for (let seed = from; seed < from + count; seed++) {
    strays = []
    const result = await run(seed, wantsTimeline)
    // Node reports an unhandled rejection only after a turn of the event loop.
    if (seed % 50 === 0 || wantsTimeline) await new Promise((resolve) => setImmediate(resolve))
    runs++
    operations += result.operations
    acknowledged += result.acknowledged
    for (const what of result.coverage) coverage[what] = (coverage[what] ?? 0) + 1
    if (wantsTimeline) timelines.push(result.timeline)
    if (result.violations.length > 0 || strays.length > 0) {
      failures.push(failureOf(seed, result))
      if (stopsAtViolation && result.violations.some(({ rule }) => !isCrash(rule))) break
    }
  }
  return { runs, operations, acknowledged, coverage, failures, timelines }
}

function failureOf(seed: number, { violations }: RunResult): Report['failures'][number] {
  return {
    seed,
    rules: [...violations.map(({ rule }) => rule), ...strays.map(() => 'unhandled')],
    details: [...violations.map(({ atMs, rule, detail }) => `${atMs.toFixed(1)} ms ${rule}: ${detail}`), ...strays],
  }
}
