import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { latchkey, type Outcome, type Surroundings } from './tool.js'

interface TwoServers {
  readonly site: { servers: readonly MemcachedServer[]; savePath: string }
  /** A process's manager on both; closed after the test. */
  readonly manager: (options?: SessionManagerOptions) => SessionManager
  /** The tool, pointed at both. */
  readonly tool: (args: readonly string[], surroundings?: Surroundings) => Promise<Outcome>
}

/** Two real servers for a file's tests, empty before each. */
export function twoServers(): TwoServers {
  const site: TwoServers['site'] = { servers: [], savePath: '' }
  const managers: SessionManager[] = []
  beforeAll(async () => {
    site.servers = [await MemcachedServer.start(), await MemcachedServer.start()]
    site.savePath = site.servers.map(({ address }) => `tcp://${address}`).join(',')
  })
  afterAll(() => Promise.all(site.servers.map((server) => server.stop())))
  afterEach(async () => {
    await Promise.all(managers.splice(0).map((manager) => manager.close({ graceMs: 0 })))
    for (const server of site.servers) await server.commandText('flush_all')
  })
  return {
    site,
    manager: (options) => {
      const made = new SessionManager({ savePath: site.savePath, deadlineMs: 30_000, ...options })
      managers.push(made)
      return made
    },
    tool: (args, surroundings) => latchkey(args, { env: { LATCHKEY_SAVE_PATH: site.savePath }, ...surroundings }),
  }
}
