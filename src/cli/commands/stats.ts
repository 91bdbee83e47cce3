import { table } from '../../system/format.js'
import type { OperatedNode } from '../../wire/operated-store.js'
import type { Place } from '../place.js'
import { EXIT, type Report } from '../report.js'

interface Counted {
  readonly sessions: number
  readonly locks: number
}

/** `latchkey stats`: one question to each node, and with `counts` a list of its keys. */
export async function stats(place: Place, counts: boolean): Promise<Report> {
  const told = await Promise.all(
    place.store.nodes.map(async (node) => {
      const figures = await node.figures()
      return { server: node.name, ...figures, counted: counts ? await count(place, node) : undefined }
    }),
  )
  return {
    exitCode: EXIT.fine,
    data: {
      servers: told.map(({ server, data, counted }) => ({ server, ...data, ...(counted === undefined ? {} : { counted }) })),
    },
    lines: told.flatMap(({ server, about, rows, counted }) => [
      `${server}: ${about}`,
      ...table([
        ...rows.map(([name, text]) => [`  ${name}`, text]),
        ...(counted === undefined ? [] : [['  counted', countedOf(counted)]]),
      ]),
    ]),
  }
}

const countedOf = ({ sessions, locks }: Counted): string => `${String(sessions)} sessions, ${String(locks)} locks`

/** By their keys alone: a tombstone counts as a session until it expires. Named locks are counted with the others. */
async function count({ layout, mutexLayout }: Place, node: OperatedNode): Promise<Counted> {
  const keys = await node.keys(layout.prefix)
  const locks = keys.filter((key) => (layout.idOfLock(key) ?? mutexLayout.idOfLock(key)) !== undefined).length
  const sessions = keys.filter((key) => layout.idOfRecord(key) !== undefined).length
  return { sessions, locks }
}
