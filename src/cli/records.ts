/** Records as a command finds them: on one node each, or on several, of which some may be away. */
import { NotSupportedError } from '../errors.js'
import type { Place } from './place.js'

/** Every key under the prefix. @throws as `OperatedNode.keys`; NotSupportedError as `refuseOneOfSeveral`. */
export async function keysIn({ wire, store, layout, opening }: Place): Promise<ReadonlySet<string>> {
  const keys = new Set<string>()
  // What a majority has is found also where a minority cannot be asked.
  if (wire.replicaNodes !== undefined && wire.keys !== undefined) {
    for await (const key of wire.keys(layout.prefix)) keys.add(key)
    return keys
  }
  // A key may be on a second node as well, from a time when the session lived there.
  for (const node of store.nodes) {
    for (const key of await node.keys(layout.prefix)) {
      if (key === opening.markKey) throw oneOfSeveral(node.name)
      keys.add(key)
    }
  }
  return keys
}

/**
 * A server that keeps copies together with others is not looked at as if it were alone: its copies are no records as they are, and a lock
 * that is taken off there still is on the others. One flight.
 *
 * @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: the server of this session is such a one. FlightError.
 */
export async function refuseOneOfSeveral({ wire, store, opening }: Place, id: string): Promise<void> {
  const { markKey: key } = opening
  if (wire.quorum !== undefined || key === undefined) return
  const [mark] = await wire.flight(id, [{ op: 'get', key }])
  if (mark?.value !== undefined) throw oneOfSeveral(store.nodeOf(id).name)
}

const oneOfSeveral = (name: string): NotSupportedError =>
  new NotSupportedError(
    `${name} is one of several servers that keep copies of each session. Give the save path of the processes that use it, which names ` +
      'all of them and has ?replicas=.',
  )

/** Seconds that a session's record has left; undefined where nobody can tell. */
export async function leftSecOf({ wire, store, layout, clock }: Place, id: string): Promise<number | undefined> {
  const { record: key } = layout.keysOf(id)
  if (wire.replicaNodes === undefined) return store.nodeOf(id).ttlSec(key)
  const { sights } = await wire.replicaNodes.look([{ route: id, key }])
  const newest = sights[0]?.newest
  if (newest === undefined) return undefined
  // A copy may be kept for longer than the record lives.
  return newest.endsAtSec > 0 ? Math.max(Math.ceil(newest.endsAtSec - clock.wallMs() / 1000), 1) : store.nodes[newest.node]?.ttlSec(key)
}
