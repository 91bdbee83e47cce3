/** cost: CPU time of a cycle, as the low quartile of many short slices by turns: it survives neighbours on the machine. */
import { MemcachedServer } from '../../test/support/memcached-server.js'
import * as names from '../contenders/all.js'
import { type Contender, RECORD_BYTES } from '../contenders/contender.js'
import { drive, inRounds, seedAll, type Slice } from '../support/drive.js'
import { num, type Row, type RowResult } from '../support/result.js'
import { median, quantile, ratioOf } from '../support/statistics.js'

const SESSIONS = 4096
const IN_FLIGHT = 64
/** By so much the floor's median slice may cost more than its low quartile; beyond, the neighbours are too loud. */
const MOST_NOISE_PCT = 10

export const cost: Row = {
  about: `CPU time of a locked cycle, ${String(IN_FLIGHT)} in flight, beside the floor's, in many short slices`,
  async run(context) {
    await using server = await MemcachedServer.start({ args: ['-m', '256'] })
    const list = await names.makeOwn({ server, recordBytes: RECORD_BYTES }, context.against)
    for (const contender of list) await seedAll(contender, SESSIONS)
    const [rounds, forMs] = context.quick ? [60, 50] : [150, 60]
    const slice = (contender: Contender): Promise<Slice> => drive(contender, { inFlight: IN_FLIGHT, forMs, sessions: SESSIONS })
    const slices = await inRounds(list, rounds, slice, context.progress)
    for (const contender of list) await contender.close()
    return report(slices)
  },
}

function report(slices: ReadonlyMap<string, readonly Slice[]>): RowResult {
  const of = (name: string): readonly Slice[] => slices.get(name) ?? []
  const cpu = (name: string): number[] => of(name).map((slice) => slice.cpuUsPerCycle)
  const throughput = (name: string): number[] => of(name).map((slice) => slice.cyclesPerSecond)
  const low = (name: string): number => quantile(cpu(name), 0.25)
  const lowUser = (name: string): number => quantile(of(name).map((slice) => slice.userUsPerCycle), 0.25)
  const ratio = (name: string): number => low(name) / low(names.FLOOR)
  const noisePct = 100 * (median(cpu(names.FLOOR)) / low(names.FLOOR) - 1)
  return {
    figures: {
      'cost.cpuRatioToFloor': ratio(names.LATCHKEY),
      'cost.cpuRatioToMgFloor': low(names.LATCHKEY) / low(names.FLOOR_MG),
      'cost.expressCpuRatioToFloor': ratio(names.LATCHKEY_REQUEST),
      ...(slices.has(names.LATCHKEY_OTHER) ? { 'cost.againstPct': 100 * (low(names.LATCHKEY) / low(names.LATCHKEY_OTHER) - 1) } : {}),
      'cost.noisePct': noisePct,
    },
    tables: [
      {
        title: `cost of a cycle, ${String(IN_FLIGHT)} in flight`,
        head: ['', 'CPU µs, low quartile', '× floor', 'outside the kernel', '× floor', 'CPU µs, median', 'throughput of floor'],
        rows: [...slices.keys()].map((name) => [
          name,
          num(low(name)),
          num(ratio(name)),
          num(lowUser(name)),
          num(lowUser(name) / lowUser(names.FLOOR)),
          num(median(cpu(name))),
          num(ratioOf(throughput(name), throughput(names.FLOOR))),
        ]),
      },
    ],
    charts: [],
    notes: noisePct > MOST_NOISE_PCT ? [`TOO NOISY TO JUDGE: the floor's median slice costs ${num(noisePct)} % more than its low quartile`] : [],
  }
}
