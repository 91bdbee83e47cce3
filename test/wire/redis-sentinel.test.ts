import { setTimeout as delay } from 'node:timers/promises'
import { InvalidSavePathError, LatchkeyError, SessionManager } from 'latchkey'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run } from '../../src/testing/wire-conformance/subject.js'
import { readSavePath } from '../../src/wire/open-wire.js'
import { commandOf } from '../../src/wire/redis/resp.js'
import { readSentinelPath } from '../../src/wire/redis/sentinel/sentinel-path.js'
import { type Command } from '../../src/wire/wire.js'
import { failureOf } from '../support/flight-failure.js'
import { RedisProcess } from '../support/redis-server.js'
import { hasOurs, hasSentinel, SentinelProcess, SERVICE, WatchedServers } from '../support/redis-sentinels.js'
import { until } from '../support/until.js'
import { sentinelWireTo } from '../support/redis-subject.js'
import { type Answer, ScriptedRedis } from '../support/scripted-redis.js'
import { itConformsToo } from './conformance.js'

const GET: Command = { op: 'get', key: 'k' }

const count = (manager: SessionManager): Promise<unknown> =>
  manager.run('an-id', ({ data }) => {
    data['n'] = Number(data['n'] ?? 0) + 1
  })

describe.skipIf(!hasSentinel)('on a primary that three Sentinels watch', () => {
  let watched: WatchedServers
  beforeAll(async () => {
    watched = await WatchedServers.start({ replicas: 1 })
  })
  afterAll(() => watched.stop())

  // What takes seconds is shown on a Redis alone: it is the same codec.
  itConformsToo('redis that Sentinels watch', async ({ wide = false } = {}) => {
    const wire = sentinelWireTo(watched.savePath, wide ? {} : { connections: 1 })
    return { wire, advance: (ms) => delay(ms), close: () => wire.close() }
  }, /^out of memory|^time to live/)

  it('events name the primary, counts name the Sentinels', async () => {
    const wire = sentinelWireTo(watched.savePath)
    await run(wire, GET)
    expect(wire.nodeOf?.('r')).toEqual({ name: watched.savePath, system: 'redis', address: '127.0.0.1', port: watched.first.port })
    expect(Object.keys(wire.stats())).toEqual([watched.savePath])
    await wire.close()
  })
})

describe.skipIf(!hasSentinel).concurrent('a failover', () => {
  it('is followed by who has a connection that still works, and the old primary keeps none of ours', async () => {
    // A primary that its replicas have left takes no writes: else a request that reads there, and stores at the next primary, is
    // fenced off now and then, because that one has never heard of what was read.
    await using watched = await WatchedServers.start({ args: ['--min-replicas-to-write', '2'] })
    const follow = (primary: RedisProcess): Promise<void> =>
      until('both replicas follow', async () => (await primary.command('INFO replication')).includes('min_slaves_good_slaves:2'))
    await follow(watched.first)
    // Patient, as the machine may be busy: what is waited for here ends by itself.
    const manager = new SessionManager({ savePath: watched.savePath, deadlineMs: 30_000, waitMs: 60_000 })
    await count(manager)
    const next = await watched.failOver()
    const codes = new Set<string>()
    await until('the manager has moved', async () => {
      await count(manager).catch((error: unknown) => {
        if (!(error instanceof LatchkeyError)) throw error
        codes.add(error.code)
      })
      return (await hasOurs(next)) === true
    })
    await until('the old primary is left', async () => (await hasOurs(watched.first)) === false)
    for (const code of codes) expect(['LATCHKEY_SERVER_UNAVAILABLE', 'LATCHKEY_SERVER_REFUSED', 'LATCHKEY_OUTCOME_UNKNOWN']).toContain(code)
    await follow(next)
    await count(manager)
    await manager.close()
  })
})

const words = (...all: readonly string[]): string => commandOf(...all)

/** What a Sentinel says of a primary at that port. */
const says = (port: number, epoch: number): Answer => (asked) => {
  const [command, what] = asked
  if (command === 'SUBSCRIBE') return words('subscribe', '+switch-master').replace('*2', '*3').concat(':1\r\n')
  if (command !== 'SENTINEL') return undefined
  return what === 'MASTER' ? words('name', SERVICE, 'config-epoch', String(epoch)) : words('127.0.0.1', String(port))
}
const sentinel = (answer: Answer): Promise<ScriptedRedis> => ScriptedRedis.start(answer, { mode: 'sentinel' })
const pathOf = (...sentinels: readonly { readonly port: number }[]): string =>
  `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${String(port)}`).join(',')}/${SERVICE}`
const nothing: Answer = ([command]) => (command === 'GET' ? '$-1\r\n' : '+OK\r\n')
const redis = (role: 'master' | 'replica' = 'master'): Promise<ScriptedRedis> => ScriptedRedis.start(nothing, { mode: 'standalone', role })

describe.concurrent('what Sentinels say', () => {
  it('of several the one counts that has seen the latest failover, and one that is silent holds nobody up', async () => {
    await using old = await redis()
    await using primary = await redis()
    await using stale = await sentinel(says(old.port, 1))
    await using first = await sentinel(says(primary.port, 2))
    await using mute = await sentinel(() => undefined)
    // Half of it for the Sentinels: who waits for the one that is silent waits for 30 s.
    const wire = sentinelWireTo(pathOf(mute, stale, first), { flightMs: 60_000 })
    const beganMs = performance.now()
    expect((await run(wire, GET)).status).toBe('missing')
    expect(performance.now() - beganMs).toBeLessThan(25_000)
    expect([old.asked, primary.asked]).toEqual([[], ['GET k']])
    await wire.close()
  })

  it('a hint is looked into: the connections go where all say that the primary is, flights under way are unknown', async () => {
    let port = 0
    await using next = await redis()
    await using primary = await ScriptedRedis.start(() => undefined, { mode: 'standalone' })
    port = primary.port
    await using only = await sentinel((asked, node) => says(port, 1)(asked, node))
    const wire = sentinelWireTo(pathOf(only))
    const flight = failureOf(wire)
    // Two questions a look: one for the connection, one when it is subscribed, and one for each hint.
    const looks = (): number => only.asked.filter((asked) => asked.startsWith('SENTINEL')).length / 2
    await until('all is asked', () => Promise.resolve(primary.asked.includes('GET k') && looks() === 2))
    only.say(words('message', '+switch-master', `${SERVICE} 127.0.0.1 ${String(next.port)} 127.0.0.1 ${String(next.port)}`))
    await until('it is looked into', () => Promise.resolve(looks() === 3))
    port = next.port
    only.say(words('message', '+switch-master', `another ${SERVICE}`))
    only.say(words('message', '+switch-master', `${SERVICE} 127.0.0.1 1 127.0.0.1 2`))
    const { outcome, message } = await flight
    expect([outcome, message]).toEqual(['unknown', expect.stringContaining(`the primary is at 127.0.0.1:${String(next.port)} now`)])
    expect((await run(wire, GET)).status).toBe('missing')
    expect(next.asked).toEqual(['GET k'])
    await wire.close()
  })

  it.each<[string, Answer, RegExp]>([
    ['another name', ([command]) => (command === 'SENTINEL' ? '*-1\r\n' : undefined), /the Sentinel at \S+ watches no primary by the name shop/],
    ['an error', ([command]) => (command === 'SENTINEL' ? '-NOPERM no\r\n' : undefined), /answered with an error \(NOPERM no\)/],
    ['no address', ([command]) => (command === 'SENTINEL' ? words('no host!', '0') : undefined), /does not say where the primary is/],
    ['half an address', ([command]) => (command === 'SENTINEL' ? words('127.0.0.1') : undefined), /does not say where the primary is/],
    ['garbage', ([command]) => (command === 'SENTINEL' ? 'VERSION 1.6.18\r\n' : undefined), /this is no reply of Redis/],
    ['nothing', () => undefined, /did not answer|no answer/],
  ])('%s: nothing is sent, and the message says why', async (what, answer, why) => {
    await using one = await sentinel(answer)
    // Only silence is waited for, for half of it: so far ahead of the end of the flight that a busy machine does not mix them up.
    const wire = sentinelWireTo(pathOf(one), what === 'nothing' ? { flightMs: 8000 } : {})
    const { outcome, message } = await failureOf(wire)
    expect([outcome, message]).toEqual(['not-sent', expect.stringMatching(why)])
    expect(message).toContain('no Sentinel tells where the primary is')
    await wire.close()
  })

  it('one that names a replica is believed when the replica is the primary', async () => {
    await using replica = await redis('replica')
    await using one = await sentinel(says(replica.port, 1))
    const wire = sentinelWireTo(pathOf(one))
    expect((await failureOf(wire)).message).toContain('it is a replica, and takes no writes: its Sentinels still take it for the primary')
    expect(replica.asked).toEqual([])
    await wire.close()
  })

  it('all dead, or a Redis in their place', async () => {
    await using alone = await redis()
    const one = await sentinel(() => undefined)
    await one[Symbol.asyncDispose]()
    const wire = sentinelWireTo(pathOf(one, alone))
    const { outcome, message } = await failureOf(wire)
    expect([outcome, message]).toEqual(['not-sent', expect.stringMatching(/ECONNREFUSED.*no Sentinel answers here, but a Redis/)])
    await wire.close()
  })
})

describe.skipIf(!hasSentinel)('a Sentinel with a password of its own', () => {
  it('is told it, and no password reaches a message', async () => {
    await using primary = await RedisProcess.start({ args: ['--requirepass', 'secret'] })
    await using gate = await SentinelProcess.start(['requirepass "of the gate"', `sentinel monitor ${SERVICE} 127.0.0.1 ${String(primary.port)} 1`])
    const path = `redis+sentinel://:secret@${gate.address}/${SERVICE}`
    const wire = sentinelWireTo(`${path}?sentinel=:of%20the%20gate`)
    expect((await run(wire, GET)).status).toBe('missing')
    await wire.close()
    for (const [wrong, why] of [[path, 'the server wants credentials'], [`${path}?sentinel=:wrong`, 'the server refused the credentials'], [`${path.replace('secret', 'other')}?sentinel=:of%20the%20gate`, 'now at']] as const) {
      const refused = sentinelWireTo(wrong)
      const { message } = await failureOf(refused)
      expect(message).toContain(why)
      expect(message).toContain('Check the user name and password of the save path.')
      expect(message).not.toMatch(/secret|wrong|other/)
      await refused.close()
    }
  })
})

describe('the save path of Sentinels', () => {
  const refuse = (where: string, problem: string): never => {
    throw new Error(`${where}: ${problem}`)
  }
  it.each([
    ['redis+sentinel://a,b:5000,[::1]/shop', { sentinels: [{ endpoint: { host: 'a', port: 26379 }, credentials: undefined }, { endpoint: { host: 'b', port: 5000 } }, { endpoint: { host: '::1', port: 26379 } }], service: 'shop', database: 0, replicas: 0, credentials: undefined, tls: undefined }],
    ['redis+sentinel://u:p%2Fw@a/my.shop-1?db=3&replicas=2&sentinel=:s%40crt', { sentinels: [{ credentials: { username: 'default', password: 's@crt' } }], service: 'my.shop-1', database: 3, replicas: 2, credentials: { username: 'u', password: 'p/w' } }],
    ['rediss+sentinel://a/shop?ca=/ca.pem', { sentinels: [{ tls: { ca: '/ca.pem' } }], tls: { ca: '/ca.pem', verify: true } }],
  ])('%s', (path, expected) => {
    expect(readSentinelPath(path, refuse)).toMatchObject(expected)
  })

  it.each([
    ['redis+sentinel://a,b', 'the name by which they know the primary'],
    ['redis+sentinel://a/', 'the name by which they know the primary'],
    ['redis+sentinel://a/shop/0', 'the name by which they know the primary'],
    ['redis+sentinel://a,,b/shop', 'server 2: not a host name'],
    ['redis+sentinel://a/shop?sentinel=secret', 'credentials are user:password'],
    ['redis+sentinel://a/shop?ca=/x', 'needs rediss+sentinel://'],
    ['redis://a?sentinel=:x', 'the parameter sentinel needs redis+sentinel://'],
    ['redis+sentinal://a/shop', 'did you mean redis+sentinel://'],
  ])('%s is refused: %s', (path, problem) => {
    expect(() => readSavePath(path)).toThrow(InvalidSavePathError)
    expect(() => readSavePath(path)).toThrow(problem)
    expect(() => readSavePath(path)).not.toThrow(/secret/)
  })
})
