import { table } from '../../system/format.js'
import type { Figures, OperatedNode } from '../../wire/operated-store.js'
import { FlightError } from '../../wire/wire.js'
import type { Place } from '../place.js'
import { EXIT, type Report } from '../report.js'

interface Counted {
  readonly sessions: number
  readonly locks: number
}

interface Told extends Figures {
  readonly server: string
  readonly counted: Counted | undefined
}

interface Silent {
  readonly server: string
  readonly error: FlightError
}

/** `latchkey stats`: one question to each node, and with `counts` a list of its keys. What one node does not say, others do. */
export async function stats(place: Place, counts: boolean): Promise<Report> {
  const { nodes } = place.store
  const told = await Promise.all(nodes.map((node) => ask(place, node, counts)))
  const silent = told.filter((one) => 'error' in one)
  const [first] = silent
  if (first !== undefined && silent.length === nodes.length) throw first.error
  return {
    exitCode: first === undefined ? EXIT.fine : EXIT.unreachable,
    data: { servers: told.map(dataOf) },
    lines: told.flatMap(linesOf),
  }
}

async function ask(place: Place, node: OperatedNode, counts: boolean): Promise<Told | Silent> {
  const { name: server } = node
  try {
    const figures = await node.figures()
    return { server, ...figures, counted: counts ? await count(place, node) : undefined }
  } catch (error) {
    place.signal.throwIfAborted()
    if (!(error instanceof FlightError)) throw error
    return { server, error }
  }
}

function dataOf(one: Told | Silent): object {
  const { server } = one
  if ('error' in one) return { server, unreached: one.error.message }
  return { server, ...one.data, ...(one.counted === undefined ? {} : { counted: one.counted }) }
}

function linesOf(one: Told | Silent): string[] {
  if ('error' in one) return [`${one.server}: ${one.error.message}`]
  const { server, about, rows, counted } = one
  const figures = rows.map(([name, text]) => [`  ${name}`, text])
  return [`${server}: ${about}`, ...table([...figures, ...(counted === undefined ? [] : [['  counted', countedOf(counted)]])])]
}

const countedOf = ({ sessions, locks }: Counted): string => `${String(sessions)} sessions, ${String(locks)} locks`

/** By their keys alone: a tombstone counts as a session until it expires. Named locks are counted with the others. */
async function count({ layout, mutexLayout }: Place, node: OperatedNode): Promise<Counted> {
  const keys = await node.keys(layout.prefix)
  const locks = keys.filter((key) => (layout.idOfLock(key) ?? mutexLayout.idOfLock(key)) !== undefined).length
  const sessions = keys.filter((key) => layout.idOfRecord(key) !== undefined).length
  return { sessions, locks }
}
