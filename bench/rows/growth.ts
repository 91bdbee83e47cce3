/** growth: the cost of a cycle as sessions grow from 1e3 to 1e6. */
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { RECORD_BYTES } from '../contenders/contender.js'
import { BY_GETS, Floor } from '../contenders/floor.js'
import { LatchkeyHooks } from '../contenders/latchkey.js'
import { drive, inRounds, seedAll, type Slice } from '../support/drive.js'
import { loadLatchkey } from '../support/latchkey.js'
import { changed, sessionOf } from '../support/record.js'
import { num, type Row, type RowContext, type Table } from '../support/result.js'
import { median, ratioOf, spreadPct } from '../support/statistics.js'

const COUNTS = [1000, 10_000, 100_000, 1_000_000]

export const growth: Row = {
  about: 'cost of a cycle from 1e3 to 1e6 sessions',
  async run(context) {
    const { table, ratio, cpuRatio, evictions } = await grow(context)
    return {
      figures: { 'growth.costAt1e6Ratio': ratio, 'growth.cpuAt1e6Ratio': cpuRatio },
      tables: [table],
      charts: [],
      notes: [`${String(evictions)} evictions; servers and load share the cores of one machine`],
    }
  },
}

interface Growth {
  readonly table: Table
  /** Cost of a cycle with a million sessions, of that with a thousand: elapsed, and this process's CPU time. */
  readonly ratio: number
  readonly cpuRatio: number
  readonly evictions: number
}

/** A server for each number of sessions, all of them there at once, and load on each in turn. */
async function grow({ quick, progress }: RowContext): Promise<Growth> {
  const { SessionManager } = await loadLatchkey()
  const record = JSON.stringify(sessionOf(RECORD_BYTES))
  const servers: MemcachedServer[] = []
  const contenders: LatchkeyHooks[] = []
  for (const count of COUNTS) {
    progress(`storing ${num(count)} sessions`)
    const server = await MemcachedServer.start({ args: ['-m', '2048'] })
    servers.push(server)
    const seeder = await Floor.connect('sess', server.port, { record, change: changed, reading: BY_GETS })
    await seedAll(seeder, count)
    await seeder.close()
    contenders.push(new LatchkeyHooks(num(count), new SessionManager({ savePath: `tcp://${server.address}` }), record, changed))
  }
  const [rounds, forMs] = quick ? [5, 300] : [11, 1000]
  const slice = (contender: { name: string }): Promise<Slice> => {
    const at = contenders.findIndex(({ name }) => name === contender.name)
    const found = contenders[at]
    if (found === undefined) throw new Error('no such contender')
    return drive(found, { inFlight: 64, forMs, sessions: COUNTS[at] ?? 0 })
  }
  const results = await inRounds(contenders, rounds, slice, progress)
  const evictions = (await Promise.all(servers.map((server) => server.stat('evictions')))).reduce((sum, n) => sum + n, 0)
  for (const contender of contenders) await contender.close()
  for (const server of servers) await server.stop()
  const costs = COUNTS.map((count) => (results.get(num(count)) ?? []).map((one) => 1e6 / one.cyclesPerSecond))
  const cpu = COUNTS.map((count) => (results.get(num(count)) ?? []).map((one) => one.cpuUsPerCycle))
  const rows = COUNTS.map((count, at) => [
    num(count),
    num(median(costs[at] ?? [])),
    num(spreadPct(costs[at] ?? [])),
    num(ratioOf(costs[at] ?? [], costs[0] ?? [])),
    num(median(cpu[at] ?? [])),
  ])
  return {
    table: { title: 'growth: cost of a cycle by sessions', head: ['sessions', 'µs/cycle', '± %', 'of 1,000', 'CPU µs/cycle'], rows },
    ratio: ratioOf(costs.at(-1) ?? [], costs[0] ?? []),
    cpuRatio: ratioOf(cpu.at(-1) ?? [], cpu[0] ?? []),
    evictions,
  }
}
