/** cycle: load, change, save one of 4,096 sessions of 400 bytes; 64 in flight, and one at a time. */
import { MemcachedServer } from '../../test/support/memcached-server.js'
import * as names from '../contenders/all.js'
import { idOf, RECORD_BYTES } from '../contenders/contender.js'
import type { Slice } from '../support/drive.js'
import { loadLatchkey } from '../support/latchkey.js'
import { type Slices, underBothLoads } from '../support/loads.js'
import { changed, sessionOf } from '../support/record.js'
import { num, type Chart, type Row, type RowResult, type Table } from '../support/result.js'
import { median, ratioOf, spreadPct, thinned } from '../support/statistics.js'
import { startTap } from '../support/tap.js'

const SESSIONS = 4096
const IN_FLIGHT = 64

export const cycle: Row = {
  about: `load, change, save one of ${String(SESSIONS)} sessions of ${String(RECORD_BYTES)} bytes`,
  async run(context) {
    await using server = await MemcachedServer.start({ args: ['-m', '256'] })
    const setup = { server, recordBytes: RECORD_BYTES }
    const { list, missing } = await names.makeContenders(setup, context)
    const { many, single } = await underBothLoads(list, { sessions: SESSIONS, inFlight: IN_FLIGHT }, context)
    return { ...report(many, single, await countPerCycle(server)), notes: missing }
  },
}

interface PerCycle {
  readonly flights: number
  readonly commands: number
}

/** Counted from outside, on a relay, over uncontended cycles one at a time. */
async function countPerCycle(server: MemcachedServer): Promise<PerCycle> {
  const CYCLES = 200
  const tap = await startTap(server.port)
  const { SessionManager } = await loadLatchkey()
  const manager = new SessionManager({ savePath: `tcp://127.0.0.1:${String(tap.port)}`, prefix: 'count:' })
  const oneCycle = async (): Promise<void> => {
    const store = manager.store()
    const text = await store.read(idOf(0))
    await store.write(idOf(0), text === '' ? JSON.stringify(sessionOf(RECORD_BYTES)) : changed(text))
    await store.close()
  }
  await oneCycle()
  const before = { ...tap.counts }
  for (let cycle = 0; cycle < CYCLES; cycle++) await oneCycle()
  const { flights, commands } = tap.counts
  await manager.close()
  tap.close()
  return { flights: (flights - before.flights) / CYCLES, commands: (commands - before.commands) / CYCLES }
}

const throughputs = (slices: readonly Slice[] | undefined): number[] => (slices ?? []).map((slice) => slice.cyclesPerSecond)
const cpu = (slices: readonly Slice[] | undefined): number[] => (slices ?? []).map((slice) => slice.cpuUsPerCycle)
const garbage = (slices: readonly Slice[] | undefined): number[] => (slices ?? []).map((slice) => slice.bytesPerCycle)
const latencies = (slices: readonly Slice[] | undefined): number[] =>
  (slices ?? []).map((slice) => median(slice.latenciesMs) * 1000)

function report(many: Slices, single: Slices, perCycle: PerCycle): Omit<RowResult, 'notes'> {
  const ratioTo = (name: string, own = names.LATCHKEY): number =>
    ratioOf(throughputs(many.get(own)), throughputs(many.get(name)))
  return {
    figures: {
      'cycle.ratioToFloor': ratioTo(names.FLOOR),
      'cycle.ratioToMgFloor': ratioTo(names.FLOOR_MG),
      ...(many.has(names.LATCHKEY_REQUEST) ? { 'cycle.expressRatioToFloor': ratioTo(names.FLOOR, names.LATCHKEY_REQUEST) } : {}),
      'cycle.ratioToConnectMemcached': ratioTo(names.CONNECT_MEMCACHED),
      'cycle.ratioToConnectMemjs': ratioTo(names.CONNECT_MEMJS),
      ...(many.has(names.CONNECT_REDIS) ? { 'cycle.ratioToConnectRedis': ratioTo(names.CONNECT_REDIS) } : {}),
      'cycle.sequentialRatioToFloor': ratioOf(latencies(single.get(names.LATCHKEY)), latencies(single.get(names.FLOOR))),
      'cycle.flightsPerCycle': perCycle.flights,
      'cycle.commandsPerCycle': perCycle.commands,
      ...(many.has(names.FLOOR_TEXT) ? { 'cycle.textOnlyRatioToFloor': ratioTo(names.FLOOR_TEXT, names.LATCHKEY_TEXT) } : {}),
      'cycle.garbageBytes': median(garbage(many.get(names.LATCHKEY))),
      'cycle.cpuRatioToFloor': ratioOf(cpu(many.get(names.LATCHKEY)), cpu(many.get(names.FLOOR))),
    },
    tables: [
      tableOf(`cycle, ${String(IN_FLIGHT)} in flight`, many),
      tableOf('cycle, one at a time', single),
    ],
    charts: [
      chartOf('cycle-throughput', `cycles per second, ${String(IN_FLIGHT)} in flight`, '1/s', many, throughputs),
      chartOf('cycle-latency', 'latency of a cycle, one at a time', 'µs', single, sampledLatencies, true),
    ],
  }
}

function tableOf(title: string, slices: Slices): Table {
  const floor = slices.get(names.FLOOR)
  return {
    title,
    head: ['', 'cycles/s', '± %', 'of floor', 'CPU µs/cycle', '× floor', 'p50 µs', '× floor', 'garbage B'],
    rows: [...slices].map(([name, own]) => [
      name,
      num(median(throughputs(own))),
      num(spreadPct(throughputs(own))),
      num(ratioOf(throughputs(own), throughputs(floor))),
      num(median(cpu(own))),
      num(ratioOf(cpu(own), cpu(floor))),
      num(median(latencies(own))),
      num(ratioOf(latencies(own), latencies(floor))),
      num(median(garbage(own))),
    ]),
  }
}

const sampledLatencies = (slices: readonly Slice[]): number[] =>
  thinned(slices.flatMap((slice) => slice.latenciesMs), 200).map((ms) => ms * 1000)

function chartOf(
  file: string,
  title: string,
  unit: string,
  slices: Slices,
  values: (slices: readonly Slice[]) => number[],
  logarithmic = false,
): Chart {
  return { file, title, unit, logarithmic, series: [...slices].map(([label, own]) => ({ label, values: values(own) })) }
}
