/** The two loads under which a cycle is looked at: many in flight, and one at a time. */
import type { Contender } from '../contenders/contender.js'
import { drive, inRounds, seedAll, type Slice } from './drive.js'
import type { RowContext } from './result.js'

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
