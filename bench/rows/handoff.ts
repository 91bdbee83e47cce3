/** handoff: a session freed by one process and taken by another; what waiting adds, and what it costs. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import type { Worker } from '../processes/worker.js'
import { Child } from '../support/child.js'
import { num, type Row, type RowResult } from '../support/result.js'
import { quantile, thinned } from '../support/statistics.js'
import { bareHandoffs } from './bare-handoff.js'
import { type Delays, type PhpHandoffs, phpHandoffs } from './php-handoff.js'

/** How long each hold lasts, how many sessions change hands at the same time, and how often each of them. */
interface Hold {
  readonly holdMs: number
  readonly lanes: number
  readonly times: number
}

const HOLDS: readonly Hold[] = [
  { holdMs: 1, lanes: 1, times: 200 },
  { holdMs: 5, lanes: 1, times: 200 },
  { holdMs: 20, lanes: 2, times: 100 },
  { holdMs: 100, lanes: 4, times: 50 },
  { holdMs: 500, lanes: 20, times: 10 },
  { holdMs: 1000, lanes: 40, times: 5 },
  { holdMs: 5000, lanes: 100, times: 2 },
]
/** Hand-offs before any is counted: in a process that has just started all of this is not compiled yet, and takes twice as long. */
const WARM_UP = { holdMs: 1, lanes: 4, times: 1000 }
/** The hold whose figures stand for all in `handoff.p50Ms` and `handoff.p99Ms`. */
const MAIN_HOLD_MS = 100
/** The one at which the bare commands are compared. */
const BARE_HOLD_MS = 5

// What may be added to a hold: a share of it, and no less than the floor.
const P50 = { share: 0.1, floorMs: 2 }
const P99 = { share: 0.25, floorMs: 10 }

interface Polls {
  readonly inFirst10s: number
  readonly perSecondLater: number
  readonly perSecond: number
}

export const handoff: Row = {
  about: 'the session freed by one process and taken by another, held 1 ms to 5 s',
  async run(context) {
    await using server = await MemcachedServer.start()
    const options = { savePath: `tcp://${server.address}`, waitMs: 600_000 }
    const workers = await Promise.all([1, 2, 3].map(() => Child.start<Worker>('worker.ts')))
    await Promise.all(workers.map((worker) => worker.call('open', options)))
    const [one, other, third] = workers
    if (one === undefined || other === undefined || third === undefined) throw new Error('three workers were started')
    await warmUp(one, other)
    const repeat = context.quick ? 1 : 3
    context.progress(`seven hold times at once, ${String(repeat)} × 200 times each, and one long hold`)
    const polls = countPolls(one, third, context.quick ? 13 : 30)
    const lateness = other.call('timerLateness', 10_000)
    const delays: Delays[] = []
    for (let run = 0; run < repeat; run++) {
      const found = await allHolds(one, other)
      found.forEach((one, index) => {
        delays[index] = { holdMs: one.holdMs, delaysMs: [...(delays[index]?.delaysMs ?? []), ...one.delaysMs] }
      })
    }
    const counted = await polls
    const { p50Ms, p99Ms } = await lateness
    const pollsPerWait = await worstPollsPerWait(one, third)
    const machine = `a timer of 2 ms fired ${num(p50Ms)} ms late in these processes, p99 ${num(p99Ms)} ms: the machine's own share`
    for (const worker of workers) worker.stop()
    context.progress('the bare commands between two processes')
    const bare = await bareHandoffs(server.port, repeat * 200)
    const php = await phpHandoffs(context)
    return report(delays, bare, counted, pollsPerWait, php, [machine, ...php.notes])
  },
}

export async function warmUp(one: Child<Worker>, other: Child<Worker>): Promise<void> {
  await allOf(one, other, WARM_UP)
}

/** Sessions of all hold times at once. */
export function allHolds(one: Child<Worker>, other: Child<Worker>, most = Infinity): Promise<Delays[]> {
  return Promise.all(
    HOLDS.filter(({ holdMs }) => holdMs <= most).map(async (hold) => ({ holdMs: hold.holdMs, delaysMs: await allOf(one, other, hold) })),
  )
}

/** Sessions that are held equally long. */
async function allOf(one: Child<Worker>, other: Child<Worker>, { holdMs, lanes, times }: Hold): Promise<number[]> {
  // Spread over one hold, or all of them would change hands at the same moment, and the last would wait for a hundred.
  const lane = async (index: number): Promise<number[]> => {
    await sleep((index / lanes) * holdMs)
    return exchange(one, other, `h${String(holdMs)}-${String(index)}`, holdMs, times)
  }
  return (await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)))).flat()
}

/** Two processes take turns; each waits while the other works. What passes between freeing and having, in ms. */
async function exchange(
  one: Child<Worker>,
  other: Child<Worker>,
  id: string,
  holdMs: number,
  times: number,
): Promise<number[]> {
  const delays: number[] = []
  let [holder, waiter] = [one, other]
  await holder.call('acquire', id)
  for (let time = 0; time < times; time++) {
    const released = holder.call('releaseAfter', { id, holdMs })
    const { cameAtMs, acquiredAtMs } = await waiter.call('acquire', id)
    delays.push(acquiredAtMs - Math.max(await released, cameAtMs))
    ;[holder, waiter] = [waiter, holder]
  }
  await holder.call('releaseAfter', { id, holdMs: 0 })
  return delays
}

/** What one process that waits sends while another holds the session for `holdSec` seconds. */
async function countPolls(holder: Child<Worker>, waiter: Child<Worker>, holdSec: number): Promise<Polls> {
  const id = 'held-long'
  await holder.call('acquire', id)
  const released = holder.call('releaseAfter', { id, holdMs: holdSec * 1000 })
  const before = await waiter.call('flights', null)
  const acquired = waiter.call('acquire', id)
  await sleep(10_000)
  const after10s = await waiter.call('flights', null)
  await sleep((holdSec - 10.2) * 1000)
  const last = await waiter.call('flights', null)
  await released
  await acquired
  return {
    inFirst10s: after10s - before,
    perSecondLater: (last - after10s) / (holdSec - 10.2),
    perSecond: (last - before) / (holdSec - 0.2),
  }
}

/** How often one who waits finds the session locked, at the hold where that is most often; the mean of some waits. */
async function worstPollsPerWait(holder: Child<Worker>, waiter: Child<Worker>): Promise<number> {
  const means: number[] = []
  for (const { holdMs } of HOLDS) {
    const waits = holdMs < 1000 ? 20 : 1
    const before = await waiter.call('polls', null)
    for (let wait = 0; wait < waits; wait++) {
      await holder.call('acquire', 'counted')
      const released = holder.call('releaseAfter', { id: 'counted', holdMs })
      await waiter.call('acquire', 'counted')
      await released
      await waiter.call('releaseAfter', { id: 'counted', holdMs: 0 })
    }
    means.push(((await waiter.call('polls', null)) - before) / waits)
  }
  return Math.max(...means)
}

const ofLimit = ({ share, floorMs }: typeof P50, delayMs: number, holdMs: number): number =>
  delayMs / Math.max(floorMs, share * holdMs)

function report(delays: readonly Delays[], bare: readonly Delays[], polls: Polls, pollsPerWait: number, php: PhpHandoffs, notes: readonly string[]): RowResult {
  const p50 = (one: Delays): number => quantile(one.delaysMs, 0.5)
  const p99 = (one: Delays): number => quantile(one.delaysMs, 0.99)
  const p50At = (some: readonly Delays[], atMs: number): number => Math.max(...some.filter(({ holdMs }) => holdMs === atMs).map(p50))
  const main = delays.filter(({ holdMs }) => holdMs === MAIN_HOLD_MS)
  const long = delays.filter(({ holdMs }) => holdMs * P50.share >= P50.floorMs)
  const pct = (one: Delays): number => (100 * p50(one)) / one.holdMs
  const rowsOf = (name: string, some: readonly Delays[]): string[][] =>
    some.map((one) => [
      `${name}, held ${String(one.holdMs)} ms`,
      String(one.delaysMs.length),
      num(p50(one)),
      num(p99(one)),
      num(pct(one)),
      one.failed === undefined ? '' : `${String(one.failed)} gave up`,
    ])
  return {
    figures: {
      'handoff.p50Ms': p50At(delays, MAIN_HOLD_MS),
      'handoff.p99Ms': Math.max(...main.map(p99)),
      'handoff.delayPctOfHold': Math.max(...long.map(pct)),
      'handoff.p50OfLimit': Math.max(...delays.map((one) => ofLimit(P50, p50(one), one.holdMs))),
      'handoff.p99OfLimit': Math.max(...delays.map((one) => ofLimit(P99, p99(one), one.holdMs))),
      'handoff.ratioToBare': p50At(delays, BARE_HOLD_MS) / p50At(bare, BARE_HOLD_MS),
      'handoff.worstP50Ms': Math.max(...delays.map(p50)),
      'handoff.worstP99Ms': Math.max(...delays.map(p99)),
      'handoff.pollsPerWait': pollsPerWait,
      'handoff.pollsPerSecondPerWaiter': polls.perSecond,
      'handoff.pollsInFirst10s': polls.inFirst10s,
      'handoff.pollsPerSecondLater': polls.perSecondLater,
    },
    tables: [
      {
        title: 'handoff: from the end of one hold, commit included, to the beginning of the next in another process',
        head: ['', 'times', 'p50 ms', 'p99 ms', 'p50 % of hold', ''],
        rows: [...rowsOf('latchkey', delays), ...rowsOf('bare commands and a bare bell', bare), ...php.kinds.flatMap(({ name, delays: own }) => rowsOf(name, own))],
      },
      {
        title: 'handoff: what a process that waits for one long hold sends',
        head: ['', 'flights in the first 10 s', 'a second from then on'],
        rows: [
          ['latchkey', num(polls.inFirst10s), num(polls.perSecondLater)],
          ...php.kinds.map(({ name, pollsPerSecond }) => [name, num(pollsPerSecond * 10), num(pollsPerSecond)]),
        ],
      },
    ],
    charts: [
      {
        file: 'handoff-delay',
        title: 'delay of a hand-off between processes',
        unit: 'ms',
        logarithmic: true,
        series: delays.map(({ holdMs, delaysMs }) => ({
          label: `latchkey, ${String(holdMs)} ms`,
          values: thinned(delaysMs.map((delay) => Math.max(delay, 0.01)), 200),
        })),
      },
    ],
    notes,
  }
}
