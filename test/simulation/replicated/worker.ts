import { parentPort } from 'node:worker_threads'
import { type Counts, newCounts, play } from './play.js'

/** A portion of seeds. */
export interface Job {
  readonly from: number
  readonly count: number
  readonly stopsAtFlaw: boolean
}

export interface Result {
  readonly runs: number
  readonly counts: Counts
  readonly flaws: readonly string[]
}

const port = parentPort
if (port === null) throw new Error('This is a worker of the simulation of replicated sessions; run `npm run simulate -- --replicated`.')

// Nobody reads the stacks here, and to make them costs more than the errors themselves.
Error.stackTraceLimit = 0

let strays: string[] = []
process.on('unhandledRejection', (reason) => strays.push(String(reason)))

port.on('message', (job: Job) => {
  void work(job).then((result) => port.postMessage(result))
})

async function work({ from, count, stopsAtFlaw }: Job): Promise<Result> {
  const counts = newCounts()
  const flaws: string[] = []
  let runs = 0
  for (let seed = from; seed < from + count; seed++) {
    strays = []
    const flaw = await play(seed, counts)
    if (seed % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
    runs++
    if (flaw !== undefined) flaws.push(flaw)
    for (const stray of strays) flaws.push(`seed ${String(seed)}: nobody took ${stray}`)
    if (stopsAtFlaw && flaws.length > 0) break
  }
  return { runs, counts, flaws }
}
