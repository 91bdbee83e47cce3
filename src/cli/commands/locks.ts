import type { Holder } from '../../errors.js'
import { readToken } from '../../lock/protocol/lock-token.js'
import { plainText } from '../../system/plain-text.js'
import { duration, table } from '../../system/format.js'
import { type Place, nameOf } from '../place.js'
import { EXIT, type Report } from '../report.js'

/** A lock as a server keeps it. */
interface Lock extends Holder {
  readonly id: string
  readonly heldMs: number | undefined
  /** How many processes stand in line for it, as far as they have got there. */
  readonly processesWaiting: number
}

/** Locks that are read at once. */
const AT_ONCE = 64

/** `latchkey locks`: by a list of each node's keys, and one flight for each lock. */
export async function locks(place: Place, showsIds: boolean): Promise<Report> {
  // A key may be on a second node as well, from a time when the session lived there.
  const listed = new Set<string>()
  for (const node of place.store.nodes) {
    for (const key of await node.keys(place.layout.prefix)) {
      const id = place.layout.idOfLock(key)
      if (id !== undefined) listed.add(id)
    }
  }
  const ids = [...listed]
  const found: Lock[] = []
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    place.signal.throwIfAborted()
    const read = await Promise.all(ids.slice(at, at + AT_ONCE).map((id) => readLock(place, id)))
    found.push(...read.filter((lock) => lock !== undefined))
  }
  found.sort((one, other) => (one.sinceMs ?? Infinity) - (other.sinceMs ?? Infinity))
  return {
    exitCode: EXIT.fine,
    data: {
      locks: found.map(({ id, ...rest }) => ({ session: nameOf(id), ...(showsIds ? { id } : {}), ...rest })),
    },
    lines: found.length === 0 ? ['No session is locked.'] : tableOf(found, showsIds),
  }
}

async function readLock({ wire, layout, clock }: Place, id: string): Promise<Lock | undefined> {
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
  return { id, ...holder, heldMs, processesWaiting }
}

function tableOf(found: readonly Lock[], showsIds: boolean): string[] {
  return table([
    [showsIds ? 'SESSION ID' : 'SESSION', 'HELD FOR', 'HOST', 'PID', 'WAITING', 'LABEL'],
    ...found.map(({ id, heldMs, host, pid, label, processesWaiting }) => [
      showsIds ? id : nameOf(id),
      heldMs === undefined ? '?' : duration(heldMs),
      plainText(host ?? '?'),
      pid === undefined ? '?' : String(pid),
      String(processesWaiting),
      plainText(label ?? ''),
    ]),
  ])
}
