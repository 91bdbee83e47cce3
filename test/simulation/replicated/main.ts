/** The simulation of replicated sessions: `npm run simulate -- --replicated` (../options.ts). */
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { withBundle } from '../bundle.js'
import type { Mutant } from '../mutants.js'
import type { SimulationOptions } from '../options.js'
import { Progress } from '../progress.js'
import { mutants } from './mutants.js'
import { type Counts, newCounts } from './play.js'
import type * as Stories from './stories.js'
import { stories } from './stories.js'
import type { Job, Result } from './worker.js'

const PORTION = 50
const MUTANT_RUNS = 20_000
const say = (text: string): void => void process.stderr.write(`${text}\n`)

/** Runs as the options say; sets the exit code. */
export async function simulateReplicated({ runs, firstSeed, seed, mutant, workers, withMutants, json }: SimulationOptions): Promise<void> {
  if (seed !== undefined) {
    const { flaws: [flaw] } = await sweep({ firstSeed: seed, runs: 1, workers: 1, mutant })
    process.stdout.write(`${flaw ?? `seed ${String(seed)}: nothing was lost`}\n`)
    process.exitCode = flaw === undefined ? 0 : 1
    return
  }
  const result = mutant === undefined ? await unweakened(runs, firstSeed, workers) : undefined
  const caught: Record<string, number | 'by its story' | 'survived'> = {}
  for (const one of mutant !== undefined ? [mutant] : withMutants ? mutants : []) {
    if (one.name in stories) {
      const flaw = await flawInStory(one)
      caught[one.name] = flaw === undefined ? 'survived' : 'by its story'
      say(`${one.name}: ${flaw === undefined ? 'SURVIVED' : `caught by its story: ${flaw}`}`)
      continue
    }
    const { runs: played, flaws } = await sweep({ firstSeed: 1, runs: MUTANT_RUNS, workers, mutant: one })
    caught[one.name] = flaws.length === 0 ? 'survived' : played
    say(`${one.name}: ${flaws[0] === undefined ? 'SURVIVED' : `caught after ${String(played)} runs: ${flaws[0]}`}`)
  }
  const { runs: played = 0, counts = newCounts(), flaws = [] } = result ?? {}
  process.stdout.write(`${JSON.stringify({ firstSeed, runs: played, ...counts, violations: flaws.length, mutants: caught }, undefined, json ? 0 : 2)}\n`)
  const isDull = result !== undefined && counts.acknowledged < played * 5
  process.exitCode = flaws.length > 0 || isDull || Object.values(caught).includes('survived') ? 1 : 0
}

async function unweakened(runs: number, firstSeed: number, workers: number): Promise<Result> {
  const told: string[] = []
  for (const [name, tell] of Object.entries(stories)) {
    const flaw = await tell()
    if (flaw !== undefined) told.push(`the story of ${name}: ${flaw}`)
  }
  for (const flaw of told) say(flaw)
  say(`${String(runs)} runs from seed ${String(firstSeed)} on (again: --first-seed ${String(firstSeed)})`)
  const progress = new Progress(runs)
  const drawn = await sweep({
    ...{ firstSeed, runs, workers },
    onPortion: ({ runs: more, flaws }) => {
      for (const flaw of flaws) say(`${flaw} (again: npm run simulate -- --replicated --seed N)`)
      progress.add(more)
    },
  })
  return { ...drawn, flaws: [...told, ...drawn.flaws] }
}

/** What the story of its name loses with the mutant. */
const flawInStory = (mutant: Mutant): Promise<string | undefined> =>
  withBundle(new URL('./stories.ts', import.meta.url), mutant, async (file) => {
    const weak = (await import(pathToFileURL(file).href)) as typeof Stories
    return weak.stories[mutant.name]?.()
  })

interface Sweep {
  readonly firstSeed: number
  readonly runs: number
  readonly workers: number
  readonly mutant?: Mutant | undefined
  readonly onPortion?: (result: Result) => void
}

/** Plays the seeds on several threads; with a mutant until the first flaw. */
const sweep = ({ firstSeed, runs, workers, mutant, onPortion }: Sweep): Promise<Result> =>
  withBundle(new URL('./worker.ts', import.meta.url), mutant, async (file) => {
    let next = firstSeed
    let isOver = false
    const sum = { runs: 0, counts: newCounts(), flaws: [] as string[] }
    const drive = async (): Promise<void> => {
      const worker = new Worker(file, { execArgv: [] })
      try {
        while (!isOver && next < firstSeed + runs) {
          const job: Job = { from: next, count: Math.min(PORTION, firstSeed + runs - next), stopsAtFlaw: mutant !== undefined }
          next += job.count
          const result = await ask(worker, job)
          sum.runs += result.runs
          sum.flaws.push(...result.flaws)
          for (const name of Object.keys(sum.counts) as (keyof Counts)[]) sum.counts[name] += result.counts[name]
          onPortion?.(result)
          if (job.stopsAtFlaw && result.flaws.length > 0) isOver = true
        }
      } finally {
        await worker.terminate()
      }
    }
    await Promise.all(Array.from({ length: workers }, drive))
    return sum
  })

const ask = (worker: Worker, job: Job): Promise<Result> =>
  new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', (result: Result) => {
      worker.off('error', reject)
      resolve(result)
    })
    worker.postMessage(job)
  })
