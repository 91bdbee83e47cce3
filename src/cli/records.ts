/** Records as a command finds them: on one node each, or on several, of which some may be away. */
import type { Place } from './place.js'

/** Every key under the prefix. @throws as `OperatedNode.keys`. */
export async function keysIn({ wire, store, layout }: Place): Promise<ReadonlySet<string>> {
  const keys = new Set<string>()
  // What a majority has is found also where a minority cannot be asked.
  if (wire.replicaNodes !== undefined && wire.keys !== undefined) {
    for await (const key of wire.keys(layout.prefix)) keys.add(key)
    return keys
  }
  // A key may be on a second node as well, from a time when the session lived there.
  for (const node of store.nodes) for (const key of await node.keys(layout.prefix)) keys.add(key)
  return keys
}

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
