import type { Load, SessionCounts } from './load.js'
import type { WorkerStats } from './workers.js'

export const USAGE = `Usage: npm run example:cluster [-- --json | --help]

Four Node processes behind one port share sessions in memcached; hundreds of
requests at once each add 1 to a counter in one of a few sessions.

  --json   print one JSON object and nothing else
  --help   print this

MEMCACHE_SERVERS=host:port[,host:port...]   use these servers; without it the
                                            example starts a memcached of its own

Exit code: 0 every request was counted, every process served and locks were
handed on; 1 otherwise or when it could not run; 2 for a wrong argument;
130 after ctrl-C.`

export interface Result {
  readonly figures: {
    readonly requests: number
    readonly counted: number
    readonly processes: number
    readonly polls: number
    readonly handoffs: number
  }
  readonly served: ReadonlyMap<number, number>
  readonly stats: ReadonlyMap<number, WorkerStats>
  /** Counts that two requests were given: each of them is an increment that was lost. */
  readonly duplicates: number
  readonly isComplete: boolean
}

export function summaryOf(
  sessions: readonly SessionCounts[],
  stats: ReadonlyMap<number, WorkerStats>,
  processes: number,
): Result {
  const served = new Map<number, number>()
  let requests = 0
  let duplicates = 0
  for (const { answers } of sessions) {
    requests += answers.length
    duplicates += answers.length - new Set(answers.map(({ count }) => count)).size
    for (const { pid } of answers) served.set(pid, (served.get(pid) ?? 0) + 1)
  }
  const counted = sum(sessions.map((session) => session.counted))
  const workers = [...stats.values()]
  const polls = sum(workers.map((worker) => worker.polls))
  const handoffs = sum(workers.map((worker) => worker.handOffs))
  return {
    figures: { requests, counted, processes: served.size, polls, handoffs },
    served,
    stats,
    duplicates,
    isComplete: counted === requests && duplicates === 0 && served.size === processes && handoffs > 0,
  }
}

export const drawPlan = (store: string, processes: number, { sessions, requestsPerSession }: Load): string => `
  ${String(processes)} processes behind one port, sessions in ${store}
  ${String(sessions * requestsPerSession)} requests at once; each adds 1 to a counter in one of ${String(sessions)} sessions

`

export function drawResult({ figures, served, stats, duplicates, isComplete }: Result): string {
  const row = (...cells: (string | number)[]): string => `  ${cells.map((cell) => String(cell).padStart(10)).join('')}`
  const rows = [...stats].map(([pid, { polls, handOffs, grants }]) =>
    row(pid, served.get(pid) ?? 0, polls, handOffs, grants),
  )
  const { requests, counted, polls, handoffs } = figures
  const verdict = isComplete
    ? `All ${String(requests)} were counted. ${String(handoffs)} times a lock was handed on inside a process,\n` +
      `  without asking for it again; waiting for other processes took ${String(polls)} polls.`
    : `${String(counted)} of ${String(requests)} were counted (${String(duplicates)} answers repeat a count); ` +
      `${String(figures.processes)} processes served, ${String(handoffs)} hand-offs.\n  That is not as it should be.`
  return [row('process', 'served', 'polls', 'hand-offs', 'grants'), ...rows, '', `  ${verdict}`, '', ''].join('\n')
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
