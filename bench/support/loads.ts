/** The two loads under which a cycle is looked at: many in flight, and one at a time. */
import type { Contender } from '../contenders/contender.js'
import { drive, inRounds, seedAll, type Slice } from './drive.js'
import { num, type RowContext, type Table } from './result.js'
import { median, ratioOf, spreadPct } from './statistics.js'

/** By the contenders' names. */
export type Slices = ReadonlyMap<string, readonly Slice[]>

interface Loads {
  readonly sessions: number
  readonly inFlight: number
}

/** Stores the sessions of all, measures both loads, and closes all. */
export async function underBothLoads(list: readonly Contender[], { sessions, inFlight }: Loads, context: RowContext): Promise<{ many: Slices; single: Slices }> {
  for (const contender of list) {
    context.progress(`storing ${String(sessions)} sessions, ${contender.name}`)
    await seedAll(contender, sessions)
  }
  const many = await measure(list, { sessions, inFlight }, context)
  const single = await measure(list, { sessions, inFlight: 1 }, context)
  for (const contender of list) await contender.close()
  return { many, single }
}

function measure(list: readonly Contender[], { sessions, inFlight }: Loads, context: RowContext): Promise<Slices> {
  const [rounds, forMs] = context.quick ? [5, inFlight === 1 ? 150 : 320] : [11, inFlight === 1 ? 600 : 1000]
  const about = `${String(inFlight)} in flight`
  const slice = (contender: Contender): Promise<Slice> => drive(contender, { inFlight, forMs, sessions })
  return inRounds(list, rounds, slice, (text) => {
    context.progress(`${about}: ${text}`)
  })
}

export const ratesOf = (slices: readonly Slice[] | undefined): number[] => (slices ?? []).map(({ cyclesPerSecond }) => cyclesPerSecond)

/** The median of each slice, in microseconds. */
export const latenciesUs = (slices: readonly Slice[] | undefined): number[] => (slices ?? []).map(({ latenciesMs }) => median(latenciesMs) * 1000)

/** One of the two loads; every contender beside that of the name `base`. */
export function loadTable(title: string, slices: Slices, base: string): Table {
  const beside = ratesOf(slices.get(base))
  return {
    title,
    head: ['', 'cycles/s', '± %', `of ${base}`, 'CPU µs/cycle', 'p50 µs'],
    rows: [...slices].map(([name, own]) => [
      name,
      num(median(ratesOf(own))),
      num(spreadPct(ratesOf(own))),
      num(ratioOf(ratesOf(own), beside)),
      num(median(own.map(({ cpuUsPerCycle }) => cpuUsPerCycle))),
      num(median(latenciesUs(own))),
    ]),
  }
}
