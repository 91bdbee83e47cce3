import { randomBytes } from 'node:crypto'
import { listsKeyOf } from '../../lock/protocol/key-layout.js'
import { SessionManager } from '../../session/session-manager.js'
import type { Finding, OperatedNode } from '../../wire/operated-store.js'
import type { Wire } from '../../wire/wire.js'
import type { Place } from '../place.js'

/** What is left if even the cleaning up fails goes away by itself. */
const LIFETIME_SEC = 30
const LEASE_SEC = 5

export interface Trial {
  readonly tookMs: number
  /** What a session may have, as far as the server's item size goes. */
  readonly largestSessionBytes: number
  /** What is wrong with how others use the node. */
  readonly findings: readonly Finding[]
}

/**
 * Plays a session on one node: locked, stored, unlocked, read again, destroyed. Its id is made up, and nothing of it
 * stays.
 *
 * @throws what went wrong; or the signal's reason, with nothing left behind either.
 */
export async function playSession({ wire: whole, layout, clock, deadlineMs, signal, opening }: Place, node: OperatedNode): Promise<Trial> {
  const wire = node.open(opening)
  // The manager's close() would take the connection away that cleaning up needs.
  const lent: Wire = {
    ...(wire.store === undefined ? {} : { store: wire.store }),
    flight: (route, commands) => wire.flight(route, commands),
    maxValueBytes: (route, key) => wire.maxValueBytes(route, key),
    sweep: () => wire.sweep(),
    close: () => Promise.resolve(),
  }
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
    const findings = await node.examineUse(wire, listsKeyOf(layout.prefix))
    // Where several nodes keep a session, some of an item goes to what says which copy is the newest.
    const { record } = layout.keysOf(id)
    const largestSessionBytes = Math.min(wire.maxValueBytes(id, record), whole.quorum === undefined ? Infinity : whole.maxValueBytes(id, record))
    return { tookMs, largestSessionBytes, findings }
  } finally {
    await manager.close({ graceMs: 0 })
    const { record, lock, line } = layout.keysOf(id)
    // If the server does not answer any more, what went wrong is being told already.
    await wire.flight(id, [record, lock, line].map((key) => ({ op: 'delete', key }))).catch(() => undefined)
    await wire.close()
  }
}
