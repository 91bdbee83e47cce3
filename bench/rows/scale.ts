/** scale: throughput of 1 and 2 processes with 1, 2 and 4 servers. */
import { MemcachedServer } from '../../test/support/memcached-server.js'
import type { Worker } from '../processes/worker.js'
import { Child } from '../support/child.js'
import { num, type Row, type RowContext } from '../support/result.js'
import { median, ratioOf, spreadPct } from '../support/statistics.js'

const NODES = [1, 2, 4]
const PROCESSES = [1, 2]
const PER_PROCESS = 4096

interface Setup {
  readonly nodes: number
  readonly processes: number
  /** Cycles a second, of all processes together, in each round. */
  readonly rates: number[]
}

export const scale: Row = {
  about: 'throughput of 1 and 2 processes with 1, 2 and 4 servers',
  async run(context) {
    const setups = await measured(context)
    const single = setups[0]?.rates ?? []
    const name = ({ nodes, processes }: Setup): string => `scale.processes${String(processes)}Servers${String(nodes)}`
    return {
      figures: Object.fromEntries(setups.slice(1).map((setup) => [name(setup), ratioOf(setup.rates, single)])),
      tables: [
        {
          title: 'scale: cycles with more servers and processes',
          head: ['servers', 'processes', 'cycles/s', '± %', 'of one and one'],
          rows: setups.map(({ nodes, processes, rates }) => [
            String(nodes),
            String(processes),
            num(median(rates)),
            num(spreadPct(rates)),
            num(ratioOf(rates, single)),
          ]),
        },
      ],
      charts: [],
      notes: ['servers, processes and load share the cores of one machine'],
    }
  },
}

async function measured({ quick, progress }: RowContext): Promise<readonly Setup[]> {
  const servers = await Promise.all(Array.from({ length: Math.max(...NODES) }, () => MemcachedServer.start()))
  const setups = NODES.flatMap((nodes) => PROCESSES.map((processes): Setup => ({ nodes, processes, rates: [] })))
  const workers = new Map<number, Child<Worker>[]>()
  for (const nodes of NODES) {
    const savePath = servers.slice(0, nodes).map((server) => `tcp://${server.address}`).join(',')
    const some = await Promise.all(PROCESSES.map(() => Child.start<Worker>('worker.ts')))
    await Promise.all(some.map((worker) => worker.call('open', { savePath })))
    await Promise.all(some.map((worker, index) => worker.call('seed', { first: index * PER_PROCESS, sessions: PER_PROCESS })))
    workers.set(nodes, some)
  }
  const [rounds, forMs] = quick ? [3, 400] : [7, 1500]
  for (let round = -1; round < rounds; round++) {
    for (const { nodes, processes, rates } of setups) {
      progress(`${String(nodes)} servers, ${String(processes)} processes, round ${String(round + 1)} of ${String(rounds)}`)
      const some = (workers.get(nodes) ?? []).slice(0, processes)
      const loads = some.map((worker, index) => worker.call('load', { first: index * PER_PROCESS, sessions: PER_PROCESS, forMs }))
      const total = (await Promise.all(loads)).reduce((sum, rate) => sum + rate, 0)
      if (round >= 0) rates.push(total)
    }
  }
  for (const some of workers.values()) for (const worker of some) worker.stop()
  await Promise.all(servers.map((server) => server.stop()))
  return setups
}
