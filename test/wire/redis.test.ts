import { setTimeout as delay } from 'node:timers/promises'
import { InvalidSavePathError, SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { freePorts } from '../../examples/deployment/ports.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { casOf, run, stored, text } from '../../src/testing/wire-conformance/subject.js'
import { readSavePath } from '../../src/wire/open-wire.js'
import { Versions } from '../../src/wire/redis/item.js'
import { type Command, FlightError } from '../../src/wire/wire.js'
import { failureOf } from '../support/flight-failure.js'
import { FaultProxy } from '../support/proxy.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'
import { redisServerOf, redisSubject, redisWireTo } from '../support/redis-subject.js'
import { itConforms } from './conformance.js'
import { ScriptedServer } from './memcached-scripted-server.js'

const GET: Command = { op: 'get', key: 'k' }
const ADD: Command = { op: 'add', key: 'k', value: 'mine', ttlSec: 9 }

describe.skipIf(!hasRedis)('on a redis-server of its own', () => {
  // Redis counts the buffers of its clients as well: filled to the brim by the suite, it has room again a moment later.
  itConforms('redis', redisSubject, /^out of memory/)
})

describe.skipIf(!hasRedis).concurrent('redis', () => {
  it('reads replies that come byte by byte', async () => {
    await using server = await RedisProcess.start()
    await using proxy = await FaultProxy.start(server)
    proxy.always('trickle')
    const wire = redisWireTo(`redis://${proxy.address}`)
    const { key } = await stored(wire, Buffer.from('\r\n+OK\r\n'))
    expect((await run(wire, { op: 'get', key })).value?.toString()).toBe('\r\n+OK\r\n')
    await wire.close()
  })

  it('over a unix socket, in a database of its own', async () => {
    await using server = await RedisProcess.start({ unixSocket: true })
    const wire = redisWireTo(`${server.savePath}?db=3`)
    const { key } = await stored(wire, 'x')
    expect((await run(wire, { op: 'get', key })).status).toBe('ok')
    const other = redisWireTo(server.savePath)
    expect((await run(other, { op: 'get', key })).status).toBe('missing')
    await Promise.all([wire.close(), other.close()])
  })

  it('as a user who may use the keys of sessions and no others, and not at all with a wrong password', async () => {
    await using server = await RedisProcess.start({ args: ['--requirepass', 'of default'] })
    const { address } = server
    const admin = redisWireTo(`redis://:of%20default@${address}`)
    await stored(admin, 'x')
    await admin.close()
    expect(await server.command('AUTH "of default"\r\nACL SETUSER shop on >pass:w@rd ~shop:* resetchannels +get +set +del +exists +expire +getrange +evalsha +script|load +scan +select')).toContain('OK')
    const wire = redisWireTo(`redis://shop:pass%3Aw%40rd@${address}`)
    expect((await run(wire, { ...ADD, key: 'shop:a' })).status).toBe('ok')
    const cas = casOf(await run(wire, { op: 'get', key: 'shop:a' }))
    expect((await run(wire, { op: 'cad', key: 'shop:a', cas })).status).toBe('ok')
    expect(await failureOf(wire)).toMatchObject({ outcome: 'not-sent', answer: expect.stringMatching(/^NOPERM /) })
    await wire.close()
    for (const path of [`redis://shop:wrong@${address}`, `redis://${address}`]) {
      const refused = redisWireTo(path)
      const { outcome, message } = await failureOf(refused)
      expect([outcome, message]).toEqual(['not-sent', expect.stringMatching(/credentials.*Check the user name and password of the save path\./)])
      expect(message).not.toContain('wrong@')
      await refused.close()
    }
  })

  it('out of memory: nothing is stored, what stands there stays, and can be read, prolonged and deleted', async () => {
    await using server = await RedisProcess.start()
    const wire = redisWireTo(server.savePath)
    await run(wire, { op: 'set', key: 'k', value: text('the old record'), ttlSec: 100 })
    const stale = casOf(await run(wire, { op: 'get', key: 'k' }))
    await run(wire, { op: 'set', key: 'k', value: text('the old record'), ttlSec: 100 })
    const cas = casOf(await run(wire, { op: 'get', key: 'k' }))
    expect(await server.command('CONFIG SET maxmemory 1')).toContain('OK')
    const write = { op: 'cas', key: 'k', value: text('new'), ttlSec: 100 } as const
    expect((await run(wire, { ...write, cas })).status).toBe('outOfMemory')
    expect((await run(wire, { ...write, cas: stale })).status).toBe('exists')
    expect((await run(wire, { op: 'add', key: 'other', value: text('new'), ttlSec: 100 })).status).toBe('outOfMemory')
    const read = await run(wire, { op: 'get', key: 'k' })
    expect([read.value?.toString(), casOf(read).version]).toEqual(['the old record', cas.version])
    expect((await run(wire, { op: 'touch', key: 'k', ttlSec: 50 })).status).toBe('ok')
    expect((await run(wire, { op: 'cad', key: 'k', cas })).status).toBe('ok')
    await wire.close()
  })

  it('what others have stored is read, and replaced by its content only', async () => {
    await using server = await RedisProcess.start()
    const wire = redisWireTo(server.savePath)
    await server.command(String.raw`SET sess:a "{\"cookie\":{}}" EX 100`)
    const read = await run(wire, { op: 'get', key: 'sess:a' })
    expect([read.value, read.flags]).toEqual(['{"cookie":{}}', 0])
    const cas = casOf(read)
    await server.command('SET sess:a changed EX 100')
    const write = { op: 'cas', key: 'sess:a', value: text('ours'), ttlSec: 100, cas } as const
    expect((await run(wire, write)).status).toBe('exists')
    const fresh = casOf(await run(wire, { op: 'get', key: 'sess:a' }))
    expect((await run(wire, { op: 'cad', key: 'sess:a', cas })).status).toBe('exists')
    expect(casOf(await run(wire, { op: 'touch', key: 'sess:a', ttlSec: 50 })).version).toBe(fresh.version)
    expect((await run(wire, { ...write, cas: fresh })).status).toBe('ok')
    expect(await server.command('GET sess:a')).toMatch(/^\$\d+\r\n~[\w-]{11}:ours$/)
    expect((await run(wire, { ...write, cas: fresh })).status).toBe('exists')
    await wire.close()
  })

  it('sessions that connect-redis stored are read on, and are written with a version from then on', async () => {
    await using server = await RedisProcess.start()
    const stored = JSON.stringify({ cookie: { originalMaxAge: null, path: '/' }, user: 'ada' }).replaceAll('"', '\\"')
    await server.command(`SET sess:an-id "${stored}" EX 100`)
    const manager = new SessionManager({ savePath: server.savePath })
    expect(await manager.peek('an-id')).toMatchObject({ user: 'ada' })
    await manager.run('an-id', ({ data }) => {
      data['basket'] = 1
    })
    expect(await server.command('GET sess:an-id')).toMatch(/~[\w-]{11}[0-9a-f]*:\{"cookie":.*"user":"ada","basket":1\}$/)
    await manager.close()
  })

  it('a server that was made to forget its scripts is taught again', async () => {
    await using server = await RedisProcess.start()
    const wire = redisWireTo(server.savePath, { connections: 1 })
    const { key, cas } = await stored(wire, 'one')
    await server.command('SCRIPT FLUSH')
    const lock = casOf(await run(wire, { ...ADD, key: `${key}-lck` }))
    const replies = await wire.flight(key, [
      { op: 'cas', key, value: text('two'), ttlSec: 100, cas },
      { op: 'cad', key: `${key}-lck`, cas: lock },
    ])
    expect(replies.map(({ status }) => status)).toEqual(['ok', 'ok'])
    await server.command('SCRIPT FLUSH')
    // What comes behind it was carried out already, so nothing can be put in its place.
    const again = casOf(await run(wire, { op: 'get', key }))
    const failure = await failureOf(wire, [{ op: 'cas', key, value: text('three'), ttlSec: 100, cas: again }, { op: 'get', key }])
    expect(failure).toMatchObject({ outcome: 'not-sent', answer: expect.stringMatching(/^NOSCRIPT/) })
    await wire.close()
  })

  it('a replica is no place for sessions, nor is a primary that became one; it is known by what it answers', async () => {
    await using primary = await RedisProcess.start()
    await using server = await RedisProcess.start()
    const wire = redisWireTo(server.savePath, { connections: 1 })
    const { key, cas } = await stored(wire, 'x')
    await server.command(`REPLICAOF 127.0.0.1 ${String(primary.port)}`)
    for (const commands of [[{ op: 'cas', key, value: text('y'), ttlSec: 9, cas }, { op: 'cad', key, cas }], [ADD, GET]] as const) {
      const { outcome, answer, message } = await failureOf(wire, commands)
      expect([outcome, answer ?? message]).toEqual(['not-sent', expect.stringMatching(/^READONLY |it is a replica/)])
    }
    expect((await failureOf(wire)).message).toContain('it is a replica, and takes no writes: name the primary')
    await server.command('REPLICAOF NO ONE')
    expect((await run(wire, ADD)).status).toBe('ok')
    await wire.close()
  })

  it('a primary without the copies that it wants refuses for certain, and reads on', async () => {
    await using server = await RedisProcess.start({ args: ['--min-replicas-to-write', '1'] })
    const wire = redisWireTo(server.savePath)
    expect(await failureOf(wire, [ADD, GET])).toMatchObject({ outcome: 'not-sent', answer: expect.stringMatching(/^NOREPLICAS/) })
    const cas = { version: 'A'.repeat(11), asOf: 0 }
    await server.command('CONFIG SET min-replicas-to-write 0')
    await run(wire, ADD)
    await server.command('CONFIG SET min-replicas-to-write 1')
    const held = casOf(await run(wire, GET))
    const refused = await failureOf(wire, [{ op: 'cas', key: 'k', value: text('y'), ttlSec: 9, cas: held }, { op: 'cad', key: 'l', cas }])
    expect(refused).toMatchObject({ outcome: 'not-sent', answer: expect.stringMatching(/^NOREPLICAS/) })
    await wire.close()
  })

  it('with replicas=1 a change is acknowledged when a replica has it, and is else unknown, whatever the primary says', async () => {
    await using server = await RedisProcess.start()
    await using replica = await RedisProcess.start({ args: ['--replicaof', '127.0.0.1', String(server.port)] })
    const until = async (answer: string): Promise<void> => {
      while (!(await server.command('INFO replication')).includes(answer)) await delay(20)
    }
    await until('state=online')
    const manager = new SessionManager({ savePath: `${server.savePath}?replicas=1`, deadlineMs: 6000 })
    const count = (): Promise<void> =>
      manager.run('an-id', ({ data }) => {
        data['n'] = Number(data['n'] ?? 0) + 1
      })
    await count()
    await Promise.all([count(), count()])
    expect(await replica.command('GET sess:an-id')).toContain('{"n":3}')
    await replica.pause()
    await expect(count()).rejects.toMatchObject({ code: 'LATCHKEY_OUTCOME_UNKNOWN' })
    expect(await server.command('GET sess:an-id')).toContain('{"n":4}')
    replica.resume()
    await count()
    expect(await replica.command('GET sess:an-id')).toContain('{"n":5}')
    await server.command('SCRIPT FLUSH')
    await count().catch(() => undefined)
    await count()
    await manager.close()
    // Cut off, and the primary has it: that says nothing of the replica.
    await using proxy = await FaultProxy.start(server)
    const cut = new SessionManager({ savePath: `redis://${proxy.address}?replicas=1`, connections: 1, deadlineMs: 9000 })
    await expect(
      cut.run('an-id', ({ data }) => {
        data['n'] = 'cut'
        void proxy.next('rst')
      }),
    ).rejects.toMatchObject({ code: 'LATCHKEY_OUTCOME_UNKNOWN' })
    expect(await server.command('GET sess:an-id')).toContain('{"n":"cut"}')
    await cut.close({ graceMs: 0 })
  })

  it('another kind of value under a key is an error and no session', async () => {
    await using server = await RedisProcess.start()
    await server.command('HSET k field value')
    const wire = redisWireTo(server.savePath)
    expect(await failureOf(wire)).toMatchObject({ outcome: 'not-sent', answer: expect.stringMatching(/^WRONGTYPE/) })
    expect((await run(wire, ADD)).status).toBe('exists')
    await wire.close()
  })

  it('a Cluster and a Sentinel are refused, as keys would lie on several nodes or on none', async () => {
    const [busPort = 0] = await freePorts(1)
    await using server = await RedisProcess.start({ busPort })
    const wire = redisWireTo(server.savePath)
    expect((await failureOf(wire, [ADD])).message).toContain('Redis Cluster')
    await wire.close()
  })

  it('a server that stands still costs the flight its deadline, and its late replies reach nobody', async () => {
    await using server = await RedisProcess.start()
    const wire = redisWireTo(server.savePath, { flightMs: 1000 })
    await run(wire, { ...ADD, key: 'other', value: 'of another' })
    await server.pause()
    const late = await failureOf(wire, [{ op: 'get', key: 'other' }])
    expect(late.outcome).toBe('unknown')
    const adding = failureOf(wire, [ADD])
    await delay(50)
    server.resume()
    const outcome = await adding.catch(() => 'answered')
    expect(['unknown', 'not-sent', 'answered']).toContain(outcome instanceof FlightError ? outcome.outcome : outcome)
    expect((await run(wire, { op: 'get', key: 'nothing' })).status).toBe('missing')
    await wire.close()
  })

  it('cut off after the server has carried it out: unknown', async () => {
    await using server = await RedisProcess.start()
    await using proxy = await FaultProxy.start(server)
    const wire = redisWireTo(`redis://${proxy.address}`, { connections: 1 })
    await run(wire, { ...ADD, key: 'first' })
    const struck = proxy.next('rst')
    expect((await failureOf(wire, [ADD])).outcome).toBe('unknown')
    await struck
    expect((await run(wire, GET)).value?.toString()).toBe('mine')
    await wire.close()
  })

  it('does not take another protocol for Redis', async () => {
    await using server = await ScriptedServer.start({ onRequest: () => undefined })
    const wire = redisWireTo(`redis://127.0.0.1:${String(server.port)}`)
    expect((await failureOf(wire)).message).toContain('this is no reply of Redis (VERSION)')
    await wire.close()
  })
})

describe('versions', () => {
  it('never repeat, within a draw and across draws', () => {
    const random = new SeededRandom(7)
    const versions = new Versions({ bytes: (count) => Uint8Array.from({ length: count }, () => random.integer(256)) })
    const seen = new Set<string>()
    for (let batch = 0; batch < 50; batch++) {
      versions.begin()
      for (let i = 0; i < 300; i++) seen.add(versions.next())
    }
    expect(seen.size).toBe(15_000)
    for (const version of seen) expect(version).toMatch(/^[\w-]{11}$/)
  })
})

describe('the save path of a Redis', () => {
  it.each([
    ['redis://cache', { endpoint: { kind: 'tcp', host: 'cache', port: 6379 }, tls: undefined, credentials: undefined, database: 0 }],
    ['redis://cache:6380/2', { endpoint: { kind: 'tcp', host: 'cache', port: 6380 }, database: 2 }],
    ['redis://:s%40crt@[::1]/0', { endpoint: { kind: 'tcp', host: '::1', port: 6379 }, credentials: { username: 'default', password: 's@crt' } }],
    ['rediss://shop:secret@cache?ca=/ca.pem&verify=on', { tls: { ca: '/ca.pem', verify: true }, credentials: { username: 'shop' } }],
    ['redis+unix:///run/redis.sock', { endpoint: { kind: 'unix', path: '/run/redis.sock' }, database: 0 }],
    ['redis+unix://shop:secret@/run/redis.sock?db=4', { endpoint: { kind: 'unix', path: '/run/redis.sock' }, database: 4 }],
  ])('%s', (path, expected) => {
    expect(redisServerOf(path)).toMatchObject(expected)
  })

  it.each([
    ['redis://a,redis://b', 'name one server'],
    ['redis://a/x', 'a database is a number'],
    ['redis://a?replicas=0', 'replicas is a number from 1 to 9'],
    ['redis://a?db=1', 'the database stands behind the host'],
    ['redis://a?ca=/x', 'the parameter ca needs rediss://'],
    ['redis://secret@a', 'credentials are user:password, or :password'],
    ['redis://a?dbb=1', 'did you mean db?'],
    ['redis://', 'not a host name'],
    ['redis+unix://run/redis.sock', 'a socket needs an absolute path'],
    ['redis:/a', 'did you mean redis://'],
  ])('%s is refused: %s', (path, problem) => {
    expect(() => readSavePath(path)).toThrow(InvalidSavePathError)
    expect(() => readSavePath(path)).toThrow(problem)
  })
})
