import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LatchkeyError, SessionManager, type SessionManagerOptions } from 'latchkey'

/** Where an example keeps its sessions. */
export interface Store {
  /** For people: no credentials in it. */
  readonly label: string
  readonly servers: readonly string[]
  readonly options: Pick<SessionManagerOptions, 'savePath' | 'prefix' | 'deadlineMs'>
}

/** Seconds that an example's sessions live; nothing of a run is left on the servers after a minute. */
export const TTL_SEC = 60

export class StoreUnreachableError extends Error {}

/** @param memcacheServers comma-separated, as in MEMCACHE_SERVERS; none or empty: inside this process. */
export function storeOf(memcacheServers: string | undefined): Store {
  const list = memcacheServers?.trim() ?? ''
  const servers = list === '' || list.startsWith('memory:') ? [] : list.split(',').map((server) => server.trim())
  return {
    label: servers.length === 0 ? 'memory' : `${kindOf(list)} ${servers.map(withoutCredentials).join(', ')}`,
    servers,
    options: {
      savePath: servers.length === 0 ? 'memory:' : servers.join(','),
      // Of its own for each run, so that no run meets what an earlier one left.
      prefix: `example-${randomBytes(4).toString('hex')}:`,
      // On a machine that is busy with something else the example shall be slow, not fail.
      deadlineMs: 10_000,
    },
  }
}

const kindOf = (savePath: string): string => (/^redis/i.test(savePath) ? 'redis' : 'memcached')

/** Without a server: on disk, in a directory that goes with the run, where SQLite is to be had; else in this process. */
export async function embedded(store: Store): Promise<Store & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-demo-'))
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true })
  const onDisk: Store = { ...store, label: 'a file', options: { ...store.options, savePath: `file:${directory}` } }
  const manager = new SessionManager(onDisk.options)
  try {
    await manager.peek('is-anybody-there')
    return { ...onDisk, [Symbol.asyncDispose]: remove }
  } catch (error) {
    if (!(error instanceof LatchkeyError) || error.code !== 'LATCHKEY_NOT_SUPPORTED') throw error
    return { ...store, [Symbol.asyncDispose]: remove }
  } finally {
    await manager.close()
  }
}

/**
 * Asks every server for something before the play begins, so that a missing one is told in one line.
 *
 * @throws StoreUnreachableError
 */
export async function checkStore(store: Store, signal: AbortSignal, advice: string): Promise<void> {
  for (const server of store.servers) {
    const manager = new SessionManager({ ...store.options, savePath: server, deadlineMs: 2000 })
    const stop = (): void => void manager.close({ graceMs: 0 })
    signal.addEventListener('abort', stop)
    try {
      await manager.peek('is-anybody-there')
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error
      throw new StoreUnreachableError(
        `no ${kindOf(server)} answers at ${withoutCredentials(server)} (MEMCACHE_SERVERS)${reasonOf(error)}. ${advice}`,
        { cause: error },
      )
    } finally {
      signal.removeEventListener('abort', stop)
      await manager.close({ graceMs: 0 })
    }
    signal.throwIfAborted()
  }
}

const withoutCredentials = (server: string): string =>
  server.replace(/^(tcp:\/\/|tls:\/\/)?(?:[^/]*@)?/i, '$1').replace(/\?.*$/, '')

function reasonOf(error: Error): string {
  let innermost: unknown = error
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause
  return innermost instanceof Error && innermost !== error ? `: ${innermost.message.replace(/\.$/, '')}` : ''
}
