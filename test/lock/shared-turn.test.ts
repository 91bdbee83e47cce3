import { describe, expect, it } from 'vitest'
import { World } from '../support/world.js'

const ID = 'a1b2c3d4e5f6a1b2c3d4e5f6a1'
const LOCK = `memc.sess.key.lock.${ID}`
const RECORD = `memc.sess.key.${ID}`
const PHP = { extension: 'memcached' } as const

type Processes = ReturnType<World['process']>

/** As php-memcached with its own settings: five tries with 150 ms between them, and then an error. */
async function playPhp(world: World, { wire }: Processes, holdMs: number, untilMs: number): Promise<number> {
  let turns = 0
  while (world.clock.nowMs() < untilMs) {
    for (let tries = 0; tries < 5; tries++) {
      const [added] = await wire.flight(ID, [{ op: 'add', key: LOCK, value: '1', ttlSec: 30 }])
      if (added?.status === 'ok') {
        await world.pause(holdMs)
        await wire.flight(ID, [{ op: 'set', key: RECORD, value: `n|i:${String(++turns)};`, ttlSec: 1440 }, { op: 'delete', key: LOCK }])
        // Its next request.
        await world.pause(1)
        break
      }
      await world.pause(150)
    }
  }
  return turns
}

async function playNode(world: World, { manager }: Processes, holdMs: number, untilMs: number): Promise<number> {
  let turns = 0
  const work = async (): Promise<void> => {
    while (world.clock.nowMs() < untilMs) {
      await manager.run(ID, async (session) => {
        await world.pause(holdMs)
        session.data['node'] = ++turns
      })
    }
  }
  await Promise.all([work(), work(), work()])
  return turns
}

describe('a session that strangers use as well', () => {
  it.each([5, 25, 100])('each side has its turns, with endless local waiters and holds of %i ms', async (holdMs) => {
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
