import { describe, expect, it } from 'vitest'
import { codeOf, World } from '../support/world.js'

/** A request that is under way keeps its session alive, and for no longer than it would at its end. */

const RECORD = 'sess:sid'
const LOCK = 'sess:sid-lck'

async function seeded(lifetimeSec: number): Promise<World> {
  const world = new World()
  const store = world.process().manager.store()
  await store.read('sid')
  await store.write('sid', 'base', { lifetimeSec })
  return world
}

describe('a record whose time runs out while it is held', () => {
  it.each(['write', 'updateTimestamp'] as const)('is there at its end: %s', async (hook) => {
    const world = await seeded(30)
    const store = world.process({ lifetimeSec: 30 }).manager.store()
    await store.read('sid')
    await world.clock.advance(55_000)
    expect(await store[hook]('sid', 'base')).toBe(true)
  })

  it.each([2, 3, 10])('of %i seconds as well', async (lifetimeSec) => {
    const world = await seeded(lifetimeSec)
    const store = world.process().manager.store()
    await store.read('sid', { lifetimeSec })
    await world.clock.advance(50_000)
    expect(await store.updateTimestamp('sid', 'base', { lifetimeSec })).toBe(true)
  })

  it("is there at the end of an application's session", async () => {
    const world = new World()
    const { manager } = world.process({ lifetimeSec: 30 })
    await manager.run('sid', (session) => void (session.data['n'] = 1))
    const session = await manager.start('sid')
    await world.clock.advance(50_000)
    await session.release()
    expect(await manager.peek('sid')).toEqual({ n: 1 })
  })

  it('lives on for no longer than was asked for, when its holder dies', async () => {
    const world = await seeded(600)
    const { manager, wire } = world.process({ lifetimeSec: 1440 })
    await manager.store().read('sid', { lifetimeSec: 20 })
    await world.clock.advance(6000)
    await wire.flight('sid', [{ op: 'get', key: RECORD }])
    for (let count = 0; count < 100; count++) wire.failNext({ kind: 'not-sent' }, 'cas')
    await world.clock.advance(21_000)
    expect(await world.get(RECORD)).toBeUndefined()
  })

  it('costs no flight of its own, and its bytes once in a third of its time', async () => {
    const world = await seeded(1440)
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    await world.clock.advance(16_000)
    expect(wire.flights.map((flight) => flight.map(({ op, key }) => `${op} ${key}`))).toEqual([
      [`add ${LOCK}`, `get ${RECORD}`],
      [`cas ${RECORD}`, `cas ${LOCK}`],
      [`cas ${LOCK}`],
      [`cas ${LOCK}`],
    ])
  })

  it('is what was stored last, for as long as it was to live then', async () => {
    const world = await seeded(1440)
    const store = world.process().manager.store()
    await store.read('sid', { lifetimeSec: 1440 })
    await store.save('sid', 'short', { lifetimeSec: 10 })
    await world.clock.advance(30_000)
    expect(await world.get(RECORD)).toBe('short')
    await world.evict(LOCK)
    await store.close()
    await world.clock.advance(11_000)
    expect(await world.get(RECORD)).toBeUndefined()
  })
})

describe('what keeps it alive is fenced', () => {
  it('what another has stored since keeps its time, and the write is refused', async () => {
    const world = await seeded(1440)
    const store = world.process().manager.store()
    await store.read('sid')
    await world.evict(LOCK)
    const login = world.process().manager.store()
    await login.read('sid')
    await login.write('sid', 'ada', { lifetimeSec: 86_400 })
    await world.clock.advance(20_000)
    expect(await codeOf(store.write('sid', 'mine'))).toBe('LATCHKEY_LOCK_LOST')
    await world.clock.advance(80_000_000)
    expect(await world.get(RECORD)).toBe('ada')
  })

  it('a tombstone stays one, and keeps its time', async () => {
    const world = await seeded(1440)
    const store = world.process().manager.store()
    await store.read('sid', { lifetimeSec: 2 })
    await world.process().manager.store().destroy('sid')
    await world.clock.advance(30_000)
    expect(await world.get(RECORD)).toBe('')
    expect(await codeOf(store.write('sid', 'mine'))).toBe('LATCHKEY_SESSION_GONE')
  })

  it.each(['lost-reply', 'lost-request'] as const)('a renewal that was not answered costs nothing: %s', async (kind) => {
    const world = await seeded(30)
    const { manager, wire } = world.process({ lifetimeSec: 30 })
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind }, 'cas', 'sid')
    wire.failNext({ kind: 'lost-request' }, 'get', 'sid')
    wire.failNext({ kind: 'lost-request' }, 'get', 'sid')
    await world.clock.advance(5100)
    expect(await store.write('sid', 'mine')).toBe(true)
    expect(await world.get(RECORD)).toBe('mine')
  })

  it.each(['its renewal', 'its end'])('one whose lock is gone prolongs as well, and fences nobody off: neither by %s', async (which) => {
    const world = await seeded(1440)
    const sleeper = world.process().manager.store()
    const { manager } = world.process()
    const [holder, next] = [manager.store(), manager.store()]
    await sleeper.read('sid')
    await world.evict(LOCK)
    await holder.read('sid')
    const waiting = next.read('sid')
    await sleeper.updateTimestamp('sid', 'base')
    if (which === 'its renewal') {
      await world.clock.advance(6000)
      expect(await holder.write('sid', 'base')).toBe(true)
    } else expect(await holder.updateTimestamp('sid', 'base')).toBe(true)
    expect(await world.until(waiting)).toBe('base')
    expect(await next.write('sid', 'next')).toBe(true)
  })

  it.each(['its renewal', 'its end'])('another whose lock is gone prolongs it for a shorter time: it lives for as long as its holder asked, by %s', async (which) => {
    const world = await seeded(1440)
    const sleeper = world.process().manager.store()
    const holder = world.process().manager.store()
    await sleeper.read('sid', { lifetimeSec: 10 })
    await world.evict(LOCK)
    await holder.read('sid', { lifetimeSec: 600 })
    await world.clock.advance(4000)
    if (which === 'its end') expect(await holder.updateTimestamp('sid', 'base', { lifetimeSec: 600 })).toBe(true)
    await world.clock.advance(50_000)
    expect(await world.get(RECORD)).toBe('base')
  })

  it('goes on after one was refused for an earlier one, carried out late, and there was no time to see that', async () => {
    const world = await seeded(10)
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid', { lifetimeSec: 10 })
    wire.latencyMs = 700
    // Sent at 3.3 s and given up at 4 s; the next one has read its version by then, and is sent at 6.3 s.
    wire.failNext({ kind: 'zombie', laterMs: 2500 }, 'cas', RECORD)
    await world.clock.advance(40_000)
    expect(await world.until(store.updateTimestamp('sid', 'base', { lifetimeSec: 10 }))).toBe(true)
  })

  it('the next one here starts from it', async () => {
    const world = await seeded(1440)
    const { manager } = world.process()
    const first = manager.store()
    const second = manager.store()
    await first.read('sid')
    const waiting = second.read('sid')
    await world.clock.advance(6000)
    await first.close()
    expect(await world.until(waiting)).toBe('base')
    expect(await second.write('sid', 'second')).toBe(true)
  })
})
