import type { Holder } from '../../errors.js'
import { readToken } from '../../lock/protocol/lock-token.js'
import { plainText } from '../../system/plain-text.js'
import { duration, table } from '../../system/format.js'
import { type Guarded, mutexOf, sessionOf } from '../guarded.js'
import type { Place } from '../place.js'
import { keysIn } from '../records.js'
import { EXIT, type Report } from '../report.js'

/** A lock as a server keeps it. */
interface Lock extends Holder {
  readonly guarded: Guarded
  readonly heldMs: number | undefined
  /** How many processes stand in line for it, as far as they have got there. */
  readonly processesWaiting: number
}

/** Locks that are read at once. */
const AT_ONCE = 64

/** `latchkey locks`: by a list of each node's keys, and one flight for each lock. */
export async function locks(place: Place, showsIds: boolean): Promise<Report> {
  const all = [...(await keysIn(place))].flatMap((key) => guardedBy(place, key) ?? [])
  const found: Lock[] = []
  for (let at = 0; at < all.length; at += AT_ONCE) {
    place.signal.throwIfAborted()
    const read = await Promise.all(all.slice(at, at + AT_ONCE).map((guarded) => readLock(place, guarded)))
    found.push(...read.filter((lock) => lock !== undefined))
  }
  found.sort((one, other) => (one.sinceMs ?? Infinity) - (other.sinceMs ?? Infinity))
  return {
    exitCode: EXIT.fine,
    data: {
      locks: found.map(({ guarded: { data, id }, ...rest }) => ({ ...data, ...(showsIds && 'session' in data ? { id } : {}), ...rest })),
    },
    lines: found.length === 0 ? ['No session is locked.'] : tableOf(found, showsIds),
  }
}

/** A session, or what is locked by a name; undefined: the key is no lock's. */
function guardedBy(place: Place, key: string): Guarded | undefined {
  const id = place.layout.idOfLock(key)
  if (id !== undefined) return sessionOf(place, id)
  const name = place.mutexLayout.idOfLock(key)
  return name === undefined ? undefined : mutexOf(place, name)
}

async function readLock({ wire, clock }: Place, guarded: Guarded): Promise<Lock | undefined> {
  const { id, layout } = guarded
  const keys = layout.keysOf(id)
  const [lock, line] = await wire.flight(id, [
    { op: 'get', key: keys.lock },
    { op: 'get', key: keys.line },
  ])
  // Let go of since the keys were listed, or only on a server where the session does not live any more.
  if (lock?.value === undefined) return undefined
  const { holder } = readToken(lock.value)
  const heldMs = holder.sinceMs === undefined ? undefined : Math.max(0, clock.wallMs() - holder.sinceMs)
  const processesWaiting = (line?.value?.toString() ?? '').split(' ').filter((word) => word !== '').length
  return { guarded, ...holder, heldMs, processesWaiting }
}

function tableOf(found: readonly Lock[], showsIds: boolean): string[] {
  return table([
    [showsIds ? 'SESSION ID, OR NAME' : 'SESSION, OR NAME', 'HELD FOR', 'HOST', 'PID', 'WAITING', 'LABEL'],
    ...found.map(({ guarded: { data, id }, heldMs, host, pid, label, processesWaiting }) => [
      'mutex' in data ? `lock "${id}"` : showsIds ? id : data.session,
      heldMs === undefined ? '?' : duration(heldMs),
      plainText(host ?? '?'),
      pid === undefined ? '?' : String(pid),
      String(processesWaiting),
      plainText(label ?? ''),
    ]),
  ])
}
