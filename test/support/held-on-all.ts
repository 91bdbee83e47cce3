import type { Session, SessionManager } from 'latchkey'
import type { MemcachedServer } from './memcached-server.js'
import { until } from './until.js'

/** A session that is held by locks which all nodes have. On a busy machine a node is late, is not waited for, and gives its lock back. */
export async function heldOnAll<Data extends object>(manager: SessionManager, id: string, nodes: readonly MemcachedServer[], lockKey: string): Promise<Session<Data>> {
  const start = (): Promise<Session<Data>> => manager.start<Data>(id, { label: 'GET /' })
  let held = await start()
  await until('each node has the lock', async () => {
    const locks = await Promise.all(nodes.map((node) => node.commandText(`get ${lockKey}`)))
    if (locks.every((lock) => lock.includes('"token"'))) return true
    await held.abort()
    held = await start()
    return false
  })
  return held
}
