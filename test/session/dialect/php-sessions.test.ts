import { afterEach, describe, expect, it } from 'vitest'
import { FencedError, InvalidOptionError, SessionGoneError, SessionManager } from 'latchkey'
import { createMemoryWire } from '../../../src/wire/memory/memory-wire.js'
import { type Command, type Reply, valueBytes } from '../../../src/wire/wire.js'

const ID = 'a1b2c3d4e5f6a1b2c3d4e5f6a1'
const RECORD = `memc.sess.key.${ID}`
const LOCK = `memc.sess.key.lock.${ID}`

const closing: SessionManager[] = []
afterEach(async () => {
  await Promise.all(closing.splice(0).map((manager) => manager.close({ graceMs: 0 })))
})

/** A manager, and the store as PHP's extension uses it. */
function setUp(extension: 'memcached' | 'memcache' = 'memcached') {
  const wire = createMemoryWire()
  const sent: Command[][] = []
  const watched = {
    ...{ maxValueBytes: wire.maxValueBytes.bind(wire), sweep: () => wire.sweep(), close: () => wire.close(), keys: wire.keys.bind(wire) },
    flight(route: string, commands: readonly Command[]) {
      sent.push([...commands])
      return wire.flight(route, commands)
    },
  }
  const manager = new SessionManager({ wire: watched, php: { extension } })
  closing.push(manager)
  const one = async (command: Command): Promise<Reply> => {
    const [reply] = await wire.flight(ID, [command])
    if (reply === undefined) throw new Error('no reply')
    return reply
  }
  const php = {
    get: (key: string) => one({ op: 'get', key }),
    set: (value: string, key = RECORD) => one({ op: 'set', key, value, ttlSec: 1440 }),
    delete: (key = RECORD) => one({ op: 'delete', key }),
    async text(key = RECORD): Promise<string | undefined> {
      const { value } = await one({ op: 'get', key })
      return value === undefined ? undefined : valueBytes(value).toString('latin1')
    },
  }
  return { manager, php, sent }
}

describe('a session that is shared with PHP', () => {
  it('is kept where PHP keeps it, in its format, and locked by its lock', async () => {
    const { manager, php } = setUp()
    await php.set('user|s:3:"ada";price|d:5;')
    await manager.run(ID, async (session) => {
      expect({ ...session.data }).toEqual({ user: 'ada', price: 5 })
      session.data['count'] = 1
      expect((await php.get(LOCK)).status).toBe('ok')
    })
    expect(await php.text()).toBe('user|s:3:"ada";price|d:5;count|i:1;')
    expect((await php.get(LOCK)).status).toBe('missing')
  })

  it('bytes that are no UTF-8 come back as they were', async () => {
    const { manager, php } = setUp()
    const stored = Buffer.from('raw|s:2:"\xff\x00";n|i:1;', 'latin1')
    await php.set(stored.toString('latin1'))
    await manager.run(ID, (session) => {
      expect(session.data['raw']).toEqual(Buffer.from([0xff, 0]))
      session.data['n'] = 2
    })
    expect(await php.text()).toBe('raw|s:2:"\xff\x00";n|i:2;')
  })

  it('one that PHP has begun, with nothing in it, exists: strict Node takes it, and ifExists', async () => {
    const { manager, php } = setUp()
    await php.set('')
    await manager.run(ID, (session) => void expect(session.id).toBe(ID), { strict: true })
    await manager.run(ID, (session) => void (session.data['a'] = 1), { ifExists: true })
    expect(await php.text()).toBe('a|i:1;')
    const store = manager.store()
    expect(await store.validateId(ID)).toBe(true)
    await store.close()
  })

  it('is destroyed by deleting its record, by its version: to PHP a record of no bytes is a session', async () => {
    const { manager, php, sent } = setUp()
    await php.set('a|i:1;')
    const session = await manager.start(ID)
    await session.destroy()
    expect((await php.get(RECORD)).status).toBe('missing')
    expect(sent.at(-1)?.map(({ op, key }) => [op, key])).toEqual([['cad', RECORD], ['cad', LOCK]])
    await manager.destroy(ID)
    expect(sent.at(-1)).toEqual([{ op: 'delete', key: RECORD }])
  })

  it('destroyed under the lock though PHP has written over it: that goes as well', async () => {
    const { manager, php } = setUp()
    await php.set('a|i:1;')
    const session = await manager.start(ID)
    await php.set('a|i:2;')
    await session.destroy()
    expect((await php.get(RECORD)).status).toBe('missing')
  })

  it('one that was never stored is destroyed without a trace', async () => {
    const { manager, php } = setUp()
    const session = await manager.start(ID)
    await session.destroy()
    expect((await php.get(RECORD)).status).toBe('missing')
    expect((await php.get(LOCK)).status).toBe('missing')
  })

  it('a blind write of PHP, or its destroy, fences the holder', async () => {
    const { manager, php } = setUp()
    await php.set('a|i:1;')
    const session = await manager.start(ID)
    session.data['a'] = 2
    await php.set('a|i:7;')
    await expect(session.release()).rejects.toThrow(FencedError)
    expect(await php.text()).toBe('a|i:7;')
    const next = await manager.start(ID)
    next.data['a'] = 3
    await php.delete()
    await expect(next.release()).rejects.toThrow(SessionGoneError)
    expect((await php.get(RECORD)).status).toBe('missing')
  })

  it('goes on under a new id, and the old one is deleted, unless somebody has changed it', async () => {
    const { manager, php } = setUp()
    await php.set('a|i:1;')
    const session = await manager.start(ID)
    await session.regenerate()
    await session.release()
    expect((await php.get(RECORD)).status).toBe('missing')
    expect(await php.text(`memc.sess.key.${session.id}`)).toBe('a|i:1;')
    await php.set('a|i:1;')
    const other = await manager.start(ID)
    await php.set('a|i:2;')
    await expect(other.regenerate()).rejects.toThrow(FencedError)
    expect(await php.text()).toBe('a|i:2;')
    const third = await manager.start(ID)
    await expect(third.regenerate({ retiredCopySec: 5 })).rejects.toThrow(InvalidOptionError)
    await third.abort()
  })

  it('a lifetime of its own is one more name in it, and all else keeps its bytes', async () => {
    const { manager, php } = setUp()
    await php.set('price|d:5;b|i:1;a|i:2;')
    await manager.run(ID, (session) => void (session.lifetimeSec = 60))
    expect(await php.text()).toBe('price|d:5;b|i:1;a|i:2;_lifetimeSec|i:60;')
    await manager.run(ID, (session) => void expect([session.lifetimeSec, { ...session.data }]).toEqual([60, { price: 5, b: 1, a: 2 }]))
    expect(await php.text()).toBe('price|d:5;b|i:1;a|i:2;_lifetimeSec|i:60;')
  })

  it('PHP lets it live longer meanwhile, and nothing is amiss', async () => {
    const { manager, php } = setUp()
    await php.set('a|i:1;')
    await manager.run(ID, () => undefined)
    expect(await php.text()).toBe('a|i:1;')
  })

  it('of memcache it bears no flags: PHP would read an empty session', async () => {
    const { manager, php } = setUp('memcache')
    await manager.run(ID, (session) => void (session.data['a'] = 1))
    const { flags, value } = await php.get(ID)
    expect([flags, String(value)]).toEqual([0, 'a|i:1;'])
    await expect(manager.length()).rejects.toThrow('which keys are sessions')
  })

  it('is found in a list, and its lock and its line are not', async () => {
    const { manager, php } = setUp()
    await php.set('')
    await php.set('1', LOCK)
    await php.set('x', `${RECORD}<line`)
    const ids: string[] = []
    for await (const id of manager.ids()) ids.push(id)
    expect(ids).toEqual([ID])
  })
})
