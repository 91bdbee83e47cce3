/** Encryption and compression under everything that reads and writes sessions. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { MemcachedServer } from '../support/memcached-server.js'
import { codeOf, World } from '../support/world.js'
import { NEW, OLD } from '../session/records/kit.js'

interface Data {
  n: number
  user: string
  text: string
}

const encrypted: SessionManagerOptions = { encryption: { keys: [NEW] }, compression: { aboveBytes: 500 } }
const increment = (session: { data: Partial<Data> }): void => {
  session.data.n = (session.data.n ?? 0) + 1
}

/** The record's bytes; and what puts them there. */
const recordOf = async (world: World, key = 'sess:sid'): Promise<Buffer> => {
  const [reply] = await world.server.flight('', [{ op: 'get', key }])
  if (reply?.value === undefined) throw new Error('there is no record')
  return Buffer.from(reply.value)
}
const put = async (world: World, value: Buffer, key = 'sess:sid'): Promise<void> => {
  await world.server.flight('', [{ op: 'set', key, value, ttlSec: 60 }])
}

describe('sessions that are encrypted', () => {
  it('are handed on between waiters of one process and of two, and none is lost', async () => {
    const world = new World()
    const managers = [world.process(encrypted).manager, world.process(encrypted).manager]
    const turns = managers.flatMap((manager) => Array.from({ length: 10 }, () => manager.run<Data>('sid', increment)))
    await world.until(Promise.all(turns))
    expect(await managers[0]?.peek('sid')).toEqual({ n: 20 })
    expect((await recordOf(world))[1]).toBe(4)
  })

  it('are read, peeked at, prolonged, saved twice, regenerated and destroyed', async () => {
    const world = new World()
    const { manager, wire } = world.process(encrypted)
    await manager.run<Data>('sid', (session) => {
      session.data.user = 'ada'
      session.data.text = 'x'.repeat(2000)
    })
    expect((await recordOf(world))[1]).toBe(6)
    expect((await recordOf(world)).length).toBeLessThan(200)
    await manager.run('sid', () => undefined)
    expect(wire.flights.at(-1)?.map(wire.names.of)).toEqual(['touch', 'cad'])
    const session = await manager.start<Data>('sid')
    session.data.n = 1
    await session.save()
    session.data.n = 2
    await session.save()
    await session.regenerate()
    await session.release()
    expect(await manager.peek('sid')).toBeUndefined()
    expect(await manager.peek<Data>(session.id)).toMatchObject({ n: 2, user: 'ada' })
    const last = await manager.start(session.id)
    await last.destroy()
    expect(await manager.peek(session.id)).toBeUndefined()
  })

  it('cross SessionStore as text, the retired copy included', async () => {
    const world = new World()
    const { manager } = world.process(encrypted)
    const store = manager.store()
    await store.read('sid')
    await store.write('sid', 'user|s:3:"ada";')
    await store.close()
    expect((await recordOf(world)).includes('ada')).toBe(false)
    const second = manager.store()
    expect(await second.read('sid')).toBe('user|s:3:"ada";')
    await second.retire('sid', 60)
    await second.close()
    expect((await recordOf(world))[1]).toBe(5)
    const third = manager.store()
    expect(await third.read('sid')).toBe('user|s:3:"ada";')
    expect(third.isRetired).toBe(true)
    await third.close()
  })

  it('a copy that was retired cannot be made a session again by who has no key', async () => {
    const world = new World()
    const { manager } = world.process(encrypted)
    await manager.run<Data>('sid', increment)
    const store = manager.store()
    await store.read('sid')
    await store.retire('sid', 60)
    await store.close()
    const record = await recordOf(world)
    record[1] = 4
    await put(world, record)
    expect(await codeOf(manager.start('sid'))).toBe('LATCHKEY_RECORD_TAMPERED')
  })

  it.each<[string, (record: Buffer) => Buffer]>([
    ['LATCHKEY_RECORD_TAMPERED', (record) => Buffer.concat([record.subarray(0, -1), Buffer.of((record.at(-1) ?? 0) ^ 1)])],
    ['LATCHKEY_RECORD_TRUNCATED', (record) => record.subarray(0, -1)],
    ['LATCHKEY_UNKNOWN_KEY', (record) => Buffer.concat([record.subarray(0, 3), Buffer.from('2099'), record.subarray(7)])],
    ['LATCHKEY_RECORD_NOT_ENCRYPTED', () => Buffer.from('{"user":"eve"}')],
    ['LATCHKEY_RECORD_MOVED', (record) => record],
  ])('%s is what every reader gets; nothing is written over it, nothing stays locked, and it can be destroyed', async (code, change) => {
    const world = new World()
    const { manager, wire } = world.process(encrypted)
    const from = code === 'LATCHKEY_RECORD_MOVED' ? 'other' : 'sid'
    await manager.run<Data>(from, increment)
    const record = change(await recordOf(world, `sess:${from}`))
    await put(world, record)
    expect(await codeOf(manager.start('sid'))).toBe(code)
    expect(await codeOf(manager.start('sid', { strict: true }))).toBe(code)
    expect(await codeOf(manager.peek('sid'))).toBe(code)
    expect(await codeOf(manager.run('sid', increment))).toBe(code)
    const store = manager.store()
    expect(await codeOf(store.read('sid'))).toBe(code)
    expect(await codeOf(store.write('sid', 'x'))).toBe('LATCHKEY_MISUSE')
    await store.close()
    expect(await recordOf(world)).toEqual(record)
    expect(await world.get('sess:sid-lck')).toBeUndefined()
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    expect(wire.flights.some((commands) => commands.some(({ op, key }) => op === 'cas' && key === 'sess:sid' && from === 'other'))).toBe(false)
    await manager.store().destroy('sid')
    expect(await manager.peek('sid')).toBeUndefined()
    await manager.run<Data>('sid', increment)
    expect(await manager.peek('sid')).toEqual({ n: 1 })
  })

  it('a waiter whose turn comes after a record was spoilt gets the error, and so does the next', async () => {
    const world = new World()
    const { manager } = world.process(encrypted)
    const elsewhere = world.process(encrypted).manager
    await elsewhere.run<Data>('sid', increment)
    const holder = await elsewhere.start('sid')
    const waiters = [manager.run('sid', increment), manager.run('sid', increment)].map((one) => codeOf(one))
    await world.until(world.pause(100))
    await put(world, Buffer.from('{"user":"eve"}'))
    await holder.abort()
    expect(await world.until(Promise.all(waiters))).toEqual(['LATCHKEY_RECORD_NOT_ENCRYPTED', 'LATCHKEY_RECORD_NOT_ENCRYPTED'])
    expect(await world.get('sess:sid-lck')).toBeUndefined()
  })

  it('of two writers the second is still fenced', async () => {
    const world = new World()
    const { manager } = world.process(encrypted)
    await manager.run<Data>('sid', increment)
    const session = await manager.start<Data>('sid')
    await put(world, await recordOf(world))
    increment(session)
    expect(await codeOf(session.release())).toBe('LATCHKEY_FENCED')
  })

  it('a commit whose reply is lost is resolved by reading, as without encryption', async () => {
    const world = new World()
    const { manager, wire } = world.process(encrypted)
    await manager.run<Data>('sid', increment)
    const session = await manager.start<Data>('sid')
    increment(session)
    wire.failNext({ kind: 'lost-reply' }, 'cas', 'sid')
    await world.until(session.release())
    expect(await manager.peek('sid')).toEqual({ n: 2 })
  })
})

describe('sessions from before', () => {
  it('in clear are encrypted at the next request, also when it changes nothing', async () => {
    const world = new World()
    await world.process().manager.run<Data>('sid', increment)
    const { manager, wire } = world.process({ encryption: { keys: [NEW], acceptPlain: true } })
    await manager.run('sid', () => undefined)
    expect(wire.flights.at(-1)?.map(wire.names.of)).toEqual(['cas', 'cad'])
    expect((await recordOf(world))[1]).toBe(4)
    expect(await world.process(encrypted).manager.peek('sid')).toEqual({ n: 1 })
  })

  it('of an old key are written with the new one, also when nothing changes; then the old one can go', async () => {
    const world = new World()
    const withKeys = (...keys: (typeof OLD)[]): SessionManager => world.process({ encryption: { keys } }).manager
    await withKeys(OLD).run<Data>('sid', increment)
    await withKeys(OLD, NEW).run('sid', () => undefined)
    expect(await codeOf(withKeys(NEW).peek('sid'))).toBe('LATCHKEY_UNKNOWN_KEY')
    await withKeys(NEW, OLD).run('sid', () => undefined)
    expect(await withKeys(NEW).peek('sid')).toEqual({ n: 1 })
  })
})

describe('on memcached', () => {
  let server: MemcachedServer
  beforeAll(async () => {
    server = await MemcachedServer.start()
  })
  afterAll(() => server.stop())

  it('twenty requests of two managers change one encrypted session, and all are counted', async () => {
    const savePath = `tcp://127.0.0.1:${String(server.port)}`
    const managers = [1, 2].map(() => new SessionManager({ savePath, deadlineMs: 30_000, ...encrypted }))
    await Promise.all(Array.from({ length: 20 }, (_, at) => managers[at % 2]?.run<Data>('sid', increment)))
    expect(await managers[0]?.peek('sid')).toEqual({ n: 20 })
    await Promise.all(managers.map((manager) => manager.close()))
  })

  it('a session of 3 MB fits into an item of 1 MB when it is compressed', async () => {
    const manager = new SessionManager({ savePath: `tcp://127.0.0.1:${String(server.port)}`, deadlineMs: 30_000, ...encrypted })
    const text = 'all work and no play '.repeat(150_000)
    await manager.run<Data>('large', (session) => {
      session.data.text = text
    })
    expect(await manager.peek('large')).toEqual({ text })
    await manager.close()
  })
})
