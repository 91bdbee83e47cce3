import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SessionManager } from 'latchkey'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../adapters/express/site.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { builtProgram } from '../support/programs.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SESSIONS = Array.from({ length: 8 }, (_, at) => `visitor-${String(at)}`)
const PER_SESSION = 4

let memcached: MemcachedServer
beforeAll(async () => {
  memcached = await MemcachedServer.start()
})
afterAll(() => memcached.stop())

describe('examples/sigterm', () => {
  it('is stopped under load: every change that was acknowledged is stored, no other, and no lock is left', async () => {
    const child = spawn(process.execPath, [await builtProgram(join(ROOT, 'examples/sigterm/main.ts'))], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], MEMCACHE_SERVERS: memcached.address },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
    const ended = once(child, 'close')
    try {
      await until(() => printed.includes('\n'), 15_000)
      const load = new Load(printed.trim())
      const clients = SESSIONS.flatMap((id) => Array.from({ length: PER_SESSION }, () => load.ask(id)))
      await until(() => load.acknowledged > 100)
      // Those of one session wait for certain: the test holds it.
      const manager = new SessionManager({ savePath: `tcp://${memcached.address}` })
      const held = await manager.start(SESSIONS[0])
      const before = load.acknowledged
      await until(() => load.acknowledged > before + 100)
      child.kill('SIGTERM')
      await Promise.all(clients)
      await held.release()
      load.close()
      expect(await ended).toEqual([0, null])
      expect(printed).toContain('held 0, waiting 0')
      expect(load.refused).toBeGreaterThan(0)
      for (const id of SESSIONS) {
        const { count = 0 } = (await manager.peek<{ count: number }>(id)) ?? {}
        const acknowledged = load.countOf(id)
        // What was stored and whose answer was cut off may be there as well; nothing else.
        expect(count).toBeGreaterThanOrEqual(acknowledged)
        expect(count).toBeLessThanOrEqual(acknowledged + load.cutOf(id))
      }
      await manager.close()
      const keys = await keysOf(memcached)
      expect(keys).toContain('visitor-0')
      expect(keys).not.toContain('-lck')
    } finally {
      child.kill('SIGKILL')
    }
  })
})

/** All keys that the server has, by its hash table: a walk of its LRU lists can miss one. After a list it hears no `quit`. */
async function keysOf(server: MemcachedServer): Promise<string> {
  const socket = server.connect().setEncoding('latin1')
  socket.write('lru_crawler metadump hash\r\n')
  let list = ''
  for await (const chunk of socket) {
    list += String(chunk)
    if (list.endsWith('END\r\n')) break
  }
  return list
}

/** Clients that ask again as soon as they are answered, until they are refused or nobody is there. */
class Load {
  acknowledged = 0
  refused = 0
  private readonly counts = new Map<string, number>()
  private readonly cuts = new Map<string, number>()
  private readonly agent = new Agent({ keepAlive: true })

  constructor(private readonly url: string) {}

  async ask(id: string): Promise<void> {
    for (;;) {
      const status = await this.statusOf(id)
      if (status === 200) {
        this.acknowledged++
        this.counts.set(id, this.countOf(id) + 1)
        continue
      }
      if (status === 503) this.refused++
      else this.cuts.set(id, this.cutOf(id) + 1)
      return
    }
  }

  countOf(id: string): number {
    return this.counts.get(id) ?? 0
  }

  cutOf(id: string): number {
    return this.cuts.get(id) ?? 0
  }

  close(): void {
    this.agent.destroy()
  }

  private statusOf(id: string): Promise<number> {
    return new Promise((resolve) => {
      const asked = get(`${this.url}/${id}`, { agent: this.agent }, (response) => {
        response.resume().on('close', () => resolve(response.complete ? (response.statusCode ?? 0) : 0))
      })
      asked.on('error', () => resolve(0))
    })
  }
}
