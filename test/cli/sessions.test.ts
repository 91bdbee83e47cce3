import { describe, expect, it } from 'vitest'
import { setTimeout as delay } from 'node:timers/promises'
import { MemcachedServer } from '../support/memcached-server.js'
import { jsonOf, latchkey, type Outcome } from './tool.js'
import { twoServers } from './two-servers.js'

/** `locks`, `holder`, `inspect` and `stats` against what a manager holds on two real servers. */

const { site, manager, tool } = twoServers()

const EVERY_COMMAND = [['locks'], ['stats'], ['doctor'], ['holder', 'x'], ['inspect', 'x'], ['unlock', '--yes', 'x']]

const HASH = expect.stringMatching(/^[0-9a-f]{12}$/) as string

interface ListedLock {
  readonly session: string
  readonly label: string
  readonly sinceMs: number
  readonly heldMs: number
}

describe('locks', () => {
  it('lists who holds what, since when, oldest first; ids only when asked', async () => {
    expect(await tool(['locks'], { isRead: true })).toEqual({ exitCode: 0, out: 'No session is locked.\n', err: '' })
    const [one, two] = [manager(), manager({ prefix: 'app:' })]
    await one.run('stored-only', (session) => {
      session.data['n'] = 1
    })
    const held = []
    for (const id of ['first-id', 'second-id', 'third-id']) {
      held.push(await one.start(id, { label: `GET /${id.slice(0, 5)}` }))
      // Holders write down whole milliseconds.
      await delay(2)
    }
    held.push(await two.start('of-another-prefix'))
    const outcome = await tool(['locks'])
    const { locks } = jsonOf(outcome) as { locks: ListedLock[] }
    expect(locks.map(({ label }) => label)).toEqual(['GET /first', 'GET /secon', 'GET /third'])
    for (const lock of locks) {
      expect(lock).toMatchObject({ session: HASH, pid: process.pid, processesWaiting: 0 })
      expect(Math.abs(Date.now() - lock.sinceMs)).toBeLessThan(60_000)
      expect(lock.heldMs).toBeGreaterThanOrEqual(0)
    }
    expect(new Set(locks.map(({ session }) => session)).size).toBe(3)
    for (const shown of [outcome.out, (await tool(['locks'], { isRead: true })).out]) expect(shown).not.toMatch(/-id/)
    const ids = [{ id: 'first-id' }, { id: 'second-id' }, { id: 'third-id' }]
    expect(jsonOf(await tool(['locks', '--ids']))).toMatchObject({ locks: ids })
    expect((await tool(['locks', '--ids', '--prefix', 'app:'], { isRead: true })).out).toMatch(/^of-another-prefix .*/m)
    await Promise.all(held.map((session) => session.abort()))
    expect(jsonOf(await tool(['locks']))).toEqual({ locks: [] })
  })

  it("shows a stranger's lock, and no sign of it moves the cursor", async () => {
    for (const server of site.servers) {
      await server.commandText('set sess:php-lck 0 60 1\r\n1')
      const label = JSON.stringify({ token: 'x.1', host: 'h\u001b[2J', pid: 7, sinceMs: 1e300, label: 'a\nb\u009b31m' })
      await server.commandText(`set sess:odd-lck 0 60 ${String(Buffer.byteLength(label, 'latin1'))}\r\n${label}`)
    }
    const { exitCode, out } = await tool(['locks'], { isRead: true })
    expect(exitCode).toBe(0)
    expect(out.split('\n')).toHaveLength(4)
    expect(out).not.toMatch(/[^\x20-\x7e\n\ufffd]/)
    expect((await tool(['holder', 'odd'], { isRead: true })).out).not.toMatch(/[^\x20-\x7e\n\ufffd]/)
  })

  it('lists locks that are taken by a name, and says that they are', async () => {
    const one = manager()
    const [report, session] = [await one.mutex('nightly-report').lock({ label: 'cron' }), await one.start('an-id')]
    await report.fencingToken()
    const { locks } = jsonOf(await tool(['locks'])) as { locks: object[] }
    expect(locks).toHaveLength(2)
    expect(locks[0]).toMatchObject({ mutex: 'nightly-report', label: 'cron', pid: process.pid })
    expect(locks[0]).not.toHaveProperty('session')
    expect(locks[1]).toMatchObject({ session: HASH })
    expect(locks[1]).not.toHaveProperty('mutex')
    expect((await tool(['locks'], { isRead: true })).out).toMatch(/^lock "nightly-report" .* cron$/m)
    expect((await tool(['locks', '--ids'], { isRead: true })).out).toMatch(/^an-id .*/m)
    const { servers } = jsonOf(await tool(['stats', '--count'])) as { servers: { counted: { locks: number } }[] }
    expect(servers.reduce((sum, { counted }) => sum + counted.locks, 0)).toBe(2)
    await Promise.all([report.release(), session.abort()])
    expect(jsonOf(await tool(['locks']))).toEqual({ locks: [] })
  })

  it('shows how many processes wait', async () => {
    const [one, two] = [manager(), manager()]
    const held = await one.start('busy')
    const waiting = two.start('busy')
    const seen = expect.poll(async () => jsonOf(await tool(['locks'])))
    await seen.toMatchObject({ locks: [{ processesWaiting: 1 }] })
    await held.abort()
    await (await waiting).abort()
  })
})

describe('holder', () => {
  it('says who, and 1 when nobody does', async () => {
    const held = await manager().start('an-id', { label: 'GET /cart' })
    const outcome = await tool(['holder', 'an-id'])
    expect(outcome.exitCode).toBe(0)
    expect(jsonOf(outcome)).toMatchObject({ session: HASH, held: true, pid: process.pid, label: 'GET /cart' })
    const { out } = await tool(['holder', '-'], { input: 'an-id\n', isRead: true })
    expect(out).toMatch(/^Session [0-9a-f]{12} is held by .*pid \d+.*GET \/cart, for \d/)
    await held.abort()
    const free = await tool(['holder', 'an-id'])
    expect([free.exitCode, jsonOf(free)]).toEqual([1, { session: HASH, held: false }])
  })
})

describe('holder --mutex', () => {
  it('says who has a lock by its name; a session of that id is another thing', async () => {
    const hold = await manager().mutex('report').lock({ label: 'cron' })
    expect(jsonOf(await tool(['holder', '--mutex', 'report']))).toMatchObject({ mutex: 'report', held: true, label: 'cron' })
    expect((await tool(['holder', '--mutex', 'report'], { isRead: true })).out).toMatch(/^The lock "report" is held by .*cron/)
    expect(jsonOf(await tool(['holder', 'report']))).toMatchObject({ held: false })
    await hold.release()
    const free = await tool(['holder', '--mutex', '-'], { input: 'report\n' })
    expect([free.exitCode, jsonOf(free)]).toEqual([1, { mutex: 'report', held: false }])
    expect(await tool(['holder', '--mutex', 'two words'])).toMatchObject({ exitCode: 2 })
    expect(await tool(['inspect', '--mutex', 'report'])).toMatchObject({ exitCode: 2 })
  })
})

describe('inspect', () => {
  it('decodes the session and hides its values', async () => {
    const one = manager()
    await one.run('an-id', (session) => {
      Object.assign(session.data, { user: 'ada@example.org', n: 1, cart: { items: [1, 2], gift: null }, vip: true })
    })
    const hidden = await tool(['inspect', 'an-id'])
    expect(hidden.exitCode).toBe(0)
    expect(jsonOf(hidden)).toMatchObject({
      session: HASH,
      server: expect.stringMatching(/^tcp:\/\/127/) as string,
      state: 'stored',
      isLocked: false,
      shape: { user: 'text(15)', n: 'number', cart: { items: 'list(2)', gift: 'null' }, vip: 'boolean' },
    })
    const { ttlSec, sizeBytes } = jsonOf(hidden) as { ttlSec: number; sizeBytes: number }
    expect(ttlSec).toBeGreaterThan(1400)
    expect(ttlSec).toBeLessThanOrEqual(1440)
    expect(sizeBytes).toBe(JSON.stringify(await one.peek('an-id')).length)
    expect(hidden.out).not.toContain('ada@')
    expect((await tool(['inspect', 'an-id'], { isRead: true })).out).not.toContain('ada@')
    expect(jsonOf(await tool(['inspect', '--values', 'an-id']))).toMatchObject({ data: { user: 'ada@example.org' } })
    expect((await tool(['inspect', '--values', 'an-id'], { isRead: true })).out).toContain('ada@example.org')
  })

  it('tells missing, destroyed, locked and unreadable apart', async () => {
    const one = manager()
    const none = await tool(['inspect', 'none'])
    expect([none.exitCode, jsonOf(none)]).toMatchObject([1, { state: 'missing' }])
    await one.store().destroy('gone')
    const gone = await tool(['inspect', 'gone'])
    expect([gone.exitCode, jsonOf(gone)]).toMatchObject([1, { state: 'destroyed' }])
    await one.run('held', (session) => {
      session.data['n'] = 1
    })
    const held = await one.start('held')
    expect(jsonOf(await tool(['inspect', 'held']))).toMatchObject({ isLocked: true })
    await held.abort()
    const hooks = one.store()
    await hooks.read('broken')
    await hooks.write('broken', '{secret')
    const broken = await tool(['inspect', 'broken'])
    expect(broken).toMatchObject({ exitCode: 1, out: '' })
    expect(JSON.parse(broken.err)).toMatchObject({ error: { code: 'LATCHKEY_UNDECODABLE' } })
  })
})

describe('what strangers wrote', () => {
  it('a record that is nested too deeply to be shown is an error that says so', async () => {
    const depth = 20_000
    const hooks = manager().store()
    await hooks.read('deep')
    await hooks.write('deep', `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`)
    for (const options of [[], ['--values']]) {
      const { exitCode, err } = await tool(['inspect', ...options, 'deep'])
      expect([exitCode, JSON.parse(err)]).toMatchObject([1, { error: { code: 'LATCHKEY_UNDECODABLE' } }])
    }
  })

  it('a label moves no cursor, in JSON either', async () => {
    const session = await manager().start('labelled', { label: 'GET /\x9b2J\n\x1b[31m' })
    for (const isRead of [true, false]) {
      const { out } = await tool(['holder', 'labelled'], { isRead })
      expect(out).not.toMatch(/[\x1b\x7f-\x9f]/)
      expect(out).toContain('GET /')
    }
    await session.abort()
  })
})

describe('inspect, of what is more than text', () => {
  it('knows the copy that a regenerated session leaves behind', async () => {
    const one = manager()
    await one.run('old', (session) => {
      session.data['n'] = 1
    })
    await one.run('old', (session) => session.regenerate({ retiredCopySec: 60 }))
    expect(jsonOf(await tool(['inspect', 'old']))).toMatchObject({ state: 'retired', shape: { n: 'number' } })
    expect((await tool(['inspect', 'old'], { isRead: true })).out).toContain('only read')
  })

  const keys = [{ id: 'k1', secret: 'correct-horse-battery-staple-0123456789' }]

  it('needs LATCHKEY_KEYS for encrypted records, and shows none of them', async () => {
    const one = manager({ encryption: { keys } })
    await one.run('an-id', (session) => {
      session.data['user'] = 'ada'
    })
    const without = await tool(['inspect', 'an-id'])
    expect(without).toMatchObject({ exitCode: 1, out: '', err: expect.stringContaining('LATCHKEY_KEYS') as string })
    const inspect = (text: string): Promise<Outcome> =>
      tool(['inspect', '--values', 'an-id'], { env: { LATCHKEY_SAVE_PATH: site.savePath, LATCHKEY_KEYS: text } })
    expect(jsonOf(await inspect(JSON.stringify(keys)))).toMatchObject({ data: { user: 'ada' } })
    const halves = ['{"id":"k1"}', '[{"id":"k1"}]', '[{"id":"k1","secret":"horse"}]']
    for (const wrong of [...halves, '{', 'null', 'horse', '["horse"]']) {
      const outcome = await inspect(wrong)
      expect(outcome).toMatchObject({ exitCode: 2, out: '' })
      expect(outcome.err).not.toContain('horse')
    }
    await manager().run('plain', (session) => {
      session.data['n'] = 1
    })
    const env = { LATCHKEY_SAVE_PATH: site.savePath, LATCHKEY_KEYS: JSON.stringify(keys) }
    expect(jsonOf(await tool(['inspect', 'plain'], { env }))).toMatchObject({ shape: { n: 'number' } })
  })
})

describe('stats', () => {
  it('has the numbers of every server, and counts when asked', async () => {
    const one = manager()
    await Promise.all(['a', 'b', 'c', 'd'].map((id) => one.run(id, (session) => void (session.data['n'] = 1))))
    const held = await one.start('a')
    const plain = jsonOf(await tool(['stats'])) as { servers: object[] }
    expect(plain.servers).toHaveLength(2)
    expect(plain.servers[0]).toMatchObject({
      server: `tcp://${site.servers[0]?.address ?? ''}`,
      version: expect.stringMatching(/^1\.\d/) as string,
      memory: { limitBytes: 64 * 1024 * 1024 },
      connections: { limit: expect.any(Number) as number },
    })
    expect(JSON.stringify(plain)).not.toContain('counted')
    const { servers } = jsonOf(await tool(['stats', '--count'])) as { servers: { counted: Record<string, number> }[] }
    const sumOf = (what: string): number => servers.reduce((sum, { counted }) => sum + (counted[what] ?? NaN), 0)
    expect([sumOf('sessions'), sumOf('locks')]).toEqual([4, 1])
    expect((await tool(['stats', '--count'], { isRead: true })).out).toMatch(/counted +\d sessions, \d locks/)
    await held.abort()
  })
})

describe('what a server cannot', () => {
  it('is exit code 5: no list without a crawler', async () => {
    await using server = await MemcachedServer.start({ args: ['-o', 'no_lru_crawler'] })
    const env = { MEMCACHE_SERVERS: server.address }
    const { exitCode, err } = await latchkey(['locks'], { env })
    expect([exitCode, err]).toEqual([5, expect.stringContaining('LATCHKEY_NOT_SUPPORTED')])
    expect(await latchkey(['stats', '--count'], { env })).toMatchObject({ exitCode: 5 })
    expect(await latchkey(['stats'], { env })).toMatchObject({ exitCode: 0 })
  })

  it('is exit code 3 when it is dead or stands still, in time', async () => {
    await using server = await MemcachedServer.start()
    const env = { MEMCACHE_SERVERS: server.address }
    for (const state of ['stopped', 'dead'] as const) {
      await (state === 'stopped' ? server.pause() : server.kill())
      for (const args of EVERY_COMMAND) {
        expect(await latchkey([...args, '--deadline-ms', '300'], { env })).toMatchObject({ exitCode: 3 })
      }
      server.resume()
    }
  })
})

describe('ctrl-C', () => {
  it.each(EVERY_COMMAND)('ends %s at once, also while a server stands still', async (...args) => {
    await using server = await MemcachedServer.start()
    await server.pause()
    const interruption = new AbortController()
    const env = { MEMCACHE_SERVERS: server.address }
    const run = latchkey([...args, '--deadline-ms', '60000'], { env, signal: interruption.signal })
    setImmediate(() => interruption.abort(new Error('interrupted')))
    expect(await run).toMatchObject({ exitCode: 130, out: '' })
  })
})
