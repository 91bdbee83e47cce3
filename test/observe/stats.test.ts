import { type Clock, type SlowHoldEvent, SessionManager } from 'latchkey'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hashOf } from '../../src/system/session-hash.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { codeOf, World } from '../support/world.js'

describe('stats', () => {
  let server: MemcachedServer
  beforeAll(async () => {
    server = await MemcachedServer.start()
  })
  afterAll(() => server.stop())

  it('counts for each node, and says which connections are open', async () => {
    const address = `tcp://127.0.0.1:${String(server.port)}`
    const manager = new SessionManager({ savePath: address, deadlineMs: 30_000 })
    expect(manager.stats().nodes).toEqual({
      [address]: { flights: 0, commands: 0, failed: 0, batches: 0, connectionsOpened: 0, connections: 0 },
    })
    await manager.run('an-id', (session) => {
      session.data['n'] = 1
    })
    expect(manager.stats()).toMatchObject({ acquired: 1, committed: 1, flights: 2 })
    expect(manager.stats().nodes).toEqual({
      [address]: { flights: 2, commands: 4, failed: 0, batches: 2, connectionsOpened: 1, connections: 1 },
    })
    await manager.close()
    expect(manager.stats().nodes[address]?.connections).toBe(0)
  })

  it('counts the flights of a node that had no replies', async () => {
    const hung = await MemcachedServer.start()
    const address = `tcp://127.0.0.1:${String(hung.port)}`
    const manager = new SessionManager({ savePath: address, deadlineMs: 2_000 })
    const session = await manager.start('an-id')
    await hung.pause()
    session.data['n'] = 1
    expect(await codeOf(session.release())).toBe('LATCHKEY_OUTCOME_UNKNOWN')
    const { flights = 0, failed: unanswered = 0 } = manager.stats().nodes[address] ?? {}
    // All but the acquisition.
    expect([flights > 1, flights - unanswered]).toEqual([true, 1])
    hung.resume()
    await hung.stop()
    expect(await codeOf(manager.start('an-id'))).toBe('LATCHKEY_SERVER_UNAVAILABLE')
    expect(manager.stats().nodes[address]?.failed).toBeGreaterThan(unanswered)
    expect(manager.stats().nodes[address]?.connections).toBe(0)
    await manager.close()
  })

  it('has no nodes where the store is in this process', async () => {
    const manager = new SessionManager()
    expect(manager.stats().nodes).toEqual({})
    await manager.close()
  })

  it('knows the longest wait: of those that wait now, and of those that have waited', async () => {
    const world = new World()
    const { manager } = world.process({ waitMs: 1000 })
    const held = await world.until(manager.start('an-id'))
    expect(manager.stats().longestWaitMs).toBe(0)
    const waiting = codeOf(manager.start('an-id'))
    await world.until(world.pause(400))
    expect(manager.stats()).toMatchObject({ waiting: 1, longestWaitMs: 400 })
    await world.until(waiting)
    expect(manager.stats()).toMatchObject({ waiting: 0, longestWaitMs: 1000, timeouts: 1 })
    const next = manager.start('an-id')
    await world.until(world.pause(10))
    await world.until(held.release())
    await world.until((await world.until(next)).release())
    expect(manager.stats().longestWaitMs).toBe(1000)
  })
})

describe('a session that is held for longer than slowHoldMs', () => {
  function watched(slowHoldMs?: number) {
    const world = new World()
    const { manager } = world.process(slowHoldMs === undefined ? {} : { slowHoldMs })
    const slow: SlowHoldEvent[] = []
    manager.on('slow', (event) => slow.push(event))
    const hold = async (id: string, label: string | undefined, ms: number): Promise<void> => {
      const session = await world.until(manager.start(id, label === undefined ? {} : { label }))
      await world.until(world.pause(ms))
      await world.until(session.release())
    }
    return { world, manager, slow, hold }
  }

  it('is reported with its label while it is still held', async () => {
    const { world, manager, slow } = watched(700)
    const session = await world.until(manager.start('an-id', { label: 'GET /report' }))
    await world.until(world.pause(699))
    expect(slow).toEqual([])
    await world.until(world.pause(2))
    expect(slow).toEqual([{ session: hashOf('an-id'), label: 'GET /report', heldMs: 700 }])
    await world.until(session.release())
  })

  it('is reported once for each label, however often and however long', async () => {
    const { slow, hold } = watched(100)
    for (const label of ['a', 'a', 'b', undefined, 'b', undefined]) await hold('an-id', label, 9000)
    expect(slow.map(({ label }) => label)).toEqual(['a', 'b', undefined])
  })

  it('is still renewed in time', async () => {
    const { world, manager, slow } = watched(4000)
    const session = await world.until(manager.start('an-id'))
    await world.until(world.pause(4500))
    // Not earlier either: the report is no renewal.
    expect([slow.length, manager.stats().flights]).toEqual([1, 1])
    for (let second = 0; second < 40; second++) await world.until(world.pause(1000))
    expect(session.signal.aborted).toBe(false)
    session.data['n'] = 1
    await world.until(session.release())
    expect(slow).toHaveLength(1)
    expect(manager.stats()).toMatchObject({ committed: 1, lost: 0 })
  })

  it('is reported at its end if the process was busy all the while', async () => {
    const world = new World()
    let lateMs = 0
    const clock: Clock = {
      nowMs: () => world.clock.nowMs() + lateMs,
      wallMs: () => world.clock.wallMs(),
      setTimer: (fn, delayMs) => world.clock.setTimer(fn, delayMs),
    }
    const { manager } = world.process({ slowHoldMs: 700, clock })
    const slow: SlowHoldEvent[] = []
    manager.on('slow', (event) => slow.push(event))
    const session = await world.until(manager.start('an-id', { label: 'GET /report' }))
    lateMs = 2000
    await world.until(session.release())
    expect(slow).toMatchObject([{ label: 'GET /report', heldMs: 2000 }])
  })

  it('is reported after 5 seconds unless it is said otherwise, and with 0 never', async () => {
    const usual = watched()
    await usual.hold('an-id', 'short', 4900)
    await usual.hold('an-id', 'long', 5100)
    expect(usual.slow).toMatchObject([{ label: 'long', heldMs: 5000 }])
    const never = watched(0)
    await never.hold('an-id', 'long', 50_000)
    expect(never.slow).toEqual([])
  })

  it('does not fill the memory where every request has a label of its own', async () => {
    const { slow, hold } = watched(1)
    for (let index = 0; index < 1001; index++) await hold('an-id', `GET /${String(index)}`, 3)
    for (const recent of [1, 500, 1000]) await hold('an-id', `GET /${String(recent)}`, 3)
    expect(slow).toHaveLength(1001)
    await hold('an-id', 'GET /0', 3)
    expect(slow).toHaveLength(1002)
  })
})
