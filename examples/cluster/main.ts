/**
 * Four processes behind one port, their sessions in memcached: `npm run example:cluster`.
 * Hundreds of requests at once add to counters in a few sessions; none may be missing afterwards.
 *
 * Exit code 0: every request counted, every process served, locks were handed on; 1: not so, or it could not run.
 */
import { checkStore, storeOf, StoreUnreachableError } from '../demo/store.js'
import { runExample } from './command-line.js'
import { type Load, RefusedError, sendLoad } from './load.js'
import { startMemcached } from './own-memcached.js'
import { drawPlan, drawResult, type Result, summaryOf, USAGE } from './report.js'
import { startWorkers } from './workers.js'

const PROCESSES = 4
const LOAD: Load = { sessions: 5, requestsPerSession: 80 }

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

const play = async (isJson: boolean, signal: AbortSignal): Promise<boolean> =>
  (await onMemcached((servers) => countTogether(servers, isJson, signal), signal)).isComplete

process.exitCode = await runExample({ name: 'cluster', usage: USAGE, known: [RefusedError, StoreUnreachableError], play }, process.argv.slice(2))
