/** size: what a cycle costs with records of 100 bytes to 500 KB, beside the floor. */
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { FLOOR, LATCHKEY, makeFloor, makeLatchkey } from '../contenders/all.js'
import { drive, inRounds, seedAll, type Slice } from '../support/drive.js'
import { num, type Row, type RowContext } from '../support/result.js'
import { median, ratioOf } from '../support/statistics.js'

const SIZES = [
  { bytes: 100, inFlight: 64 },
  { bytes: 1000, inFlight: 64 },
  { bytes: 10_000, inFlight: 64 },
  { bytes: 100_000, inFlight: 16 },
  { bytes: 500_000, inFlight: 8 },
] as const
const SESSIONS = 128

interface Cost {
  readonly bytes: number
  readonly inFlight: number
  readonly floor: readonly Slice[]
  readonly latchkey: readonly Slice[]
}

export const size: Row = {
  about: 'cycle cost for records of 100 B to 500 KB, against the floor',
  async run(context) {
    const costs: Cost[] = []
    for (const { bytes, inFlight } of SIZES) costs.push(await measure(bytes, inFlight, context))
    const throughputs = (slices: readonly Slice[]): number[] => slices.map((slice) => slice.cyclesPerSecond)
    const cpu = (slices: readonly Slice[]): number[] => slices.map((slice) => slice.cpuUsPerCycle)
    const ratio = ({ latchkey, floor }: Cost): number => ratioOf(throughputs(latchkey), throughputs(floor))
    return {
      figures: Object.fromEntries(costs.map((cost) => [`size.ratioToFloorAt${String(cost.bytes)}`, ratio(cost)])),
      tables: [
        {
          title: 'size: cycles with records of',
          head: ['bytes', 'in flight', 'latchkey/s', 'floor/s', 'of floor', 'CPU µs/cycle', 'floor'],
          rows: costs.map((cost) => [
            num(cost.bytes),
            String(cost.inFlight),
            num(median(throughputs(cost.latchkey))),
            num(median(throughputs(cost.floor))),
            num(ratio(cost)),
            num(median(cpu(cost.latchkey))),
            num(median(cpu(cost.floor))),
          ]),
        },
      ],
      charts: [
        {
          file: 'size-cost',
          title: 'CPU time of a cycle by the size of its record',
          unit: 'µs',
          logarithmic: true,
          series: costs.flatMap((cost) => [
            { label: `latchkey, ${num(cost.bytes)} B`, values: cpu(cost.latchkey) },
            { label: `floor, ${num(cost.bytes)} B`, values: cpu(cost.floor) },
          ]),
        },
      ],
      notes: [],
    }
  },
}

async function measure(bytes: number, inFlight: number, { quick, progress }: RowContext): Promise<Cost> {
  await using server = await MemcachedServer.start({ args: ['-m', '512'] })
  const setup = { server, recordBytes: bytes }
  const list = [await makeFloor(setup), await makeLatchkey(setup)]
  for (const contender of list) await seedAll(contender, SESSIONS)
  const [rounds, forMs] = quick ? [5, 300] : [9, 800]
  const results = await inRounds(
    list,
    rounds,
    (contender) => drive(contender, { inFlight, forMs, sessions: SESSIONS }),
    (text) => {
      progress(`${num(bytes)} B: ${text}`)
    },
  )
  for (const contender of list) await contender.close()
  return { bytes, inFlight, floor: results.get(FLOOR) ?? [], latchkey: results.get(LATCHKEY) ?? [] }
}
