import type { Clock } from '../../system/clock.js'
import { FlightError, type Wire } from '../wire.js'
import { createMemoryWire, type MemoryWire } from './memory-wire.js'

interface Shared {
  readonly wire: MemoryWire
  users: number
}

/** Of this copy of the package: stores hold its own objects. */
const stores = new Map<string, Shared>()

/**
 * A wire to the store of that name (`memory:shop`): all managers of the process that name it share its sessions and their
 * locks, and it is emptied when the last of them closes. Its time is the clock of whoever came first.
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
