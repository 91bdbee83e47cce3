import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SessionManager } from 'latchkey'
import { phpDialect } from '../../src/session/dialect/php-dialect.js'
import { checkedPhp } from '../../src/session/dialect/php-options.js'
import { type Clock, systemClock } from '../../src/system/clock.js'
import { legsOf, sendLegs } from '../../src/wire/legs.js'
import { createMemcachedWire, type MemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { parseServers } from '../../src/wire/memcached/save-path.js'
import { type Command, FlightError, type Receiver, type Reply } from '../../src/wire/wire.js'
import { MemcachedServer } from '../support/memcached-server.js'

const refuse = (...words: unknown[]): never => {
  throw new Error(words.join(' '))
}

const get = (key: string): Command => ({ op: 'get', key })
const add = (key: string): Command => ({ op: 'add', key, value: 'x', ttlSec: 10 })

describe('legs', () => {
  const nodeOf = (key: string): number => Number(key[0])

  it('commands that follow each other on one node are one leg; the order stays', () => {
    expect(legsOf([add('0a'), get('0b'), get('1c'), get('0d')], nodeOf).map(({ node, commands }) => [node, commands.map(({ key }) => key)])).toEqual([
      [0, ['0a', '0b']],
      [1, ['1c']],
      [0, ['0d']],
    ])
    expect(legsOf([], nodeOf)).toEqual([])
  })

  function play(commands: readonly Command[]) {
    const sent: [number, Receiver][] = []
    const told: { landed?: readonly Reply[]; error?: unknown } = {}
    const receiver: Receiver = { landed: (replies) => void (told.landed = replies), failed: (error) => void (told.error = error) }
    sendLegs(legsOf(commands, nodeOf), (leg, next) => sent.push([leg.node, next]), receiver)
    return { sent, told }
  }

  const reply = (flags: number): Reply => ({ status: 'ok', value: undefined, flags, cas: undefined })

  it('the second leaves when the first was answered, and never before', () => {
    const { sent, told } = play([add('0'), get('1')])
    expect(sent.length).toBe(1)
    sent[0]?.[1].landed([reply(1)])
    expect(sent.length).toBe(2)
    expect(told.landed).toBeUndefined()
    sent[1]?.[1].landed([reply(2)])
    expect(told.landed?.map(({ flags }) => flags)).toEqual([1, 2])
  })

  it('a failure of the first is its own, and the second is not sent', () => {
    const { sent, told } = play([add('0'), get('1')])
    const error = new FlightError('not-sent', 'no')
    sent[0]?.[1].failed(error)
    expect(told.error).toBe(error)
    expect(sent.length).toBe(1)
  })

  it('a failure after the first is unknown, though the second was not sent; of reads alone it is not', () => {
    const wrote = play([add('0'), get('1')])
    wrote.sent[0]?.[1].landed([reply(1)])
    wrote.sent[1]?.[1].failed(new FlightError('not-sent', 'no', { untrusted: true }))
    expect(wrote.told.error).toMatchObject({ outcome: 'unknown', untrusted: false })
    const read = play([get('0'), get('1')])
    read.sent[0]?.[1].landed([reply(1)])
    read.sent[1]?.[1].failed(new FlightError('not-sent', 'no'))
    expect(read.told.error).toMatchObject({ outcome: 'not-sent' })
  })
})

describe('a wire to three servers, as PHP uses them', () => {
  const servers: MemcachedServer[] = []
  let savePath = ''
  let wire: MemcachedWire
  const dialect = phpDialect(checkedPhp({ extension: 'memcached' }))
  const layout = dialect.layoutFor(undefined)

  beforeAll(async () => {
    servers.push(...(await Promise.all([1, 2, 3].map(() => MemcachedServer.start()))))
    savePath = servers.map(({ port }) => `tcp://127.0.0.1:${String(port)}`).join(',')
    wire = createMemcachedWire({ servers: parseServers(savePath, refuse), clock: systemClock, placement: dialect.placement })
  })

  afterAll(async () => {
    await wire.close()
    await Promise.all(servers.map((server) => server.stop()))
  })

  /** A second after it was made a manager looks at the lists of its servers, which would be counted as well. */
  const hundredfold: Clock = { ...systemClock, setTimer: (fn, ms, options) => systemClock.setTimer(fn, 100 * ms, options) }
  const flights = (manager: SessionManager): number => Object.values(manager.stats().nodes).reduce((sum, node) => sum + node.flights, 0)
  const nodesOf = (manager: SessionManager): string[] => Object.entries(manager.stats().nodes).flatMap(([name, node]) => (node.flights > 0 ? [name] : []))

  it('a cycle is two flights and four commands where record and lock share a node, and four flights where not', async () => {
    const seen = new Set<number>()
    for (let tries = 0; seen.size < 2; tries++) {
      // On a busy machine a flight that is asked again, or a renewal, would be counted as well.
      const manager = new SessionManager({ savePath, php: { extension: 'memcached' }, deadlineMs: 60_000, leaseSec: 240, clock: hundredfold })
      const id = manager.createSid()
      await manager.run(id, (session) => void (session.data['a'] = 1))
      const before = flights(manager)
      await manager.run(id, (session) => void (session.data['a'] = 2))
      const count = flights(manager) - before
      const nodes = nodesOf(manager).length
      await manager.close()
      expect([nodes, count]).toEqual(nodes === 1 ? [1, 2] : [2, 4])
      seen.add(nodes)
      expect(tries).toBeLessThan(50)
    }
  })

  it('each command goes to the node of its key, and the replies come in order', async () => {
    const ids = Array.from({ length: 60 }, (_, index) => `id${String(index)}`)
    const keys = ids.flatMap((id) => Object.values(layout.keysOf(id)) as string[])
    const stored = await wire.flight('', keys.map((key) => ({ op: 'set', key, value: key, ttlSec: 60 })))
    expect(stored.every(({ status }) => status === 'ok')).toBe(true)
    const read = await wire.flight('', keys.map(get))
    expect(read.map(({ value }) => String(value))).toEqual(keys)
    const counts = await Promise.all(servers.map((server) => server.stat('curr_items')))
    expect(Math.min(...counts)).toBeGreaterThan(20)
  })

  it('a node that is away is an error of the sessions that it has a part of, unknown where the rest was done', async () => {
    const id = ids().find((one) => placeOf(one).lock === 0 && placeOf(one).record === 1) ?? ''
    await servers[1]?.stop()
    const { lock, record } = layout.keysOf(id)
    await expect(wire.flight(id, [add(lock), get(record)])).rejects.toMatchObject({ outcome: 'unknown' })
    await expect(wire.flight(id, [get(record)])).rejects.toBeInstanceOf(FlightError)
    await expect(wire.flight(id, [get(lock)])).resolves.toMatchObject([{ status: 'ok' }])
  })

  const ids = (): string[] => Array.from({ length: 500 }, (_, index) => `x${String(index)}`)

  function placeOf(id: string): { readonly lock: number; readonly record: number } {
    const { lock, record } = layout.keysOf(id)
    const at = (key: string): number => {
      const part = dialect.placement?.hashedPart(key) ?? ''
      return servers.findIndex(({ port }) => wireNode(part).endsWith(String(port)))
    }
    return { lock: at(lock), record: at(record) }
  }

  /** `nodeOf` hashes the name of a lock: what is asked is the node of any part. */
  function wireNode(part: string): string {
    const probe = createMemcachedWire({
      servers: parseServers(savePath, refuse),
      clock: systemClock,
      placement: { ring: 'ketama', hashedPart: (key) => key, hashedPartOf: (route) => route },
    })
    return probe.nodeOf?.(part).name ?? ''
  }
})
