/**
 * Four processes behind one port, their sessions in memcached: `npm run example:cluster`.
 * Hundreds of requests at once add to counters in a few sessions; none may be missing afterwards.
 *
 * Exit code 0: every request counted, every process served, locks were handed on; 1: not so, or it could not run.
 */
import { InvalidSavePathError, LatchkeyError } from 'latchkey'
import { interruption } from '../demo/interruption.js'
import { checkStore, storeOf, StoreUnreachableError } from '../demo/store.js'
import { type Load, RefusedError, sendLoad } from './load.js'
import { MemcachedMissingError, startMemcached } from './own-memcached.js'
import { drawPlan, drawResult, type Result, summaryOf, USAGE } from './report.js'
import { startWorkers } from './workers.js'

const PROCESSES = 4
const LOAD: Load = { sessions: 5, requestsPerSession: 80 }

async function main(args: readonly string[]): Promise<number> {
  const { signal, exitCode } = interruption()
  const unknown = args.find((arg) => !['--json', '--help', '-h'].includes(arg))
  if (unknown !== undefined) {
    process.stderr.write(`cluster: unknown argument ${JSON.stringify(unknown)}\n\n${USAGE}\n`)
    return 2
  }
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(`${USAGE}\n`)
    return 0
  }
  try {
    const result = await onMemcached((servers) => countTogether(servers, args.includes('--json'), signal), signal)
    return result.isComplete ? 0 : 1
  } catch (error) {
    return exitCode() ?? explain(error)
  }
}

/** On the servers of MEMCACHE_SERVERS; without it on a memcached that lives as long as this process. */
async function onMemcached<T>(work: (servers: string) => Promise<T>, signal: AbortSignal): Promise<T> {
  const servers = process.env['MEMCACHE_SERVERS']?.trim() ?? ''
  if (servers !== '') return work(servers)
  const memcached = await startMemcached(signal)
  try {
    return await work(memcached.address)
  } finally {
    await memcached.stop()
  }
}

async function countTogether(servers: string, json: boolean, signal: AbortSignal): Promise<Result> {
  const store = storeOf(servers)
  await checkStore(store, signal, 'Start one there, or unset MEMCACHE_SERVERS to let the example start its own.')
  if (!json) process.stdout.write(drawPlan(store.label, PROCESSES, LOAD))
  const workers = await startWorkers(PROCESSES, store.options, signal)
  try {
    const counts = await sendLoad(workers.port, LOAD, AbortSignal.any([signal, workers.failed]))
    const result = summaryOf(counts, await workers.stats(), PROCESSES)
    process.stdout.write(json ? `${JSON.stringify(result.figures)}\n` : drawResult(result))
    return result
  } finally {
    await workers.stop()
  }
}

/** One line for what the reader can do something about; a stack only for a bug. */
function explain(error: unknown): number {
  const kinds = [LatchkeyError, MemcachedMissingError, RefusedError, StoreUnreachableError]
  const known = kinds.some((kind) => error instanceof kind)
  const text = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error)
  const unreadable = error instanceof InvalidSavePathError
  process.stderr.write(`cluster: ${unreadable ? 'MEMCACHE_SERVERS cannot be read. ' : ''}${text}\n`)
  return unreadable ? 2 : 1
}

process.exitCode = await main(process.argv.slice(2))
