import { describe, expect, it } from 'vitest'
import { codeOf, World } from '../support/world.js'

/** How long a record lives is a part of it: nobody changes it who does not hold the record as it is. */

const RECORD = 'sess:sid'
const LOCK = 'sess:sid-lck'
const MONTH_SEC = 30 * 86_400

async function seeded(lifetimeSec = 1440): Promise<World> {
  const world = new World()
  const store = world.process().manager.store()
  await store.read('sid')
  await store.write('sid', 'base', { lifetimeSec })
  return world
}

const livesFor = async (world: World, sec: number): Promise<boolean> => {
  await world.clock.advance(sec * 1000)
  return (await world.get(RECORD)) !== undefined
}

describe('a request that changed nothing', () => {
  it('costs two flights and four commands, and prolongs by the version that it has read', async () => {
    const world = await seeded(60)
    const { manager, wire } = world.process({ lifetimeSec: 600 })
    const store = manager.store()
    await store.read('sid')
    await store.updateTimestamp('sid', 'base')
    expect(wire.flights.map((flight) => flight.map(({ op, key }) => `${op} ${key}`))).toEqual([
      [`add ${LOCK}`, `get ${RECORD}`],
      [`cas ${RECORD}`, `cad ${LOCK}`],
    ])
    expect(await livesFor(world, 590)).toBe(true)
    expect(await livesFor(world, 20)).toBe(false)
  })

  it('does not shorten what another has stored since its lock was lost', async () => {
    const world = await seeded()
    const slow = world.process().manager.store()
    await slow.read('sid')
    await world.evict(LOCK)
    const login = world.process().manager.store()
    await login.read('sid')
    await login.write('sid', 'ada', { lifetimeSec: MONTH_SEC })
    expect(await codeOf(slow.updateTimestamp('sid', 'base', { lifetimeSec: 2 }))).toBe('LATCHKEY_FENCED')
    expect(await livesFor(world, MONTH_SEC - 60)).toBe(true)
    expect(await world.get(RECORD)).toBe('ada')
  })

  it('does not prolong the copy that a regenerated session left behind', async () => {
    const world = await seeded()
    const slow = world.process().manager.store()
    await slow.read('sid')
    await world.evict(LOCK)
    const login = world.process().manager.store()
    await login.read('sid')
    await login.retire('sid', 10)
    expect(await codeOf(slow.updateTimestamp('sid', 'base'))).toBe('LATCHKEY_FENCED')
    expect(await livesFor(world, 11)).toBe(false)
  })

  it('leaves a tombstone its time, also under its own lock', async () => {
    const world = await seeded()
    const slow = world.process().manager.store()
    await slow.read('sid')
    await world.process().manager.store().destroy('sid')
    expect(await codeOf(slow.updateTimestamp('sid', 'base', { lifetimeSec: 2 }))).toBe('LATCHKEY_SESSION_GONE')
    expect(await livesFor(world, 100)).toBe(true)
  })

  it('and whose prolonging is carried out seconds later changes nothing any more', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    const slow = manager.store()
    await slow.read('sid')
    wire.failNext({ kind: 'zombie', laterMs: 3000 }, 'cas', 'sid')
    await slow.updateTimestamp('sid', 'base', { lifetimeSec: 2 })
    const login = world.process().manager.store()
    await login.read('sid')
    await login.write('sid', 'ada', { lifetimeSec: 600 })
    expect(await livesFor(world, 500)).toBe(true)
  })

  it.each(['lost-reply', 'lost-request'] as const)('is resolved by reading like a write: %s', async (kind) => {
    const world = await seeded(60)
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind }, 'cas', 'sid')
    expect(await store.updateTimestamp('sid', 'base', { lifetimeSec: 600 })).toBe(true)
    expect(await world.get(LOCK)).toBeUndefined()
    expect(await livesFor(world, 590)).toBe(true)
  })

  it('hands the session on with the version that its prolonging made', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    const first = manager.store()
    const second = manager.store()
    await first.read('sid')
    const waiting = second.read('sid')
    await first.updateTimestamp('sid', 'base')
    await waiting
    await second.write('sid', 'second')
    expect(wire.flights).toHaveLength(3)
    expect(await world.get(RECORD)).toBe('second')
  })
})
