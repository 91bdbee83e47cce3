import { InvalidSavePathError, SessionManager } from 'latchkey'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { casOf, run, stored, text } from '../../src/testing/wire-conformance/subject.js'
import { readSavePath } from '../../src/wire/open-wire.js'
import type { ClusterWire } from '../../src/wire/redis/cluster/cluster-wire.js'
import { slotOf } from '../../src/wire/redis/cluster/slot.js'
import { type Command } from '../../src/wire/wire.js'
import { LagMeter } from '../faults/lag-meter.js'
import { failureOf } from '../support/flight-failure.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { clusterSubject, clusterWireTo } from '../support/redis-cluster-subject.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'
import { redisWireTo } from '../support/redis-subject.js'
import { type Answer, ScriptedRedis } from '../support/scripted-redis.js'
import { itConformsToo } from './conformance.js'

describe.skipIf(!hasRedis)('on a Redis Cluster of three', () => {
  let cluster: RedisCluster
  let wire: ClusterWire
  beforeAll(async () => {
    cluster = await RedisCluster.start()
    wire = clusterWireTo(cluster.savePath)
  })
  afterAll(async () => {
    await wire.close()
    await cluster.stop()
  })

  /** The node of a slot, and another one. */
  async function ends(slot: number): Promise<{ from: RedisProcess; to: RedisProcess }> {
    const from = await cluster.ownerOf(slot)
    const to = cluster.primaries.find((node) => node !== from)
    if (to === undefined) throw new Error('no other node')
    return { from, to }
  }

  itConformsToo('redis cluster', async (options) => clusterSubject(cluster, options), /^out of memory/)

  it.each(['foo', 'sess:{abc}-lck', '{}x', 'a{b', 'a{b}{c}', 'a{}{c}', 'x'.repeat(250), '~!#$%&', '{{a}}'])('%s is in the slot that Redis says', async (key) => {
    expect(await cluster.primaries[0]?.command(`CLUSTER KEYSLOT ${key}`)).toBe(`:${String(slotOf(key))}`)
  })

  it('the keys of a session are in one slot, and ids that would part them are refused', async () => {
    const manager = new SessionManager({ savePath: cluster.savePath })
    await manager.run('an-id', ({ data }) => {
      data['n'] = 1
    })
    const { from } = await ends(slotOf('{an-id}'))
    expect(await from.command('EXISTS sess:{an-id}')).toBe(':1')
    await expect(manager.start('}x')).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_ID' })
    expect(() => new SessionManager({ savePath: cluster.savePath, prefix: 'a{' })).toThrow(/looks for in a key, or the cluster/)
    await manager.close()
  })

  it('follows a slot that has moved, and asks the new node at once from then on', async () => {
    const { key } = await stored(wire, 'x', '{moved}')
    const { from, to } = await ends(slotOf(key))
    const before = wire.stats()
    await cluster.move(slotOf(key), to)
    expect((await run(wire, { op: 'get', key })).status).toBe('ok')
    expect((await run(wire, { op: 'get', key })).status).toBe('ok')
    const at = (node: RedisProcess): number => {
      const name = `redis+cluster://${node.address}`
      return (wire.stats()[name]?.batches ?? 0) - (before[name]?.batches ?? 0)
    }
    expect(at(from)).toBeLessThanOrEqual(2)
    expect(at(to)).toBeGreaterThanOrEqual(2)
  })

  it('while a slot is on its way, a record that has not moved yet is not taken for one that does not exist', async () => {
    const { key } = await stored(wire, 'the record', '{on its way}'.replace(/ /g, '-'))
    const slot = slotOf(key)
    const { from, to } = await ends(slot)
    await cluster.beginMove(slot, from, to)
    const lock = `${key}-lck`
    const start: readonly Command[] = [{ op: 'add', key: lock, value: 'mine', ttlSec: 20 }, { op: 'get', key }]
    // The lock is made on the node that the slot is on its way to, the record is read from the one that it leaves.
    const [added, found] = await wire.flight('r', start)
    expect(added?.status).toBe('ok')
    expect(found?.value?.toString()).toBe('the record')
    expect(await from.command(`EXISTS ${key}`)).toBe(':1')
    expect(await from.command(`EXISTS ${lock}`)).toMatch(/^-ASK/)
    if (added === undefined || found === undefined) throw new Error('no replies')
    // One script on both keys is refused by either node.
    const end: readonly Command[] = [
      { op: 'cas', key, cas: casOf(found), value: text('changed'), ttlSec: 20 },
      { op: 'cad', key: lock, cas: casOf(added) },
    ]
    expect((await wire.flight('r', end)).map(({ status }) => status)).toEqual(['ok', 'ok'])
    expect((await run(wire, { op: 'get', key })).value?.toString()).toBe('changed')
    // A stale version is refused there as well, and nothing is deleted.
    expect((await wire.flight('r', end)).map(({ status }) => status)).toEqual(['exists', 'missing'])
    await cluster.moveKey(key, from, to)
    expect((await run(wire, { op: 'get', key })).value?.toString()).toBe('changed')
    expect((await run(wire, { op: 'touch', key, ttlSec: 30 })).status).toBe('ok')
    await cluster.endMove(slot, from, to)
    expect((await run(wire, { op: 'get', key })).value?.toString()).toBe('changed')
  })

  it('and the script is taught to a node that has forgotten it while a slot is on its way to it', async () => {
    const { key, cas } = await stored(wire, 'x', '{forgotten}')
    const slot = slotOf(key)
    const { from, to } = await ends(slot)
    await cluster.beginMove(slot, from, to)
    await cluster.moveKey(key, from, to)
    expect((await run(wire, { op: 'get', key })).status).toBe('ok')
    await to.command('SCRIPT FLUSH')
    expect((await run(wire, { op: 'cad', key, cas })).status).toBe('ok')
    await cluster.endMove(slot, from, to)
  })

  it('sessions go on being locked and stored while their slot is on its way', async () => {
    const manager = new SessionManager({ savePath: cluster.savePath })
    const id = 'travelling'
    const count = async (): Promise<void> => {
      await manager.run(id, ({ data }) => {
        data['n'] = Number(data['n'] ?? 0) + 1
      })
    }
    await count()
    const slot = slotOf(`{${id}}`)
    const { from, to } = await ends(slot)
    await cluster.beginMove(slot, from, to)
    await Promise.all([count(), count(), count()])
    const held = await manager.start(id)
    await cluster.moveKey(`sess:{${id}}`, from, to)
    held.data['n'] = Number(held.data['n']) + 1
    await held.save()
    await held.release()
    await count()
    await cluster.endMove(slot, from, to)
    await Promise.all([count(), count()])
    expect(await manager.peek(id)).toEqual({ n: 8 })
    await manager.destroy(id)
    await manager.close()
  })

  it('lists the keys of all nodes, also while a slot is on its way', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, async () => (await stored(wire, 'x', 'walked')).key))
    const [key = ''] = keys
    const { from, to } = await ends(slotOf(key))
    await cluster.beginMove(slotOf(key), from, to)
    const found = new Set<string>()
    for await (const one of wire.keys('walked')) {
      if (found.size === 0) await cluster.moveKey(key, from, to)
      found.add(one)
    }
    await cluster.endMove(slotOf(key), from, to)
    expect([...found].sort()).toEqual([...keys].sort())
  })

  it('redis:// to one of its nodes is refused, with a word of redis+cluster://, and so is the reverse', async () => {
    const alone = redisWireTo(cluster.primaries[0]?.savePath ?? '')
    expect((await failureOf(alone, [{ op: 'get', key: 'k' }])).message).toContain('Write redis+cluster://')
    await alone.close()
    await using server = await RedisProcess.start()
    const manager = new SessionManager({ savePath: `redis+cluster://${server.address}` })
    await expect(manager.start('x')).rejects.toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED', message: expect.stringContaining('Write redis://') as string })
    await manager.close()
  })
})

describe('a cluster that says what makes no sense', () => {
  const GET: Command = { op: 'get', key: 'k' }
  const slotsOf = (slots: (node: ScriptedRedis) => string, other: Answer): Answer => (words, node) => (words[0] === 'CLUSTER' ? slots(node) : other(words, node))
  const whole = (other: Answer): Answer => slotsOf((node) => node.allSlots, other)

  it('nodes that refer to each other in a circle', async () => {
    await using second = await ScriptedRedis.start(whole(() => `-MOVED 12706 ${first.address}\r\n`))
    await using first: ScriptedRedis = await ScriptedRedis.start(whole(() => `-MOVED 12706 ${second.address}\r\n`))
    const wire = clusterWireTo(`redis+cluster://${first.address}`, { flightMs: 2000 })
    expect(await failureOf(wire, [GET])).toMatchObject({ outcome: 'not-sent', answer: expect.stringMatching(/^MOVED/) as string })
    expect(first.asked.filter((asked) => asked === 'GET k').length + second.asked.filter((asked) => asked === 'GET k').length).toBe(8)
    await wire.close()
  })

  it('a node that names ever new ones', async () => {
    // Below those that tests take for their servers.
    let port = 9_000
    await using node: ScriptedRedis = await ScriptedRedis.start(whole(() => `-MOVED 12706 127.0.0.1:${String(++port)}\r\n`))
    const wire = clusterWireTo(`redis+cluster://${node.address}`, { flightMs: 1000 })
    const failures = await Promise.all(Array.from({ length: 30 }, () => failureOf(wire, [GET])))
    for (const failure of failures) expect(failure.outcome).toBe('not-sent')
    expect(Object.keys(wire.stats()).length).toBeLessThanOrEqual(18)
    await wire.close()
  })

  it.each([
    ['MOVED', 'refused'],
    ['MOVED 12706', 'refused'],
    ['MOVED 12706 nowhere:99999', 'refused'],
    ['MOVED 12706 :0', 'refused'],
    ['ASK 12706 127.0.0.1:1', 'refused'],
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'refused'],
    ['CLUSTERDOWN Hash slot not served', 'refused'],
    ['CLUSTERDOWN The cluster is down', 'refused'],
    ['LOADING Redis is loading the dataset in memory', 'refused'],
    ['READONLY You can\'t write against a read only replica.', 'refused'],
    ['MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to \'no\'.', 'refused'],
    ['ERR something', 'unknown'],
  ])('%s: %s, in time', async (error, outcome) => {
    await using node = await ScriptedRedis.start(whole((words) => (words[0] === 'ASKING' ? '+OK\r\n' : `-${error}\r\n`)))
    const wire = clusterWireTo(`redis+cluster://${node.address}`, { flightMs: 1000 })
    using lag = new LagMeter()
    const startMs = performance.now()
    const failure = await failureOf(wire, [{ op: 'add', key: 'k', value: 'v', ttlSec: 9 }, GET])
    const endMs = performance.now()
    expect(failure.outcome).toBe(outcome === 'refused' ? 'not-sent' : 'unknown')
    expect(endMs - startMs - lag.between(startMs, endMs)).toBeLessThan(1500)
    await wire.close()
  })

  it.each([
    ['*0\r\n', 'No node of the cluster serves this session'],
    ['*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n$1\r\nx\r\n:1\r\n', 'an answer to CLUSTER SLOTS that is none'],
    ['+OK\r\n', 'an answer to CLUSTER SLOTS that is none'],
    ['-NOPERM no\r\n', 'refuses CLUSTER SLOTS'],
  ])('a table like %j', async (table, message) => {
    await using node = await ScriptedRedis.start(slotsOf(() => table, () => '+OK\r\n'))
    const wire = clusterWireTo(`redis+cluster://${node.address}`, { flightMs: 1000 })
    expect(await failureOf(wire, [GET])).toMatchObject({ outcome: 'not-sent', message: expect.stringContaining(message) as string })
    await wire.close()
  })

  it('what was carried out before the rest was refused is told as unknown, and is not sent again', async () => {
    await using node = await ScriptedRedis.start(whole((words) => {
      if (words[0] === 'EVALSHA') return '-CLUSTERDOWN The cluster is down\r\n'
      return words[0] === 'SET' ? '+OK\r\n' : '$-1\r\n'
    }))
    const wire = clusterWireTo(`redis+cluster://${node.address}`, { flightMs: 1000 })
    const cas = { version: 'abcdefghijk', asOf: 0 }
    expect(await failureOf(wire, [{ op: 'set', key: 'k', value: 'v', ttlSec: 9 }, { op: 'cad', key: 'k', cas }])).toMatchObject({ outcome: 'unknown' })
    expect(node.asked.filter((asked) => asked.startsWith('SET')).length).toBe(1)
    await wire.close()
  })

  it('what is not answered is unknown, and is not sent again', async () => {
    await using node = await ScriptedRedis.start(whole(() => undefined))
    const wire = clusterWireTo(`redis+cluster://${node.address}`, { flightMs: 3000 })
    expect(await failureOf(wire, [GET])).toMatchObject({ outcome: 'unknown' })
    expect(node.asked.filter((asked) => asked === 'GET k').length).toBe(1)
    await wire.close()
  })
})

describe('the save path of a cluster', () => {
  it.each([
    ['redis+cluster://a/1', 'a cluster has one database'],
    ['redis+cluster://a,', 'server 2: not a host name'],
    ['redis+cluster://a?ca=/x', 'the parameter ca needs rediss+cluster://'],
    ['redis+cluster://a?replicas=x', 'replicas is a number'],
    ['redis://a,b', 'redis+cluster://'],
    ['redis+clutser://a', 'did you mean redis+cluster://'],
  ])('%s is refused: %s', (path, problem) => {
    expect(() => readSavePath(path)).toThrow(InvalidSavePathError)
    expect(() => readSavePath(path)).toThrow(problem)
  })
})
