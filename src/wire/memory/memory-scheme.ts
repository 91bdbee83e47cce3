import type { WireScheme } from '../scheme.js'
import { warnOfForgetting } from './forgetting.js'
import { createMemoryWire } from './memory-wire.js'
import { openNamedMemory } from './named-memory.js'

/**
 * `memory:` is a store of one manager; `memory:name` is a store that all managers of the process share by that name.
 */
export const memoryScheme: WireScheme = {
  beginnings: ['memory:'],
  form: 'memory:',
  read(savePath, refuse) {
    const name = savePath.slice(savePath.indexOf(':') + 1)
    if (!/^[\w.-]{0,64}$/.test(name)) refuse('memory', 'a name is at most 64 letters, digits and ._-', name)
    return {
      open({ clock, onWarning }) {
        warnOfForgetting(onWarning)
        return name === '' ? createMemoryWire({ clock }) : openNamedMemory(name, clock)
      },
    }
  },
}
