import { describeHolder } from '../../lock/protocol/lock-token.js'
import { duration } from '../../system/format.js'
import type { Guarded } from '../guarded.js'
import type { Place } from '../place.js'
import { EXIT, type Report } from '../report.js'

/** `latchkey holder <id>`, `latchkey holder --mutex <name>`: one flight. */
export async function holder({ clock }: Pick<Place, 'clock'>, guarded: Guarded): Promise<Report> {
  const found = await guarded.holder()
  const { data, title } = guarded
  if (found === undefined) {
    return { exitCode: EXIT.problem, data: { ...data, held: false }, lines: [`${title} is free.`] }
  }
  const heldMs = found.sinceMs === undefined ? undefined : Math.max(0, clock.wallMs() - found.sinceMs)
  const time = heldMs === undefined ? '' : `, for ${duration(heldMs)}`
  return {
    exitCode: EXIT.fine,
    data: { ...data, held: true, ...found, heldMs },
    lines: [`${title} is held by ${describeHolder(found)}${time}.`],
  }
}
