import { randomBytes } from 'node:crypto'
import type { ServerAddress } from '../../wire/memcached/save-path.js'
import { listsKeyOf } from '../../lock/key-layout.js'
import { SessionManager } from '../../session/session-manager.js'
import { createMemcachedWire } from '../../wire/memcached/memcached-wire.js'
import { valueBytes, type Wire } from '../../wire/wire.js'
import type { Place } from '../place.js'

/** What is left if even the cleaning up fails goes away by itself. */
const LIFETIME_SEC = 30
const LEASE_SEC = 5

export interface Trial {
  readonly tookMs: number
  /** What a session may have, as far as the server's item size goes. */
  readonly largestSessionBytes: number
  /** The list of servers of a running process that shares the sessions (see server-lists.ts); undefined: none runs. */
  readonly usedList: string | undefined
}

/**
 * Plays a session on one server: locked, stored, unlocked, read again, destroyed. Its id is made up, and nothing of it
 * stays.
 *
 * @throws what went wrong; or the signal's reason, with nothing left behind either.
 */
export async function playSession({ layout, clock, deadlineMs, signal }: Place, server: ServerAddress): Promise<Trial> {
  const options = { clock, flightMs: Math.floor(deadlineMs / 3), connections: 1 }
  const wire = createMemcachedWire({ ...options, servers: [server] })
  // The manager's close() would take the connection away that cleaning up needs.
  const lent: Wire = { ...wire, close: () => Promise.resolve() }
  const manager = new SessionManager({
    wire: lent,
    clock,
    prefix: layout.prefix,
    deadlineMs,
    lifetimeSec: LIFETIME_SEC,
    leaseSec: LEASE_SEC,
    waitMs: 0,
    label: 'latchkey doctor',
  })
  const id = `latchkey-doctor-${randomBytes(8).toString('hex')}`
  const startedMs = clock.nowMs()
  try {
    const first = await manager.start(id)
    first.data['beat'] = 1
    signal.throwIfAborted()
    await first.release()
    signal.throwIfAborted()
    const second = await manager.start(id)
    if (second.data['beat'] !== 1) throw new Error('what was stored is not what was read')
    await second.destroy()
    const tookMs = clock.nowMs() - startedMs
    const usedList = await leftList(wire, id, listsKeyOf(layout.prefix))
    return { tookMs, largestSessionBytes: wire.maxValueBytes(id, layout.keysOf(id).record), usedList }
  } finally {
    await manager.close({ graceMs: 0 })
    const { record, lock, line } = layout.keysOf(id)
    // If the server does not answer any more, what went wrong is being told already.
    await wire.flight(id, [record, lock, line].map((key) => ({ op: 'delete', key }))).catch(() => undefined)
    await wire.close()
  }
}

async function leftList(wire: Wire, route: string, key: string): Promise<string | undefined> {
  const [left] = await wire.flight(route, [{ op: 'get', key }])
  return left?.status === 'ok' && left.value !== undefined ? valueBytes(left.value).toString('latin1') : undefined
}
