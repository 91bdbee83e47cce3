import { describe, expect, it } from 'vitest'
import { rowsOf, thirdOf } from '../../support/matrix.js'
import { World } from '../../support/world.js'

const ID = 'a1b2c3d4e5f6a1b2c3d4e5f6a1'
const LOCK = `memc.sess.key.lock.${ID}`
const LINE = `memc.sess.key.${ID}<line`
const RECORD = `memc.sess.key.${ID}`
const PHP = { extension: 'memcached' } as const

type Processes = ReturnType<World['process']>

/** How PHP waits: by php.ini's own settings an error after five tries. */
const RETRIES = {
  default: { waitMs: 150, mostMs: 150, tries: 5 },
  short: { waitMs: 2, mostMs: 20, tries: 1000 },
} as const

/** As php-memcached does it. */
async function playPhp(world: World, { wire }: Processes, holdMs: number, untilMs: number, retry: keyof typeof RETRIES = 'default'): Promise<number> {
  const { waitMs, mostMs, tries: most } = RETRIES[retry]
  let turns = 0
  while (world.clock.nowMs() < untilMs) {
    let pauseMs: number = waitMs
    for (let tries = 0; tries < most; tries++) {
      const [added] = await wire.flight(ID, [{ op: 'add', key: LOCK, value: '1', ttlSec: 30 }])
      if (added?.status === 'ok') {
        await world.pause(holdMs)
        await wire.flight(ID, [{ op: 'set', key: RECORD, value: `n|i:${String(++turns)};`, ttlSec: 1440 }, { op: 'delete', key: LOCK }])
        // Its next request.
        await world.pause(1)
        break
      }
      await world.pause(pauseMs)
      pauseMs = Math.min(pauseMs * 2, mostMs)
    }
  }
  return turns
}

async function playNode(world: World, { manager }: Processes, holdMs: number, untilMs: number, atOnce = 3): Promise<number> {
  let turns = 0
  const work = async (): Promise<void> => {
    while (world.clock.nowMs() < untilMs) {
      await manager.run(ID, async (session) => {
        await world.pause(holdMs)
        session.data['node'] = ++turns
      })
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return turns
}

describe('a session that strangers use as well', () => {
  it.each(rowsOf([25, 5, 100]))('each side has its turns, with endless local waiters and holds of %i ms', async (holdMs) => {
    const world = new World()
    const processes = [1, 2].map(() => world.process({ php: PHP }))
    const untilMs = world.clock.nowMs() + 20_000
    const php = Promise.all([1, 2].map(() => playPhp(world, world.process({ php: PHP }), holdMs, untilMs)))
    const node = Promise.all(processes.map((one) => playNode(world, one, holdMs, untilMs)))
    await world.until(Promise.all([php, node]))
    const [theirs, ours] = [await php, await node].map((counts) => counts.reduce((sum, count) => sum + count))
    expect(Math.min(theirs ?? 0, ours ?? 0) / ((theirs ?? 0) + (ours ?? 0))).toBeGreaterThan(0.25)
    // Nobody of ours goes without.
    expect(Math.min(...(await node))).toBeGreaterThan(((ours ?? 0) / 2) * 0.25)
  })

  const cases = [5, 25, 100].flatMap((holdMs) => (['default', 'short'] as const).flatMap((retry) => [1, 3].map((atOnce) => ({ holdMs, retry, atOnce }))))

  it.each(thirdOf(cases))('each side of three processes has a third of the turns at least (%j)', async ({ holdMs, retry, atOnce }) => {
    const world = new World()
    const php = { ...PHP, standBackMs: RETRIES[retry].mostMs }
    const processes = Array.from({ length: 3 }, () => world.process({ php }))
    for (const { wire } of processes) wire.latencyMs = 0.5
    const untilMs = world.clock.nowMs() + 8000
    const phps = Promise.all(processes.map(() => playPhp(world, world.process({ php }), holdMs, untilMs, retry)))
    const nodes = Promise.all(processes.map((one) => playNode(world, one, holdMs, untilMs, atOnce)))
    await world.until(Promise.all([phps, nodes]))
    const [theirs, ours] = [await phps, await nodes].map((counts) => counts.reduce((sum, count) => sum + count))
    expect(Math.min(theirs ?? 0, ours ?? 0) / ((theirs ?? 0) + (ours ?? 0))).toBeGreaterThan(1 / 3)
  })

  it('a turn of which another process has left a word is not begun anew', async () => {
    const world = new World()
    const [first, second] = [world.process({ php: PHP }), world.process({ php: PHP })]
    await world.server.flight('', [
      { op: 'add', key: LOCK, value: '1', ttlSec: 30 },
      { op: 'set', key: LINE, value: 'elsewhere.1 40 300', ttlSec: 2 },
    ])
    const turns = [first, second].map((one) => playNode(world, one, 10, world.clock.nowMs() + 200, 1))
    // Both have met the stranger. Its own record it has not written.
    await world.until(world.pause(5))
    await world.evict(LOCK)
    await world.until(world.pause(70))
    expect((await world.get(LINE))?.split(' ')[1]).toBe('0')
    expect(await world.get(LOCK)).toBeUndefined()
    await world.until(Promise.all(turns))
    // Until then nobody of ours has come back.
    expect((await Promise.all(turns)).reduce((sum, count) => sum + count)).toBeLessThanOrEqual(7)
  })

  it.each(['', 'garbage', 'x.1 -5 300', 'x.1 300', `${'x'.repeat(500)} 0 300`])('what is no word of ours beside the lock is passed over (%.20s)', async (value) => {
    const world = new World()
    const { manager } = world.process({ php: PHP })
    await world.server.flight('', [
      { op: 'add', key: LOCK, value: '1', ttlSec: 30 },
      { op: 'set', key: LINE, value, ttlSec: 2 },
    ])
    const ours = manager.run(ID, () => undefined)
    await world.until(world.pause(5))
    await world.evict(LOCK)
    await world.until(ours)
    expect(world.clock.nowMs()).toBeLessThan(20)
  })

  it('two seconds after others were met a request costs two flights of two commands again', async () => {
    const world = new World()
    const { manager, wire } = world.process({ php: PHP })
    await world.server.flight('', [{ op: 'add', key: LOCK, value: '1', ttlSec: 30 }])
    const first = manager.run(ID, () => undefined)
    await world.until(world.pause(5))
    await world.evict(LOCK)
    await world.until(first)
    await world.until(world.pause(2000))
    const before = { flights: wire.flights.length, commands: wire.commandCount }
    await world.until(manager.run(ID, (session) => void (session.data['n'] = 1)))
    expect({ flights: wire.flights.length - before.flights, commands: wire.commandCount - before.commands }).toEqual({ flights: 2, commands: 4 })
  })

  it('a long pause of the strangers is left to them, also by a request that comes in the middle of it', async () => {
    const world = new World()
    const { manager } = world.process({ php: { ...PHP, standBackMs: 5000 } })
    const turn = Promise.all([manager.run(ID, () => world.pause(400)), manager.run(ID, () => undefined)])
    await world.until(world.pause(401))
    expect(await world.get(LOCK)).toBeUndefined()
    await world.until(turn, 60_000)
    const [endMs, again] = [world.clock.nowMs(), manager.run(ID, () => world.pause(600))]
    expect(endMs).toBeGreaterThan(5000)
    await world.until(again)
    await world.until(world.pause(3000))
    await world.until(manager.run(ID, () => undefined), 60_000)
    expect(world.clock.nowMs() - endMs).toBeGreaterThan(5000)
  })

  it('where no stranger comes a turn is as long as half a second, and standing back costs a third of the time at most', async () => {
    const world = new World()
    const one = world.process({ php: PHP })
    const turns = playNode(world, one, 10, world.clock.nowMs() + 20_000)
    await world.until(turns)
    expect(await turns).toBeGreaterThan((20_000 / 12) * (2 / 3))
  })

  it('a request that is alone does not stand back', async () => {
    const world = new World()
    const { manager, wire } = world.process({ php: PHP })
    const startMs = world.clock.nowMs()
    const done = (async () => {
      for (let times = 0; times < 5; times++) await manager.run(ID, (session) => void (session.data['n'] = times))
    })()
    await world.until(done)
    expect(world.clock.nowMs() - startMs).toBeLessThan(20)
    expect(wire.flights.length).toBe(10)
  })

  it('holders of other products are told apart by their locks: one that asks again at once does not keep us out', async () => {
    const world = new World()
    const { manager } = world.process({ php: PHP })
    const { wire } = world.process({ php: PHP })
    let isOver = false
    const stranger = (async () => {
      while (!isOver) {
        await wire.flight(ID, [{ op: 'add', key: LOCK, value: '1', ttlSec: 30 }])
        await world.pause(50)
        await wire.flight(ID, [{ op: 'delete', key: LOCK }])
        await world.pause(1)
      }
    })()
    await world.until(world.pause(5))
    const startMs = world.clock.nowMs()
    const ours = manager.run(ID, () => undefined)
    await world.until(ours)
    isOver = true
    await world.until(stranger)
    expect(world.clock.nowMs() - startMs).toBeLessThan(3000)
  })
})
