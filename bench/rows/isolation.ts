/** isolation: 50 sessions that are stuck with 100 waiters each, while 1,000 other visitors work. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import type { Visits, Worker } from '../processes/worker.js'
import { Child } from '../support/child.js'
import { num, type Row, type RowContext } from '../support/result.js'
import { median, ratioOf, ratiosOf, spreadPct } from '../support/statistics.js'

const STUCK = 50
const WAITERS_EACH = 100
const VISITORS = 1000
/** Each visitor does a cycle and pauses as long as this: two thousand cycles a second. */
const PAUSE_MS = 500

export const isolation: Row = {
  about: '50 sessions stuck with 100 waiters each while 1,000 others work',
  async run(context) {
    await using server = await MemcachedServer.start()
    const options = { savePath: `tcp://${server.address}`, waitMs: 600_000, maxHoldMs: 3_600_000 }
    const stuckIds = Array.from({ length: STUCK }, (_, index) => `stuck-${String(index)}`)
    const start = async (prefix: string): Promise<Child<Worker>> => {
      const worker = await Child.start<Worker>('worker.ts')
      await worker.call('open', { ...options, prefix })
      return worker
    }
    const holder = await start('busy:')
    await holder.call('acquireAll', stuckIds)
    const connectionsBefore = await server.stat('curr_connections')
    const busy = await start('busy:')
    await busy.call('stick', { ids: stuckIds, each: WAITERS_EACH })
    const idle = { connections: 0 }
    const warmUp = busy.call('visit', { visitors: VISITORS, pauseMs: PAUSE_MS, forMs: 1000 })
    for (let sample = 0; sample < 5; sample++) {
      await sleep(150)
      idle.connections = Math.max(idle.connections, (await server.stat('curr_connections')) - connectionsBefore)
    }
    await warmUp
    const free = await start('free:')
    await free.call('visit', { visitors: VISITORS, pauseMs: PAUSE_MS, forMs: 1000 })

    const withStuck: Visits[] = []
    const without: Visits[] = []
    await interleave(context, [
      async (forMs) => void withStuck.push(await busy.call('visit', { visitors: VISITORS, pauseMs: PAUSE_MS, forMs })),
      async (forMs) => void without.push(await free.call('visit', { visitors: VISITORS, pauseMs: PAUSE_MS, forMs })),
    ])
    context.progress('counting what waiting costs the server')
    const commandsPerSecond = await countCommands(server, 1000)
    for (const child of [holder, busy, free]) child.stop()

    const p99 = (visits: readonly Visits[]): number[] => visits.map((visit) => visit.p99Ms)
    const p50 = (visits: readonly Visits[]): number[] => visits.map((visit) => visit.p50Ms)
    return {
      figures: {
        'isolation.p99Ratio': ratioOf(p99(withStuck), p99(without)),
        'isolation.connections': idle.connections,
        'isolation.serverCommandsPerSecond': commandsPerSecond,
      },
      tables: [
        {
          title: `isolation: ${String(VISITORS)} visitors' cycles, with and without ${String(STUCK * WAITERS_EACH)} stuck requests in the process`,
          head: ['', 'p50 ms', 'p99 ms', '± %', 'rounds'],
          rows: [
            ['with', num(median(p50(withStuck))), num(median(p99(withStuck))), num(spreadPct(p99(withStuck))), String(withStuck.length)],
            ['without', num(median(p50(without))), num(median(p99(without))), num(spreadPct(p99(without))), String(without.length)],
            ['ratio', num(ratioOf(p50(withStuck), p50(without))), num(ratioOf(p99(withStuck), p99(without))), '', ''],
          ],
        },
      ],
      charts: [
        {
          file: 'isolation-p99',
          title: "the other visitors' p99, round by round",
          unit: 'ms',
          series: [
            { label: 'latchkey, with stuck ones', values: p99(withStuck) },
            { label: 'latchkey, without', values: p99(without) },
            { label: 'ratio', values: ratiosOf(p99(withStuck), p99(without)) },
          ],
        },
      ],
      notes: [
        `${String(idle.connections)} connections to the server; the stuck requests alone cost it ${num(commandsPerSecond)} commands a second`,
      ],
    }
  },
}

async function interleave(context: RowContext, parts: readonly ((forMs: number) => Promise<void>)[]): Promise<void> {
  const [rounds, forMs] = context.quick ? [5, 800] : [15, 3000]
  for (let round = 0; round < rounds; round++) {
    context.progress(`round ${String(round + 1)} of ${String(rounds)}`)
    for (const part of round % 2 === 0 ? parts : [...parts].reverse()) await part(forMs)
  }
}

/** Commands a second that memcached itself counted, our own `stats` apart (it counts none). */
async function countCommands(server: MemcachedServer, forMs: number): Promise<number> {
  const NAMES = ['cmd_get', 'cmd_set', 'cmd_touch', 'cmd_meta', 'delete_hits', 'delete_misses']
  const total = async (): Promise<number> => {
    const stats = await server.stats()
    return NAMES.reduce((sum, name) => sum + Number(stats.get(name) ?? 0), 0)
  }
  const before = await total()
  await sleep(forMs)
  return ((await total()) - before) / (forMs / 1000)
}
