import type { Clock } from '../../system/clock.js'
import { FlightError, type Wire } from '../wire.js'
import { createMemoryWire, type MemoryWire } from './memory-wire.js'

interface Shared {
  readonly wire: MemoryWire
  users: number
}

/** The named stores of this copy of the package. Another copy of the package in the same process has its own. */
const stores = new Map<string, Shared>()

/**
 * Opens a wire to the store `name` (`memory:shop`). All managers of the process that name this store share its sessions
 * and their locks. The store is emptied when the last of them closes, and it uses the clock of the first.
 */
export function openNamedMemory(name: string, clock: Clock): Wire {
  const shared = stores.get(name) ?? { wire: createMemoryWire({ clock }), users: 0 }
  stores.set(name, shared)
  shared.users++
  const { wire } = shared
  let isClosed = false
  const assertOpen = (): void => {
    if (isClosed) throw new FlightError('not-sent', 'the memory wire is closed')
  }
  return {
    store: wire.store,
    async flight(route, commands) {
      assertOpen()
      return wire.flight(route, commands)
    },
    keys(prefix) {
      assertOpen()
      return wire.keys(prefix)
    },
    maxValueBytes: (route, key) => wire.maxValueBytes(route, key),
    sweep: () => wire.sweep(),
    async close() {
      if (isClosed) return
      isClosed = true
      if (--shared.users > 0) return
      stores.delete(name)
      await wire.close()
    },
  }
}
