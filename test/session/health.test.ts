import { SessionManager, type Wire } from 'latchkey'
import { afterEach, expect, it } from 'vitest'
import { LagMeter } from '../faults/lag-meter.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'
import { codeOf, World } from '../support/world.js'

const servers: MemcachedServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

async function threeServers(): Promise<{ manager: SessionManager; names: string[] }> {
  servers.push(...(await Promise.all([0, 1, 2].map(() => MemcachedServer.start()))))
  const names = servers.map(({ address }) => `tcp://${address}`)
  return { manager: new SessionManager({ savePath: names.join(',') }), names: servers.map(({ address }) => address) }
}

it('ready: each node has answered one flight; and closing, when nothing is asked', async () => {
  const { manager, names } = await threeServers()
  const health = await manager.health({ withinMs: 10_000 })
  expect(health.state).toBe('ready')
  expect(health.nodes.map(({ name }) => names.find((one) => name.includes(one)))).toEqual(names)
  expect(health.nodes.map(({ isUp, awaySinceMs, reason }) => [isUp, awaySinceMs, reason])).toEqual(names.map(() => [true, undefined, undefined]))
  expect(Object.values(manager.stats().nodes).map(({ flights }) => flights)).toEqual([1, 1, 1])
  await manager.close()
  expect(await manager.health()).toEqual({ state: 'closing', nodes: [] })
})

it.skipIf(!hasRedis)('a Redis is named by its address, as in the stats', async () => {
  await using server = await RedisProcess.start()
  const manager = new SessionManager({ savePath: server.savePath })
  const { state, nodes } = await manager.health({ withinMs: 10_000 })
  expect([state, nodes.map(({ name }) => name)]).toEqual(['ready', [server.savePath]])
  expect(Object.keys(manager.stats().nodes)).toEqual([server.savePath])
  await manager.close()
})

it('degraded: says which node is away, since when and why, whether it has ended or stands still', async () => {
  const { manager } = await threeServers()
  await servers[0]?.stop()
  await servers[1]?.pause()
  using lag = new LagMeter()
  const [beforeMs, startMs] = [Date.now(), performance.now()]
  const first = await manager.health({ withinMs: 200 })
  const endMs = performance.now()
  expect(endMs - startMs - lag.between(startMs, endMs)).toBeLessThan(5000)
  expect(first.state).toBe('degraded')
  expect(first.nodes.map(({ isUp }) => isUp)).toEqual([false, false, true])
  expect(first.nodes.map(({ reason }) => reason)).toEqual([expect.stringContaining('ECONNREFUSED'), 'no answer within 200 ms', undefined])
  const again = await manager.health({ withinMs: 200 })
  expect(again.nodes.map(({ awaySinceMs }) => awaySinceMs)).toEqual(first.nodes.map(({ awaySinceMs }) => awaySinceMs))
  expect(first.nodes[0]?.awaySinceMs).toBeGreaterThanOrEqual(beforeMs)
  servers[1]?.resume()
  const later = await manager.health({ withinMs: 10_000 })
  expect(later.nodes[1]).toMatchObject({ isUp: true, awaySinceMs: undefined })
  await manager.close()
})

it('calls at one time share one look', async () => {
  const { manager, wire } = new World().process()
  await Promise.all([1, 2, 3].map(() => manager.health()))
  expect(wire.flights.length).toBe(1)
  await manager.health()
  expect(wire.flights.length).toBe(2)
})

it('no longer than withinMs, on a store that never answers', async () => {
  const world = new World()
  const { manager, wire } = world.process()
  wire.latencyMs = 10_000
  const startedMs = world.clock.nowMs()
  const health = await world.until(manager.health())
  expect(world.clock.nowMs() - startedMs).toBe(500)
  expect(health).toMatchObject({ state: 'degraded', nodes: [{ isUp: false, reason: 'no answer within 500 ms' }] })
})

it('a bug of a wire is no node that is away', async () => {
  const wire: Wire = { flight: () => Promise.reject(new TypeError('a bug')), maxValueBytes: () => 1, sweep: () => 0, close: () => Promise.resolve() }
  await expect(new SessionManager({ wire }).health()).rejects.toThrow('a bug')
})

it('memory: is always ready; bad options are refused', async () => {
  const manager = new SessionManager()
  expect(await manager.health()).toMatchObject({ state: 'ready', nodes: [{ name: 'memory', isUp: true }] })
  for (const withinMs of [0, NaN, 100_000]) expect(await codeOf(manager.health({ withinMs }))).toBe('LATCHKEY_INVALID_OPTION')
  expect(await codeOf(manager.health(Object.fromEntries([['within', 5]])))).toBe('LATCHKEY_INVALID_OPTION')
})
