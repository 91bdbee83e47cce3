import { describe, expect, it } from 'vitest'
import { codeOf, World } from '../support/world.js'

const RECORD = 'sess:sid'
const LOCK = 'sess:sid-lck'

async function seeded(text = 'base'): Promise<World> {
  const world = new World()
  const store = world.process().manager.store()
  await store.read('sid')
  await store.write('sid', text)
  return world
}

describe('a reply that was not seen is resolved by reading, never by guessing', () => {
  it('a commit that was carried out is acknowledged', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind: 'lost-reply' }, 'cas', 'sid')
    expect(await store.write('sid', 'mine')).toBe(true)
    expect(await world.get(RECORD)).toBe('mine')
  })

  it('a commit that was not carried out is sent again under the same version, once', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind: 'lost-request' }, 'cas', 'sid')
    expect(await store.write('sid', 'mine')).toBe(true)
    expect(await world.get(RECORD)).toBe('mine')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('a commit that is carried out seconds later changes nothing any more', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind: 'zombie', laterMs: 3000 }, 'cas', 'sid')
    await store.write('sid', 'mine')
    const next = world.process().manager.store()
    await next.read('sid')
    await next.write('sid', 'next')
    await world.clock.advance(4000)
    expect(await world.get(RECORD)).toBe('next')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('two identical writes are told apart: only the one that is stored is acknowledged', async () => {
    const world = await seeded('5')
    const one = world.process()
    const other = world.process()
    const first = one.manager.store()
    const second = other.manager.store()
    await first.read('sid')
    await world.evict(LOCK)
    await second.read('sid')
    await first.write('sid', '6')
    other.wire.failNext({ kind: 'lost-reply' }, 'cas', 'sid')
    // The bytes are what it wanted to write; the stamp says that they are not its own. Its lock is gone with the flight.
    expect(await codeOf(second.write('sid', '6'))).toBe('LATCHKEY_OUTCOME_UNKNOWN')
  })

  it('when nothing answers, the outcome is unknown and the error says so', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind: 'lost-request' }, 'cas', 'sid')
    wire.failNext({ kind: 'lost-request' }, 'get', 'sid')
    expect(await codeOf(store.write('sid', 'mine'))).toBe('LATCHKEY_OUTCOME_UNKNOWN')
  })

  it('what was never sent is an unavailable server, not an unknown outcome', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind: 'not-sent' }, 'cas', 'sid')
    expect(await codeOf(store.write('sid', 'mine'))).toBe('LATCHKEY_SERVER_UNAVAILABLE')
    expect(await world.get(RECORD)).toBe('base')
  })

  it('an add that is carried out late leaves a lock that nobody holds: it is swept', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    wire.failNext({ kind: 'zombie', laterMs: 300 }, 'add', LOCK)
    const store = manager.store()
    // The retry gets the lock; the late add then finds it taken, or free again.
    await store.read('sid')
    await store.close()
    await world.clock.advance(400)
    expect(await world.get(LOCK)).toBeDefined()
    await world.clock.advance(1500)
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('an add whose reply was lost is taken over by the next poll of the same process, not waited for', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    wire.failNext({ kind: 'lost-reply' }, 'add', LOCK)
    const store = manager.store()
    const reading = store.read('sid')
    expect(await world.until(reading)).toBe('base')
    expect(world.clock.nowMs()).toBeLessThan(50)
    await store.write('sid', 'mine')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('a release whose request was lost is swept', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind: 'lost-request' }, 'cad', LOCK)
    wire.failNext({ kind: 'lost-request' }, 'get', LOCK)
    await store.close()
    expect(await world.get(LOCK)).toBeDefined()
    await world.clock.advance(1200)
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('an orphan that no connection may take over is waited for, and nobody is kept beyond the deadline for it', async () => {
    const world = await seeded()
    const { manager, wire } = world.process({ waitMs: 0 })
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind: 'lost-request' }, 'cad', LOCK)
    wire.failNext({ kind: 'lost-request' }, 'get', LOCK)
    await store.close()
    wire.latencyMs = 600
    for (let count = 0; count < 3; count++) wire.failNext({ kind: 'untrusted' }, 'cas', LOCK)
    const startedMs = world.clock.nowMs()
    expect(await world.until(codeOf(manager.store().read('sid')))).toBe('LATCHKEY_LOCK_TIMEOUT')
    expect(world.clock.nowMs() - startedMs).toBeLessThan(3000)
  })

  it('an orphan that a younger connection could not take over is taken over at the next attempt, at once', async () => {
    const world = await seeded()
    const { manager, wire } = world.process({ waitMs: 0 })
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind: 'lost-request' }, 'cad', LOCK)
    wire.failNext({ kind: 'lost-request' }, 'get', LOCK)
    await store.close()
    wire.failNext({ kind: 'untrusted' }, 'cas', LOCK)
    expect(await manager.store().read('sid')).toBe('base')
  })

  it('a CAS that is older than the connection is read anew before it is used', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind: 'untrusted' }, 'cas', 'sid')
    await store.write('sid', 'mine')
    expect(await world.get(RECORD)).toBe('mine')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('a CAS that is older than the connection, of a lock that is no longer ours, is never used', async () => {
    const world = await seeded()
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    await world.evict(LOCK)
    wire.failNext({ kind: 'untrusted' }, 'cas', 'sid')
    expect(await codeOf(store.write('sid', 'mine'))).toBe('LATCHKEY_LOCK_LOST')
    expect(await world.get(RECORD)).toBe('base')
  })

  it('a renewal whose reply was lost keeps the lock, and the commit still frees it', async () => {
    const world = await seeded()
    const { manager, wire } = world.process({ leaseSec: 3 })
    const store = manager.store()
    await store.read('sid')
    wire.failNext({ kind: 'lost-reply' }, 'cas', LOCK)
    await world.clock.advance(1300)
    await store.write('sid', 'mine')
    expect(manager.stats().lost).toBe(0)
    await world.clock.advance(1500)
    expect(await world.get(LOCK)).toBeUndefined()
  })
})
