import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { SessionEngine } from '../../src/session/session-engine.js'
import type { ReplicaNodes } from '../../src/wire/replica-nodes.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { bringToAll } from '../support/bring-to-all.js'
import { repairUnwatched } from '../support/repair-unwatched.js'
import { jsonOf, latchkey, type Outcome, type Surroundings } from './tool.js'

interface Counter {
  n: number
}

const servers: MemcachedServer[] = []
const managers: SessionManager[] = []
let savePath = ''

beforeAll(async () => {
  servers.push(...(await Promise.all([1, 2, 3].map(() => MemcachedServer.start()))))
  savePath = `${servers.map(({ address }) => `tcp://${address}`).join(',')}?replicas=3`
})

afterAll(() => Promise.all(servers.map((server) => server.stop())))

beforeEach(() => Promise.all(servers.map((server) => server.commandText('flush_all'))))

afterEach(() => Promise.all(managers.splice(0).map((manager) => manager.close({ graceMs: 0 }))))

const node = (index: number): MemcachedServer => {
  const server = servers[index]
  if (server === undefined) throw new Error('no such server')
  return server
}

function managerOf(options: SessionManagerOptions = {}): SessionManager {
  const manager = new SessionManager({ savePath, deadlineMs: 10_000, ...options })
  managers.push(manager)
  return manager
}

function nodesOf({ engine }: SessionManager): { readonly engine: SessionEngine; readonly replicaNodes: ReplicaNodes } {
  const { replicaNodes } = engine.wire
  if (replicaNodes === undefined) throw new Error('no replicas')
  return { engine, replicaNodes }
}

const tool = (args: readonly string[], surroundings: Surroundings = {}): Promise<Outcome> =>
  latchkey(args, { env: { LATCHKEY_SAVE_PATH: savePath }, ...surroundings })

const count = (manager: SessionManager, id: string): Promise<void> =>
  manager.run<Counter>(id, ({ data }) => {
    data.n = (data.n ?? 0) + 1
  })

const ids = Array.from({ length: 70 }, (_id, at) => `visitor${String(at)}`)

/** A node is killed and comes back, empty, and somebody has noticed it. */
async function empty(server: MemcachedServer): Promise<void> {
  await server.kill()
  await server.restart()
  await count(managerOf(), 'somebody')
  await expect.poll(() => server.commandText('get sess:-lck')).toMatch(/ emptied 3of3-/)
}

describe('latchkey repair', () => {
  it('leaves a session alone that has begun anew since the lock was lost under which its tombstone was to be stored', async () => {
    const manager = managerOf()
    await count(manager, 'ended')
    await manager.destroy('ended')
    await node(0).commandText('delete sess:ended')
    const { engine, replicaNodes } = nodesOf(managerOf())
    const look = replicaNodes.look.bind(replicaNodes)
    const looked = vi.spyOn(replicaNodes, 'look').mockImplementation(async (...asked) => {
      const sights = await look(...asked)
      // The second one is under the lock.
      if (looked.mock.calls.length === 2) {
        await Promise.all(servers.map((server) => server.commandText('delete sess:ended-lck')))
        await count(manager, 'ended')
      }
      return sights
    })
    await repairUnwatched(engine, 100)
    expect(looked.mock.calls.length).toBeGreaterThan(2)
    expect(await manager.peek('ended')).toEqual({ n: 1 })
  })

  it('a node came back empty: it is repaired; then the next, and the next, and nobody is logged out', async () => {
    const manager = managerOf()
    await Promise.all(ids.map((id) => count(manager, id)))
    await manager.destroy('visitor3')
    const token = await manager.mutex('report').run((hold) => hold.fencingToken())
    await count(manager, 'somebody')
    for (const [turn, server] of servers.entries()) {
      await empty(server)
      const before = await manager.health({ withinMs: 10_000 })
      expect(before.nodes.map(({ isEmptied }) => isEmptied)).toEqual(servers.map((one) => one === server))
      const repaired = await tool(['repair'])
      // Among them are the tombstone, the count of the named lock, and somebody.
      expect(jsonOf(repaired)).toMatchObject({ repaired: 72, same: 0, gone: 0, locked: 0, failed: 0, failures: [] })
      expect(repaired.exitCode).toBe(0)
      expect(await server.commandText('get sess:-lck')).toContain('whole')
      expect(jsonOf(await tool(['repair']))).toMatchObject({ repaired: 0, same: 72 })
      // Without another one: each session is had, what is not there is known not to be there, and new ones are begun.
      const other = node((turn + 1) % 3)
      await other.pause()
      const alone = managerOf()
      const found = await Promise.all(ids.map((id) => alone.peek<Counter>(id)))
      expect(found.map((data) => data?.n)).toEqual(ids.map((id) => (id === 'visitor3' ? undefined : 1)))
      expect(await alone.peek('nobody')).toBeUndefined()
      await count(alone, 'newcomer')
      await alone.destroy('newcomer')
      other.resume()
      for (const one of servers) await one.commandText('delete sess:newcomer')
    }
    expect(await manager.mutex('report').run((hold) => hold.fencingToken())).toBeGreaterThan(token)
  }, 60_000)

  it('a repaired session has the lifetime that it had', async () => {
    const manager = managerOf({ lifetimeSec: 500 })
    await count(manager, 'old')
    await manager.run<Counter>('short', ({ data }) => void (data.n = 1), { lifetimeSec: 40 })
    await empty(node(0))
    await tool(['repair'])
    const left = /t(\d+)/.exec(await node(0).commandText('mg sess:short t'))
    expect(Number(left?.[1])).toBeLessThanOrEqual(40)
    expect(Number(/t(\d+)/.exec(await node(0).commandText('mg sess:old t'))?.[1])).toBeGreaterThan(450)
  })

  it('a node comes back with what it had: it gets what it has missed', async () => {
    const manager = managerOf()
    await count(manager, 'known')
    await node(2).pause()
    await count(manager, 'known')
    await count(manager, 'new')
    node(2).resume()
    // What it was sent meanwhile comes late: the locks have gone on.
    await expect.poll(async () => jsonOf(await tool(['repair'])), { timeout: 30_000 }).toMatchObject({ repaired: 0, same: 2 })
    for (const id of ['known', 'new']) expect(await node(2).commandText(`get sess:${id}`)).toContain(id === 'known' ? '{"n":2}' : '{"n":1}')
  })

  it('asks a node that stands still once, and not for each portion of the sessions', async () => {
    const manager = managerOf()
    await Promise.all(ids.map((id) => count(manager, id)))
    await bringToAll(manager)
    const [still] = servers
    await still?.pause()
    try {
      const { engine, replicaNodes } = nodesOf(managerOf())
      const looked = vi.spyOn(replicaNodes, 'look')
      const { counts, nodes } = await repairUnwatched(engine, 100)
      expect([counts.same, nodes[0]?.is]).toEqual([ids.length, 'away'])
      expect(looked.mock.calls.length).toBeGreaterThan(1)
      for (const [, without] of looked.mock.calls) expect(without).toEqual([0])
    } finally {
      still?.resume()
    }
  })

  it('without one of the two others the node is not called whole', async () => {
    await count(managerOf(), 'idle')
    await empty(node(0))
    await node(1).kill()
    const { exitCode, out } = await tool(['repair'], { isRead: true })
    expect(exitCode).toBe(3)
    expect(out).toContain('came back empty, and is not whole yet')
    expect(await node(0).commandText('get sess:-lck')).toContain('emptied')
    await node(1).restart()
  })

  it('a node that is emptied again in the middle, and marked anew, is not called whole', async () => {
    const manager = managerOf()
    for (const id of ['first', 'second']) await count(manager, id)
    await empty(node(0))
    // What has been put there so far is lost again, once the lifetime of the last one is asked for.
    let asked = 0
    const leftSec = async (): Promise<number> => {
      if (++asked === 3) {
        await node(0).commandText('flush_all')
        await manager.engine.wire.replicaNodes?.states(true)
      }
      return 600
    }
    const { obstacle, nodes } = await repairUnwatched(manager.engine, leftSec)
    expect([obstacle, nodes.map(({ is }) => is)]).toEqual(['again', ['emptied', 'whole', 'whole']])
    expect(await node(0).commandText('get sess:-lck')).toContain('emptied')
    expect((await tool(['repair'])).exitCode).toBe(0)
    for (const id of ['first', 'second']) expect(await node(0).commandText(`get sess:${id}`)).toContain('{"n":1}')
  })

  it('a session that is held is waited for; one that stays held is left out, said, and repaired by its holder', async () => {
    const manager = managerOf({ leaseSec: 60, maxHoldMs: 60_000 })
    await count(manager, 'busy')
    await empty(node(0))
    const session = await manager.start<Counter>('busy')
    const held = await tool(['repair'])
    expect(jsonOf(held)).toMatchObject({ locked: 1, failures: [expect.stringContaining('LATCHKEY_LOCK_TIMEOUT')] })
    expect(held.exitCode).toBe(1)
    expect(held.out).not.toContain('busy')
    expect(await node(0).commandText('get sess:-lck')).toContain('emptied')
    session.data.n = 7
    await session.release()
    // Acknowledged by two of them; the third one can be a moment later.
    for (const server of servers) await expect.poll(() => server.commandText('get sess:busy')).toContain('{"n":7}')
    expect(jsonOf(await tool(['repair']))).toMatchObject({ same: 2, repaired: 0 })
  })

  it('beside requests, twice at once, and cut off: nothing is lost', async () => {
    const manager = managerOf()
    await Promise.all(ids.map((id) => count(manager, id)))
    await empty(node(1))
    const clicks = Promise.all(ids.map((id) => count(manager, id)))
    const interrupted = new AbortController()
    const cut = tool(['repair'], { signal: interrupted.signal })
    const whole = await Promise.all([tool(['repair']), tool(['repair'])])
    interrupted.abort()
    await clicks
    expect(whole.map(({ exitCode }) => exitCode)).toEqual([0, 0])
    expect([0, 130]).toContain((await cut).exitCode)
    await node(0).kill()
    const alone = managerOf()
    expect(await Promise.all(ids.map(async (id) => (await alone.peek<Counter>(id))?.n))).toEqual(ids.map(() => 2))
    await node(0).restart()
  })

  it('refuses what is not on several nodes, and says what a node lacks in doctor', async () => {
    const one = await tool(['repair', '--servers', node(0).address])
    expect([one.exitCode, one.err]).toEqual([5, expect.stringContaining('LATCHKEY_NOT_SUPPORTED')])
    expect((await tool(['repair', 'anything'])).exitCode).toBe(2)
    expect((await tool(['repair', '--mirror'])).err).toContain('repair has no option --mirror')
    await count(managerOf(), 'idle')
    await empty(node(0))
    const findings = async (): Promise<string> => (await tool(['doctor'])).out
    expect(await findings()).toContain('node-emptied')
    await tool(['repair'])
    expect(await findings()).not.toContain('node-emptied')
  })
})
