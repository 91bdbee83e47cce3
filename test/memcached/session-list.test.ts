import type { SessionData } from 'express-session'
import { FlightError, type ListedSession, SessionManager, type SessionManagerOptions, type UnreadableSession, type Wire } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import { rowsOf } from '../support/matrix.js'
import { MemcachedServer } from '../support/memcached-server.js'

/** Store methods about all sessions: `all`, `length`, `clear`, of the manager and of Express' store. */

interface Place {
  readonly options: (prefix?: string) => SessionManagerOptions
  readonly end: () => Promise<void>
}

async function memcachedServers(count: number): Promise<Place> {
  const servers = await Promise.all(Array.from({ length: count }, () => MemcachedServer.start()))
  const savePath = servers.map(({ address }) => `tcp://${address}`).join(',')
  return {
    options: (prefix = 'sess:') => ({ savePath, prefix }),
    end: async () => {
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}

function memory(): Place {
  const wire = createMemoryWire()
  const shared: Wire = { ...bound(wire), close: async () => undefined }
  return { options: (prefix = 'sess:') => ({ wire: shared, prefix }), end: () => wire.close() }
}

const bound = (wire: Wire): Wire => ({
  flight: (route, commands) => wire.flight(route, commands),
  maxValueBytes: (route, key) => wire.maxValueBytes(route, key),
  sweep: () => wire.sweep(),
  close: () => wire.close(),
  keys: (prefix) => wire.keys?.(prefix) ?? (async function *() {})(),
})

async function gathered(manager: SessionManager): Promise<(ListedSession | UnreadableSession)[]> {
  const found: (ListedSession | UnreadableSession)[] = []
  for await (const one of manager.all()) found.push(one)
  return found.sort((a, b) => (a.id < b.id ? -1 : 1))
}

async function idsOf(manager: SessionManager): Promise<string[]> {
  const ids: string[] = []
  for await (const id of manager.ids()) ids.push(id)
  return ids.sort()
}

const store = (manager: SessionManager, id: string, data: object = { id }): Promise<void> =>
  manager.run(id, (session) => {
    Object.assign(session.data, data)
  })

describe.each(rowsOf([
  ['in memory', async () => memory()],
  ['on one memcached', () => memcachedServers(1)],
  ['on three', () => memcachedServers(3)],
] as const, 2))('the list of sessions, %s', (name, begin) => {
  let place: Place
  let managers: SessionManager[]
  const manager = (prefix?: string): SessionManager => {
    const made = new SessionManager(place.options(prefix))
    managers.push(made)
    return made
  }

  beforeEach(async () => {
    place = await begin()
    managers = []
  })
  afterEach(async () => {
    await Promise.all(managers.map((one) => one.close({ graceMs: 0 })))
    await place.end()
  })

  it('has every session once, with its data, and nothing when there is none', async () => {
    const one = manager()
    expect(await gathered(one)).toEqual([])
    expect(await one.length()).toBe(0)
    const ids = Array.from({ length: 200 }, (_, index) => `id-${String(index).padStart(3, '0')}`)
    await Promise.all(ids.map((id) => store(one, id)))
    expect(await gathered(one)).toEqual(ids.map((id) => ({ id, data: { id } })))
    expect(await one.length()).toBe(200)
  })

  it('knows ids of every sign that an id may have', async () => {
    const one = manager('a%"<>:')
    const id = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~%41'
    await store(one, id, { n: 1 })
    expect(await gathered(one)).toEqual([{ id, data: { n: 1 } }])
  })

  it('leaves out locks, tombstones, and a new session that is not stored yet', async () => {
    const one = manager()
    await store(one, 'stays')
    await store(one, 'goes')
    await one.store().destroy('goes')
    const held = await one.start('stays')
    const begun = await one.start('begun')
    expect(await one.length()).toBe(1)
    expect(await gathered(one)).toEqual([{ id: 'stays', data: { id: 'stays' } }])
    await Promise.all([held.release(), begun.abort()])
  })

  it('leaves out the copy that a regenerated session leaves behind, and clear takes it along', async () => {
    const one = manager()
    await store(one, 'old')
    const session = await one.start('old')
    await session.regenerate({ retiredCopySec: 60 })
    await session.release()
    expect(await one.peek('old')).toEqual({ id: 'old' })
    expect(await gathered(one)).toEqual([{ id: session.id, data: { id: 'old' } }])
    expect(await one.length()).toBe(1)
    expect(await one.clear()).toBe(1)
    expect(await one.peek('old')).toBeUndefined()
  })

  it('is of its own prefix; on one server, a longer one that begins with it is part of it', async () => {
    const [plain, other, longer] = [manager('sess:'), manager('app:'), manager('sess:a:')]
    await store(plain, 'x')
    await store(other, 'y')
    await store(longer, 'z')
    // On several servers each prefix spreads the same key in its own way, and what is elsewhere cannot be read.
    const among = name === 'on three' ? ['x'] : ['a:z', 'x']
    expect((await gathered(plain)).map(({ id }) => id)).toEqual(expect.arrayContaining(among))
    expect((await gathered(other)).map(({ id }) => id)).toEqual(['y'])
    expect((await gathered(longer)).map(({ id }) => id)).toEqual(['z'])
  })

  it('clear destroys what is under the prefix, and nothing else', async () => {
    const [one, other] = [manager('sess:'), manager('app:')]
    await Promise.all(['a', 'b', 'c'].map((id) => store(one, id)))
    await store(other, 'a')
    expect(await one.clear()).toBe(3)
    expect(await one.length()).toBe(0)
    expect(await one.clear()).toBe(0)
    expect(await other.length()).toBe(1)
    expect(await other.peek('a')).toEqual({ id: 'a' })
  })

  it('a request that held a session through clear cannot bring it back', async () => {
    const [one, two] = [manager(), manager()]
    await store(one, 'a')
    const slow = await one.start('a')
    slow.data['late'] = true
    expect(await two.clear()).toBe(1)
    await expect(slow.release()).rejects.toMatchObject({ code: 'LATCHKEY_SESSION_GONE' })
    expect(await two.length()).toBe(0)
  })

  it('a record that cannot be read is counted, destroyed by clear, and hides none of the others', async () => {
    const one = manager()
    const hooks = one.store()
    await hooks.read('broken')
    await hooks.write('broken', '{"not json')
    const other = manager('enc:')
    const sealed = new SessionManager({ ...place.options('enc:'), encryption: { keys: [{ id: 'k', secret: '3wQ8vXk1n0ZbRy7LmT5cHd9EfUa2Gj6S' }] } })
    managers.push(sealed)
    await store(sealed, 'sealed')
    await Promise.all([store(one, 'a'), store(one, 'z'), store(other, 'plain')])
    expect(await one.length()).toBe(3)
    const error = { code: 'LATCHKEY_UNDECODABLE', session: expect.any(String) as string }
    expect(await gathered(one)).toMatchObject([{ id: 'a', data: { id: 'a' } }, { id: 'broken', error }, { id: 'z', data: { id: 'z' } }])
    expect(await gathered(other)).toMatchObject([{ id: 'plain' }, { id: 'sealed', error: { code: 'LATCHKEY_UNKNOWN_KEY' } }])
    expect(await idsOf(one)).toEqual(['a', 'broken', 'z'])
    const express = latchkey({ manager: one, secret: 'x', resave: false, saveUninitialized: false }).store
    const failures: unknown[] = []
    express.on('failure', (failure) => failures.push(failure))
    expect((await express.all()).map(({ id }) => id).sort()).toEqual(['a', 'z'])
    expect(failures).toMatchObject([{ code: 'LATCHKEY_UNDECODABLE', status: 500 }])
    expect((await express.ids()).sort()).toEqual(['a', 'broken', 'z'])
    expect(await one.clear()).toBe(3)
    expect(await one.peek('broken')).toBeUndefined()
  })

  it("Express' store has the three methods, as promises and callbacks", async () => {
    const one = manager()
    const express = latchkey({ manager: one, secret: 'x', resave: false, saveUninitialized: false }).store
    const session = (user: string): SessionData & { user: string } => ({ cookie: { originalMaxAge: null }, user })
    await express.set('s1', session('ada'))
    await express.set('s2', session('bob'))
    const called = <T>(work: (callback: (error: unknown, value?: T) => void) => unknown): Promise<T | undefined> =>
      new Promise((resolve, reject) => {
        void work((error, value) => {
          if (error === null) resolve(value)
          else reject(error instanceof Error ? error : new Error(String(error)))
        })
      })
    const byId = (list: readonly { readonly id: string }[] = []): unknown => new Map(list.map((one) => [one.id, one]))
    const all = new Map([
      ['s1', { ...session('ada'), id: 's1' }],
      ['s2', { ...session('bob'), id: 's2' }],
    ])
    expect(byId(await express.all())).toEqual(all)
    expect(byId(await called((callback) => express.all(callback)))).toEqual(all)
    expect(await express.length()).toBe(2)
    expect((await express.ids()).sort()).toEqual(['s1', 's2'])
    expect((await called<string[]>((callback) => express.ids(callback)))?.sort()).toEqual(['s1', 's2'])
    expect(await called((callback) => express.length(callback))).toBe(2)
    await called((callback) => express.clear(callback))
    expect(await express.length()).toBe(0)
    expect(await express.all()).toEqual([])
    await express.clear()
  })
})

describe('where a list cannot be had', () => {
  it('a wire that cannot list is a typed error', async () => {
    const { flight, maxValueBytes, sweep, close } = bound(createMemoryWire())
    const manager = new SessionManager({ wire: { flight, maxValueBytes, sweep, close } })
    await expect(manager.length()).rejects.toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED' })
    await expect(manager.clear()).rejects.toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED' })
    const { store: express } = latchkey({ manager, secret: 'x', resave: false, saveUninitialized: false })
    await expect(express.all()).rejects.toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED', status: 500 })
  })

  it('a server that does not answer is another one, and so is a closed manager', async () => {
    const wire: Wire = {
      ...bound(createMemoryWire()),
      async *keys() {
        throw new FlightError('not-sent', 'connect ECONNREFUSED')
      },
    }
    const manager = new SessionManager({ wire })
    await expect(manager.length()).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_UNAVAILABLE' })
    await manager.close()
    await expect(manager.length()).rejects.toMatchObject({ code: 'LATCHKEY_CLOSED' })
  })
})
