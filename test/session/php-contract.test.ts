import { SessionStore } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { codeOf, World } from '../support/world.js'

/** Each row of facts/php-contract.md, as docs/reference/php-contract.md lists them. The names are quoted there. */

const LOCK = 'sess:sid-lck'

function setUp(): { world: World; store: SessionStore; other: SessionStore } {
  const world = new World()
  const { manager } = world.process()
  return { world, store: manager.store(), other: world.process().manager.store() }
}

async function stored(data = 'base'): Promise<ReturnType<typeof setUp>> {
  const all = setUp()
  await all.other.read('sid')
  await all.other.write('sid', data)
  await all.other.close()
  await all.other.open()
  return all
}

describe('the calls of PHP and their hooks, in order', () => {
  it('start, no id: open, createSid, read', async () => {
    const { store, world } = setUp()
    expect(await store.open('', 'PHPSESSID')).toBe(true)
    const sid = store.createSid()
    expect(sid).toMatch(/^[0-9a-v]{32}$/)
    expect(await store.read(sid)).toBe('')
    expect(await world.get(`sess:${sid}-lck`)).toBeDefined()
  })

  it('start, id: open, read', async () => {
    const { store } = await stored()
    await store.open()
    expect(await store.read('sid')).toBe('base')
  })

  it('start, id, strict: validateId true keeps the lock, and read answers from it without a flight', async () => {
    const world = new World()
    const { manager, wire } = world.process()
    await manager.run('sid', (session) => {
      session.data['a'] = 1
    })
    const store = manager.store()
    expect(await store.validateId('sid')).toBe(true)
    const flights = wire.flights.length
    expect(await store.read('sid')).toBe('{"a":1}')
    expect(wire.flights.length).toBe(flights)
  })

  it('start, id, strict: validateId false leaves nothing locked, createSid, read', async () => {
    const { store, world } = setUp()
    expect(await store.validateId('sid')).toBe(false)
    expect(await world.get(LOCK)).toBeUndefined()
    expect(await store.read(store.createSid())).toBe('')
  })

  it('start, id, strict: an id that no key can be made of does not exist', async () => {
    const { store } = setUp()
    for (const id of ['', 'a b', 'x-lck', 'x-line', 'é', 'a\nb', 'y'.repeat(300)]) {
      expect(await store.validateId(id)).toBe(false)
    }
  })

  it('write_close: write, close', async () => {
    const { store, world } = setUp()
    await store.read('sid')
    expect(await store.write('sid', 'data')).toBe(true)
    expect(await store.close()).toBe(true)
    expect(await world.get('sess:sid')).toBe('data')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('write_close, same bytes: updateTimestamp prolongs the record and writes nothing', async () => {
    const { store, world } = await stored()
    await world.clock.advance(1_400_000)
    await store.read('sid')
    expect(await store.updateTimestamp('sid', 'base')).toBe(true)
    await store.close()
    await world.clock.advance(1_400_000)
    expect(await world.get('sess:sid')).toBe('base')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('updateTimestamp of a session that was never stored stores nothing', async () => {
    const { store, world } = setUp()
    await store.read('sid')
    expect(await store.updateTimestamp('sid', '')).toBe(true)
    expect(await world.get('sess:sid')).toBeUndefined()
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('read_and_close: open, read, close', async () => {
    const { store, world } = await stored()
    expect(await store.read('sid')).toBe('base')
    expect(await store.close()).toBe(true)
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('abort: close, and what was read stays', async () => {
    const { store, world } = await stored()
    await store.read('sid')
    await store.close()
    expect(await world.get('sess:sid')).toBe('base')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('reset: open, read again under the same lock', async () => {
    const { store, world } = await stored()
    await store.read('sid')
    await store.save('sid', 'saved')
    const lock = await world.get(LOCK)
    await store.open()
    expect(await store.read('sid')).toBe('saved')
    expect(await world.get(LOCK)).toBe(lock)
    await store.write('sid', 'after reset')
    expect(await world.get('sess:sid')).toBe('after reset')
  })

  it('regenerate(false): write(old), close, open, createSid, validateId, read(new)', async () => {
    const { store, world } = await stored()
    await store.read('sid')
    await store.write('sid', 'old stays')
    await store.close()
    await store.open()
    const sid = store.createSid()
    expect(await store.validateId(sid)).toBe(false)
    expect(await store.read(sid)).toBe('')
    await store.write(sid, 'new')
    expect(await world.get('sess:sid')).toBe('old stays')
    expect(await world.get(`sess:${sid}`)).toBe('new')
  })

  it('regenerate(true): destroy(old), close, open, createSid, read(new)', async () => {
    const { store, world } = await stored()
    await store.read('sid')
    expect(await store.destroy('sid')).toBe(true)
    await store.close()
    await store.open()
    const sid = store.createSid()
    await store.read(sid)
    await store.write(sid, 'new')
    expect(await world.get('sess:sid')).toBe('')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('strict regenerate: validateId true on a taken id, again on another, and only the last stays locked', async () => {
    const { store, world } = await stored()
    expect(await store.validateId('sid')).toBe(true)
    expect(await store.validateId('other')).toBe(false)
    expect(await world.get(LOCK)).toBeUndefined()
    expect(await store.read('other')).toBe('')
  })

  it('destroy: destroy, close', async () => {
    const { store, world, other } = await stored()
    await store.read('sid')
    expect(await store.destroy('sid')).toBe(true)
    expect(await store.close()).toBe(true)
    expect(await world.get(LOCK)).toBeUndefined()
    expect(await other.read('sid')).toBe('')
  })

  it('session_gc: gc counts what it removed, where the store does not expire by itself', async () => {
    const { store, world } = await stored()
    expect(await store.gc(1440)).toBe(0)
    await world.clock.advance(1_500_000)
    expect(await store.gc(1440)).toBe(1)
  })
})

describe('the rules beside the table', () => {
  it('a read is a string, empty if there is none', async () => {
    expect(await setUp().store.read('sid')).toBe('')
  })

  it('a failed read starts nothing: nothing is locked and nothing can be written', async () => {
    const { store, world } = setUp()
    await world.server.flight('', [{ op: 'set', key: 'sess:sid', value: Buffer.from([0xff, 0xfe]), ttlSec: 60 }])
    expect(await codeOf(store.read('sid'))).toBe('LATCHKEY_UNDECODABLE')
    expect(await world.get(LOCK)).toBeUndefined()
    expect(await codeOf(store.write('sid', 'over it'))).toBe('LATCHKEY_MISUSE')
  })

  it('after a failed write close still runs, and frees the lock', async () => {
    const { store, world } = setUp()
    await store.read('sid')
    expect(await codeOf(store.write('sid', 'x'.repeat(2 << 20)))).toBe('LATCHKEY_RECORD_TOO_LARGE')
    expect(await store.close()).toBe(true)
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('destroy succeeds on a missing id, with the lock and without', async () => {
    const { store, other } = setUp()
    expect(await store.destroy('nobody')).toBe(true)
    await other.read('sid')
    expect(await other.destroy('sid')).toBe(true)
  })

  it('a second start while one is active is refused', async () => {
    const { store } = setUp()
    await store.read('sid')
    expect(await codeOf(store.read('other'))).toBe('LATCHKEY_MISUSE')
    expect(await codeOf(store.validateId('other'))).toBe('LATCHKEY_MISUSE')
  })

  it('createSid writes nothing', async () => {
    const world = new World()
    const { manager, wire } = world.process()
    const sids = new Set(Array.from({ length: 1000 }, () => manager.store().createSid()))
    expect(sids.size).toBe(1000)
    expect(wire.flights).toEqual([])
  })

  it('the lock is private: two stores of one process wait for each other', async () => {
    const world = new World()
    const { manager } = world.process()
    const one = manager.store()
    const two = manager.store()
    await one.read('sid')
    let second: string | undefined
    const reading = two.read('sid').then((data) => (second = data))
    await world.clock.advance(100)
    expect(second).toBeUndefined()
    await one.write('sid', 'one')
    await world.until(reading)
    expect(second).toBe('one')
  })

  it('a record of no bytes is a new session', async () => {
    const { store, other } = setUp()
    await other.read('sid')
    await other.write('sid', '')
    expect(await store.read('sid')).toBe('')
    await store.write('sid', 'begun')
  })
})

describe('misuse is a typed error', () => {
  it('use before open and after close', async () => {
    const store = new SessionStore()
    expect(await codeOf(store.read('sid'))).toBe('LATCHKEY_MISUSE')
    await store.open('memory:', 'PHPSESSID')
    expect(await store.read('standalone')).toBe('')
    await store.close()
    expect(await codeOf(store.read('sid'))).toBe('LATCHKEY_MISUSE')
  })

  it('what open() has made for a save path is closed by closeAll(), and made anew by the next open()', async () => {
    const [store, late] = [new SessionStore(), new SessionStore()]
    for (const one of [store, late]) await one.open('memory:')
    await store.read('standalone')
    await SessionStore.closeAll({ graceMs: 0 })
    expect(await codeOf(store.write('standalone', 'x'))).toBe('LATCHKEY_CLOSED')
    expect(await codeOf(late.read('standalone'))).toBe('LATCHKEY_CLOSED')
    await late.open('memory:')
    expect(await late.read('standalone')).toBe('')
    await SessionStore.closeAll({ graceMs: 0 })
  })

  it('an id can be had before open(), which makes nothing', () => {
    expect(new SessionStore().createSid()).toMatch(/^[0-9a-v]{32}$/)
  })

  it('a write before a read, or of another session', async () => {
    const { store } = setUp()
    expect(await codeOf(store.write('sid', 'x'))).toBe('LATCHKEY_MISUSE')
    await store.read('sid')
    expect(await codeOf(store.write('other', 'x'))).toBe('LATCHKEY_MISUSE')
  })

  it('anything but close after a write', async () => {
    const { store } = setUp()
    await store.read('sid')
    await store.write('sid', 'x')
    expect(await codeOf(store.write('sid', 'y'))).toBe('LATCHKEY_MISUSE')
    expect(await codeOf(store.read('sid'))).toBe('LATCHKEY_MISUSE')
    expect(await store.close()).toBe(true)
  })

  it('two calls at once', async () => {
    const { store } = setUp()
    const first = store.read('sid')
    expect(await codeOf(store.read('sid'))).toBe('LATCHKEY_MISUSE')
    await first
  })

  it('a lazy write of other data than was read', async () => {
    const { store } = await stored()
    await store.read('sid')
    expect(await codeOf(store.updateTimestamp('sid', 'changed'))).toBe('LATCHKEY_MISUSE')
  })

  it('a store closed while it waits keeps nothing', async () => {
    const { store, other, world } = setUp()
    await other.read('sid')
    const reading = codeOf(store.read('sid'))
    await world.clock.advance(10)
    await store.close()
    await other.close()
    expect(await world.until(reading)).toBe('LATCHKEY_MISUSE')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('a SessionStore given to express-session as its store', async () => {
    const { default: session } = await import('express-session')
    const { store } = setUp()
    const misplaced: unknown = store
    expect(() => {
      Reflect.apply(session, undefined, [{ store: misplaced, secret: 's', resave: false, saveUninitialized: false }])
    }).toThrow(/latchkey\(\{ manager/)
  })
})

describe('ids are checked before anything is sent', () => {
  it.each([
    ['empty', ''],
    ['over length, measured on the lock key', 'x'.repeat(242)],
    ['a space', 'a b'],
    ['a line break', 'a\r\nset x 0 0 1'],
    ['a control character', 'a\u0000b'],
    ['not ASCII', 'sïd'],
    ['a lock', 'victim-lck'],
    ['a line', 'victim-line'],
  ])('%s', async (_what, id) => {
    const { manager, wire } = new World().process()
    expect(await codeOf(manager.store().read(id))).toBe('LATCHKEY_INVALID_ID')
    expect(await codeOf(manager.store().destroy(id))).toBe('LATCHKEY_INVALID_ID')
    expect(await codeOf(manager.peek(id))).toBe('LATCHKEY_INVALID_ID')
    expect(wire.flights).toEqual([])
  })

  it('the longest id that fits works', async () => {
    const { store } = setUp()
    const id = 'x'.repeat(250 - 'sess:'.length - '-line'.length)
    expect(await store.read(id)).toBe('')
    expect(await store.write(id, 'data')).toBe(true)
  })
})
