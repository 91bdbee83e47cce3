import { describeHolder } from '../../lock/protocol/lock-token.js'
import { duration } from '../../system/format.js'
import { nameOf, type Place } from '../place.js'
import { EXIT, type Report } from '../report.js'

/** `latchkey holder <id>`: one flight. */
export async function holder(place: Place, id: string): Promise<Report> {
  const found = await place.manager.holder(id)
  const session = nameOf(id)
  if (found === undefined) {
    return { exitCode: EXIT.problem, data: { session, held: false }, lines: [`Session ${session} is free.`] }
  }
  const heldMs = found.sinceMs === undefined ? undefined : Math.max(0, place.clock.wallMs() - found.sinceMs)
  const time = heldMs === undefined ? '' : `, for ${duration(heldMs)}`
  return {
    exitCode: EXIT.fine,
    data: { session, held: true, ...found, heldMs },
    lines: [`Session ${session} is held by ${describeHolder(found)}${time}.`],
  }
}
