import { describe, expect, it } from 'vitest'
import { codeOf, World } from '../support/world.js'

const RECORD = 'sess:sid'
const LOCK = 'sess:sid-lck'

describe('one lock: its cost, its fence, its lease', () => {
  it('costs two flights and four commands when nobody else is there', async () => {
    const { manager, wire } = new World().process()
    const store = manager.store()
    await store.read('sid')
    await store.write('sid', 'data')
    await store.close()
    expect(wire.flights.map((flight) => flight.map((command) => `${command.op} ${command.key}`))).toEqual([
      [`add ${LOCK}`, `get ${RECORD}`],
      [`add ${RECORD}`, `cad ${LOCK}`],
    ])
  })

  it('says who holds it, to whoever asks', async () => {
    const world = new World()
    const { manager } = world.process()
    const store = manager.store()
    await store.read('sid', { label: 'GET /cart' })
    const holder = await world.process().manager.holder('sid')
    expect(holder).toMatchObject({ pid: process.pid, label: 'GET /cart', sinceMs: world.clock.wallMs() })
    await store.close()
    expect(await world.process().manager.holder('sid')).toBeUndefined()
  })

  it('a holder that slept past its lease is fenced by the successor that committed, and the signal says so', async () => {
    const world = new World()
    const sleeper = world.process().manager.store()
    const successor = world.process().manager.store()
    await sleeper.read('sid')
    await world.evict(LOCK) // what its expiry amounts to while the holder is stopped
    await successor.read('sid')
    await successor.write('sid', 'successor')
    expect(await codeOf(sleeper.write('sid', 'sleeper'))).toBe('LATCHKEY_FENCED')
    expect(await world.get(RECORD)).toBe('successor')
  })

  it('of a sleeper that wakes before the successor commits and the successor, exactly one is stored', async () => {
    const world = new World()
    const seed = world.process().manager.store()
    await seed.read('sid')
    await seed.write('sid', 'base')
    const sleeper = world.process().manager.store()
    const successor = world.process().manager.store()
    await sleeper.read('sid')
    await world.evict(LOCK)
    await successor.read('sid')
    await sleeper.write('sid', 'sleeper')
    expect(await codeOf(successor.write('sid', 'successor'))).toBe('LATCHKEY_FENCED')
    expect(await world.get(RECORD)).toBe('sleeper')
    await successor.close()
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('a lease that ends while its renewal is under way, and is renewed, is not lost', async () => {
    const world = new World()
    const { manager, wire } = world.process({ leaseSec: 2 })
    const store = manager.store()
    await store.read('sid')
    // The renewal is sent at 0.5 s and answered at 1.2 s; the lease that was there ends at 1 s.
    wire.latencyMs = 700
    await world.clock.advance(1300)
    expect(manager.stats().lost).toBe(0)
    expect(store.isHeld).toBe(true)
    expect(await world.until(store.write('sid', 'kept'))).toBe(true)
  })

  it('letting go is no error when the renewal under way finds that the lock is gone', async () => {
    const world = new World()
    const { manager, wire } = world.process({ leaseSec: 2 })
    const store = manager.store()
    await store.read('sid')
    wire.latencyMs = 200
    await world.clock.advance(550)
    await world.evict(LOCK)
    const closing = store.close()
    expect(await world.until(closing)).toBe(true)
    expect(manager.stats().lost).toBe(1)
  })

  it('a destroy that was carried out has not failed when a renewal finds afterwards that the lock was gone', async () => {
    const world = new World()
    const { manager, wire } = world.process({ leaseSec: 2, deadlineMs: 3000 })
    await manager.run('sid', (session) => void (session.data['n'] = 1))
    const session = await manager.start('sid')
    // The renewal of 0.5 s is not answered in its second, and what is sent to find out arrives at 1.6 s.
    wire.latencyMs = 800
    wire.failNext({ kind: 'lost-request' }, 'cas', LOCK)
    await world.clock.advance(1010)
    await world.evict(LOCK)
    wire.latencyMs = 100
    expect(session.isHeld).toBe(false)
    await world.until(session.destroy())
    expect(await world.get(RECORD)).toBe('')
  })

  it('never frees a successor that took the lock meanwhile', async () => {
    const world = new World()
    const sleeper = world.process().manager.store()
    const successor = world.process().manager.store()
    await sleeper.read('sid')
    await world.evict(LOCK)
    await successor.read('sid')
    const before = await world.get(LOCK)
    await sleeper.close()
    expect(await world.get(LOCK)).toBe(before)
  })

  it('is renewed for as long as it is held, and dies with its holder', async () => {
    const world = new World()
    const { manager } = world.process({ leaseSec: 3 })
    const store = manager.store()
    await store.read('sid')
    await world.clock.advance(30_000)
    expect(store.isHeld).toBe(true)
    expect(await world.get(LOCK)).toBeDefined()
    expect(await store.write('sid', 'late')).toBe(true)
  })

  it('aborts the signal within a renewal when the lock was evicted, and refuses the write', async () => {
    const world = new World()
    const { manager } = world.process()
    const lost: unknown[] = []
    manager.on('lost', (event) => lost.push(event.reason))
    const store = manager.store()
    await store.read('sid')
    const { signal } = store
    await world.evict(LOCK)
    await world.clock.advance(5100)
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toMatchObject({ code: 'LATCHKEY_LOCK_LOST' })
    expect(lost).toEqual(['taken'])
    expect(await codeOf(store.write('sid', 'x'))).toBe('LATCHKEY_LOCK_LOST')
    expect(await store.close()).toBe(true)
  })

  it('is taken from a holder after maxHoldMs, and the next one gets it', async () => {
    const world = new World()
    const { manager } = world.process({ maxHoldMs: 1000 })
    const hog = manager.store()
    const next = manager.store()
    await hog.read('sid')
    const waiting = next.read('sid')
    await world.until(waiting)
    expect(world.clock.nowMs()).toBeLessThan(1100)
    expect(await codeOf(hog.write('sid', 'hog'))).toBe('LATCHKEY_HELD_TOO_LONG')
    await next.write('sid', 'next')
    expect(await world.get(RECORD)).toBe('next')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('a stored write whose lock was gone is acknowledged, and the loss is an event', async () => {
    const world = new World()
    const { manager } = world.process()
    const lost: unknown[] = []
    manager.on('lost', (event) => lost.push(event.reason))
    const store = manager.store()
    await store.read('sid')
    await world.evict(LOCK)
    expect(await store.write('sid', 'x')).toBe(true)
    expect(lost).toEqual(['taken'])
  })

  it.each(['write', 'updateTimestamp'] as const)('%s reports a record that expired while held as gone', async (hook) => {
    const world = new World()
    const { manager } = world.process()
    const seed = manager.store()
    await seed.read('sid')
    await seed.write('sid', 'base')
    const store = manager.store()
    await store.read('sid')
    await world.evict(RECORD)
    expect(await codeOf(store[hook]('sid', 'base'))).toBe('LATCHKEY_SESSION_GONE')
    expect(await world.get(RECORD)).toBeUndefined()
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('refuses an oversize record before anything is sent, with both sizes, and still holds the lock', async () => {
    const world = new World()
    const { manager, wire } = world.process()
    const store = manager.store()
    await store.read('sid')
    await store.save('sid', 'old')
    const flights = wire.flights.length
    const error: unknown = await store.write('sid', 'x'.repeat(2 << 20)).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'LATCHKEY_RECORD_TOO_LARGE', sizeBytes: 2 << 20 })
    expect(wire.flights.length).toBe(flights)
    expect(await store.write('sid', 'smaller')).toBe(true)
    expect(await world.get(RECORD)).toBe('smaller')
  })

  it('save() keeps the lock and later writes start from it', async () => {
    const world = new World()
    const { manager } = world.process()
    const store = manager.store()
    await store.read('sid')
    await store.save('sid', 'one')
    expect(await world.get(LOCK)).toBeDefined()
    await store.save('sid', 'two')
    await store.write('sid', 'three')
    expect(await world.get(RECORD)).toBe('three')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('a reload does not answer after the lock went to another while it was under way', async () => {
    const world = new World()
    const { manager, wire } = world.process({ maxHoldMs: 1000 })
    const hog = manager.store()
    const next = manager.store()
    await hog.read('sid')
    wire.latencyMs = 20
    await world.clock.advance(990)
    const reloading = codeOf(hog.read('sid'))
    await world.until(next.read('sid'))
    expect(await reloading).toBe('LATCHKEY_HELD_TOO_LONG')
  })

  it('a commit waits for a renewal under way, and neither fences the other', async () => {
    const world = new World()
    const { manager, wire } = world.process({ leaseSec: 3 })
    const store = manager.store()
    await store.read('sid')
    wire.latencyMs = 5
    await world.clock.advance(1002)
    const renewing = wire.flights.at(-1)
    expect(renewing).toMatchObject([{ op: 'cas', key: LOCK }])
    const writing = store.write('sid', 'data')
    await world.clock.advance(2)
    expect(wire.flights.at(-1)).toBe(renewing)
    await world.until(writing)
    expect(manager.stats()).toMatchObject({ lost: 0, fenced: 0 })
    expect(await world.get(LOCK)).toBeUndefined()
  })
})
