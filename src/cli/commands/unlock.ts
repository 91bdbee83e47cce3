import { NotSupportedError, OutcomeUnknownError } from '../../errors.js'
import { describeHolder, readToken } from '../../lock/protocol/lock-token.js'
import { areSameBytes, type Cas, FlightError, type Reply, type Value } from '../../wire/wire.js'
import type { Guarded } from '../guarded.js'
import type { Place } from '../place.js'
import { EXIT, type ExitCode, type Report } from '../report.js'

/** A lock as it was shown. */
interface Shown {
  readonly value: Value
  readonly flags: number
  readonly cas: Cas
}

/**
 * `latchkey unlock <id>`, `latchkey unlock --mutex <name>`: reads the lock, lets `confirm` decide about its holder, and deletes it only if it is still
 * that very lock. Two flights.
 */
export async function unlock(place: Place, guarded: Guarded, confirm: (holder: string) => Promise<boolean>): Promise<Report> {
  const { data, title, danger } = guarded
  const shown = await read(place, guarded)
  if (shown === undefined) {
    return reportOf(EXIT.problem, `${title} is not locked.`, { ...data, unlocked: false, reason: 'free' })
  }
  const { holder } = readToken(shown.value)
  const who = describeHolder(holder)
  if (!(await confirm(`${title} is held by ${who}.${danger}`))) {
    return reportOf(EXIT.problem, 'Nothing was changed.', { ...data, unlocked: false, reason: 'declined', holder })
  }
  place.signal.throwIfAborted()
  const wasDeleted = await remove(place, guarded, shown)
  if (wasDeleted) return reportOf(EXIT.fine, `Unlocked; it was held by ${who}.${danger}`, { ...data, unlocked: true, holder })
  const line = 'The lock changed in the meantime, and was left alone: look at its holder again.'
  return reportOf(EXIT.changed, line, { ...data, unlocked: false, reason: 'changed', holder })
}

const reportOf = (exitCode: ExitCode, line: string, data: Report['data']): Report => ({ exitCode, data, lines: [line] })

/** False when it is another lock by now, or none. */
async function remove(place: Place, guarded: Guarded, shown: Shown): Promise<boolean> {
  try {
    return await compareAndDelete(place, guarded, shown.cas)
  } catch (error) {
    if (!(error instanceof FlightError)) throw error
    const now = await read(place, guarded)
    const isSame = now?.flags === shown.flags && areSameBytes(now.value, shown.value)
    // A person takes time to answer, and the connection may be a new one: of the same lock, take the CAS that it knows.
    if (error.untrusted) return isSame && (await compareAndDelete(place, guarded, now.cas))
    if (isSame || error.outcome === 'unknown') {
      const message = 'No answer was seen: the lock may have been deleted, or may still be. Look at its holder again.'
      throw new OutcomeUnknownError(message, { cause: error })
    }
    throw error
  }
}

async function compareAndDelete({ wire }: Place, { id, layout }: Guarded, cas: Cas): Promise<boolean> {
  const [reply] = await wire.flight(id, [{ op: 'cad', key: layout.keysOf(id).lock, cas }])
  return reply?.status === 'ok'
}

async function read({ wire }: Place, { id, layout }: Guarded): Promise<Shown | undefined> {
  const [reply] = await wire.flight(id, [{ op: 'get', key: layout.keysOf(id).lock }])
  return reply?.value === undefined ? undefined : shownOf(reply, reply.value)
}

function shownOf({ flags, cas }: Reply, value: Value): Shown {
  if (cas !== undefined) return { value, flags, cas }
  throw new NotSupportedError(
    'The store tells no version of the lock, so that it cannot be told from the next one.',
  )
}
