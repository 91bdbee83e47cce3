import type { SessionManager } from 'latchkey'
import { repairUnwatched } from './repair-unwatched.js'
import { until } from './until.js'

/**
 * Until each session is on all of its nodes. On a busy machine a node is late, and is not waited for: a session that it has missed only one
 * node has when another one is away as well.
 */
export const bringToAll = (manager: SessionManager): Promise<void> =>
  until('all nodes have all sessions', async () => {
    const { counts } = await repairUnwatched(manager.engine, 600)
    return counts.failed + counts.locked + counts.repaired === 0
  })
