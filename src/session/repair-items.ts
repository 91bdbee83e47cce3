import { mutexLayout } from '../lock/protocol/key-layout.js'
import type { Locker } from '../lock/protocol/handle.js'
import type { RecordAt } from '../wire/replica-nodes.js'
import type { SessionEngine } from './session-engine.js'

/** A session's record, or the count of a named lock, and who locks it. */
export interface Item extends RecordAt {
  readonly lockKey: string
  readonly locker: Locker
}

/** What the key is the record of; undefined: of nothing. */
export function itemOf(engine: SessionEngine, key: string): Item | undefined {
  const id = engine.layout.idOfRecord(key)
  if (id !== undefined) return { key, lockKey: engine.layout.keysOf(id).lock, route: id, locker: engine.locker }
  const layout = mutexLayout(engine.layout.prefix, engine.wire.store)
  const name = layout.idOfRecord(key)
  return name === undefined ? undefined : { key, lockKey: layout.keysOf(name).lock, route: name, locker: engine.mutexes.locker }
}

/** The key of the record that goes with a lock; of every other key itself. */
export function recordBeside({ layout, wire }: SessionEngine, key: string): string {
  for (const one of [layout, mutexLayout(layout.prefix, wire.store)]) {
    const id = one.idOfLock(key)
    if (id !== undefined) return one.keysOf(id).record
  }
  return key
}
