/** Batches, trust in a CAS, routing, and the end of a wire. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../src/system/clock.js'
import { createMemcachedWire, type MemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { FlightError, type Cas, type Command, type Reply } from '../../src/wire/wire.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { builtCode } from '../support/programs.js'
import { serversOf } from '../support/servers.js'
import { binaryReplies, ScriptedServer } from './memcached-scripted-server.js'

interface WireToOptions {
  readonly flightMs?: number
  readonly connections?: number
  readonly clock?: Clock
}

function wireTo(savePath: string, options: WireToOptions = {}): MemcachedWire {
  const servers = serversOf(savePath)
  // Nothing here is told by the deadline, unless the test says so; on a busy machine the rest takes its time.
  return createMemcachedWire({ servers, clock: systemClock, flightMs: 20_000, ...options })
}

const local = (port: number, protocol = 'text'): string => `tcp://127.0.0.1:${String(port)}?protocol=${protocol}`
const add = (key: string, value = 'x'): Command => ({ op: 'add', key, value: Buffer.from(value), ttlSec: 100 })
const get = (key: string): Command => ({ op: 'get', key })

function casOf(reply: Reply | undefined): Cas {
  if (reply?.cas === undefined) throw new Error(`no CAS: ${String(reply?.status)}`)
  return reply.cas
}

const failureOf = (flight: Promise<unknown>): Promise<unknown> =>
  flight.then(
    () => 'it flew',
    (error: unknown) => error,
  )

describe.concurrent.each(['text', 'binary'] as const)('%s: batches', (protocol) => {
  it('all flights of one turn are one write on one connection', async () => {
    await using server = await ScriptedServer.start({
      protocol,
      onRequest: (socket, request) => socket.write(protocol === 'text' ? replies(request) : binaryReplies(request)),
    })
    const wire = wireTo(local(server.port, protocol))
    await wire.flight('r', [get('first')])
    const flights = Array.from({ length: 100 }, (_, i) => wire.flight(String(i), [get(`k${String(i)}`), add('lock')]))
    // Still the same turn, though some promises later.
    await Promise.resolve()
    flights.push(wire.flight('r', [get('last')]))
    await Promise.all(flights)
    expect(server.requests).toHaveLength(2)
    expect(server.connections).toBe(1)
    expect(wire.stats()).toEqual({
      [`tcp://127.0.0.1:${String(server.port)}`]: { flights: 102, commands: 202, failed: 0, batches: 2, connectionsOpened: 1, connections: 1 },
    })
    await wire.close()
  })

  it('what comes while all connections are busy is the next batch', async () => {
    await using server = await MemcachedServer.start()
    const wire = wireTo(local(server.port, protocol), { connections: 1 })
    const flights: Promise<Reply[]>[] = []
    for (let turn = 0; turn < 50; turn++) {
      for (let i = 0; i < 20; i++) flights.push(wire.flight('r', [add(`k${String(turn)}-${String(i)}`)]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    for (const [reply] of await Promise.all(flights)) expect(reply?.status).toBe('ok')
    const [stats] = Object.values(wire.stats())
    expect(stats?.batches).toBeLessThan(51)
    await wire.close()
  })

  it('a turn that takes longer than the deadline of a flight is not held against the flights of that turn', async () => {
    await using server = await MemcachedServer.start()
    let aheadMs = 0
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs }
    const wire = wireTo(local(server.port, protocol), { flightMs: 10_000, clock })
    await wire.flight('r', [get('first')])
    const flights = Array.from({ length: 300 }, (_, i) => wire.flight('r', [add(`slow${String(i)}`)]))
    aheadMs = 50_000
    for (const [reply] of await Promise.all(flights)) expect(reply?.status).toBe('ok')
    await wire.close()
  })

  it('large values do not travel in one giant batch', async () => {
    await using server = await MemcachedServer.start()
    const wire = wireTo(local(server.port, protocol))
    const value = 'v'.repeat(200_000)
    const stored = await Promise.all(
      Array.from({ length: 20 }, (_, i) => wire.flight('r', [add(`k${String(i)}`, value), get(`k${String(i)}`)])),
    )
    for (const [added, read] of stored) {
      expect([added?.status, read?.value?.length, casOf(added)]).toEqual(['ok', 200_000, casOf(read)])
    }
    const [stats] = Object.values(wire.stats())
    expect(stats?.batches).toBeGreaterThanOrEqual(10)
    await wire.close()
  })
})

/** Answers what this test sends in text: EN to each read, STORED to each store. */
function replies(request: Buffer): string {
  const commands = [...String(request).matchAll(/^(mg|add) /gm)]
  return commands.map(([, op]) => (op === 'add' ? 'STORED\r\n' : 'EN\r\n')).join('')
}

describe.concurrent.each(['text', 'binary'] as const)('%s: trust in a CAS', (protocol) => {
  it('a restarted server counts from 1 again, and an old CAS is not sent there', async () => {
    await using server = await MemcachedServer.start()
    const wire = wireTo(local(server.port, protocol))
    const [mine] = await wire.flight('r', [add('k', 'mine')])
    await server.restart()
    const [theirs] = await untilSent(() => wire.flight('r', [add('k', 'theirs')]))
    // The trap: to the server it would be the right CAS.
    expect(casOf(theirs).version).toBe(casOf(mine).version)
    const stale: Command[] = [
      { op: 'cas', key: 'k', value: Buffer.from('lost'), ttlSec: 100, cas: casOf(mine) },
      { op: 'cad', key: 'k', cas: casOf(mine) },
    ]
    for (const command of stale) {
      const error = await failureOf(wire.flight('r', [get('k'), command]))
      expect(error).toMatchObject({ name: 'FlightError', outcome: 'not-sent', untrusted: true })
    }
    const [read] = await wire.flight('r', [get('k')])
    expect(String(read?.value)).toBe('theirs')
    const fresh: Command = { op: 'cas', key: 'k', value: Buffer.from('new'), ttlSec: 100, cas: casOf(read) }
    expect((await wire.flight('r', [fresh]))[0]?.status).toBe('ok')
    await wire.close()
  })

  it('one flight without trust does not take its batch with it', async () => {
    await using server = await MemcachedServer.start()
    const wire = wireTo(local(server.port, protocol))
    const [mine] = await wire.flight('r', [add('k')])
    await server.restart()
    await untilSent(() => wire.flight('r', [get('k')]))
    const [good, bad, alsoGood] = await Promise.allSettled([
      wire.flight('r', [add('a')]),
      wire.flight('r', [add('never'), { op: 'cad', key: 'k', cas: casOf(mine) }]),
      wire.flight('r', [add('b')]),
    ])
    expect([good.status, bad.status, alsoGood.status]).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((await wire.flight('r', [get('never')]))[0]?.status).toBe('missing')
    await wire.close()
  })

  it('a pool that grows makes no CAS worthless', async () => {
    await using server = await MemcachedServer.start()
    const wire = wireTo(local(server.port, protocol), { connections: 4 })
    const [first] = await wire.flight('r', [add('k')])
    // A flight in each turn: those that come while a batch is under way need another connection.
    const cycle = async (i: number): Promise<void> => {
      const key = `k${String(i)}`
      let cas = casOf((await wire.flight('r', [add(key)]))[0])
      for (let step = 0; step < 5; step++) {
        const command: Command = { op: 'cas', key, value: Buffer.alloc(5000), ttlSec: 100, cas, wantCas: true }
        cas = casOf((await wire.flight('r', [command]))[0])
      }
    }
    const cycles: Promise<void>[] = []
    for (let i = 0; i < 200; i++) {
      cycles.push(cycle(i))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(cycles)
    const [stats] = Object.values(wire.stats())
    expect(stats?.connectionsOpened).toBeGreaterThan(1)
    expect((await wire.flight('r', [{ op: 'cad', key: 'k', cas: casOf(first) }]))[0]?.status).toBe('ok')
    await wire.close()
  })
})

describe('a connection to a server that does not say which process it is', () => {
  it('is younger than every CAS from before it', async () => {
    await using server = await ScriptedServer.start({
      onRequest: (socket, request) => {
        if (String(request).startsWith('mg')) socket.write('VA 1 kk f0 c7\r\nx\r\n')
        else socket.destroy()
      },
    })
    const wire = wireTo(local(server.port))
    const [read] = await wire.flight('r', [get('k')])
    expect(await failureOf(wire.flight('r', [add('k')]))).toMatchObject({ outcome: 'unknown' })
    const [again] = await wire.flight('r', [get('k')])
    expect(server.connections).toBe(2)
    const cad = (cas: Cas): Promise<unknown> => failureOf(wire.flight('r', [{ op: 'cad', key: 'k', cas }]))
    expect(await cad(casOf(read))).toMatchObject({ outcome: 'not-sent', untrusted: true })
    expect(await cad(casOf(again))).toMatchObject({ outcome: 'unknown' })
    await wire.close()
  })
})

async function untilSent<T>(fly: () => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      return await fly()
    } catch (error) {
      if (!(error instanceof FlightError)) throw error
    }
  }
  throw new Error('the server does not come back')
}

describe('several nodes', () => {
  it('each session has one, and a dead one is an error for its own sessions only', async () => {
    await using one = await MemcachedServer.start()
    await using two = await MemcachedServer.start()
    const wire = wireTo(`${one.address},${two.address}?weight=3&protocol=binary`)
    const routes = Array.from({ length: 1000 }, (_, i) => `session${String(i)}`)
    await Promise.all(routes.map((route) => wire.flight(route, [add(route), add(`${route}-lck`)])))
    const [onOne, onTwo] = [await one.stat('curr_items'), await two.stat('curr_items')]
    expect(onOne + onTwo).toBe(2000)
    expect(onTwo / onOne).toBeGreaterThan(1.8)
    await two.kill()
    const outcomes = await Promise.all(
      routes.map((route) => wire.flight(route, [get(route)]).then(([reply]) => reply?.status, () => 'failed')),
    )
    expect(outcomes.filter((outcome) => outcome === 'ok')).toHaveLength(onOne / 2)
    expect(outcomes.filter((outcome) => outcome === 'failed')).toHaveLength(onTwo / 2)
    await wire.close()
  })
})

describe('what must not reach a socket', () => {
  it.each([
    ['a version of another wire', { op: 'cad', key: 'k', cas: { version: '1 noreply', asOf: 9 } }],
    ['no TTL', { ...add('k'), ttlSec: 0 }],
    ['half a second', { ...add('k'), ttlSec: 0.5 }],
    ['flags that are no flags', { ...add('k'), flags: -1 }],
    ['a key with a line end', get('k\r\nflush_all')],
  ] as const)('%s', async (_name, command) => {
    await using server = await MemcachedServer.start()
    const wire = wireTo(server.address)
    const failed = await failureOf(wire.flight('r', [add('other'), command as Command]))
    expect(failed).toMatchObject({ name: 'FlightError', outcome: 'not-sent' })
    expect((await wire.flight('r', [get('other')]))[0]?.status).toBe('missing')
    await wire.close()
  })
})

describe('limits', () => {
  it.each(['text', 'binary'])('the item size is learnt from the server, %s', async (protocol) => {
    await using server = await MemcachedServer.start({ args: ['-I', '4m'] })
    const wire = wireTo(local(server.port, protocol))
    expect(wire.maxValueBytes('r', 'k')).toBeLessThan(1024 * 1024)
    await wire.flight('r', [get('k')])
    const limit = wire.maxValueBytes('r', 'k')
    expect(limit).toBeGreaterThan(4 * 1024 * 1024 - 200)
    const [added, read] = await wire.flight('r', [add('k', 'v'.repeat(limit)), get('k')])
    expect([added?.status, read?.value?.length]).toEqual(['ok', limit])
    await wire.close()
  })
})

describe.concurrent('the end', () => {
  it('close rejects what waits and what is under way, and lets nothing in afterwards', async () => {
    await using server = await ScriptedServer.start({ onRequest: () => undefined })
    const wire = wireTo(local(server.port), { connections: 1, flightMs: 10_000 })
    const sent = failureOf(wire.flight('r', [get('k')]))
    while (server.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
    const waiting = failureOf(wire.flight('r', [get('k')]))
    const closed = wire.close()
    expect(wire.close()).toBe(closed)
    const after = failureOf(wire.flight('r', [get('k')]))
    expect(await sent).toMatchObject({ outcome: 'unknown' })
    expect(await waiting).toMatchObject({ outcome: 'not-sent' })
    expect(await after).toMatchObject({ outcome: 'not-sent' })
    await closed
    for (const socket of server.sockets) {
      if (!socket.closed) await new Promise((done) => socket.once('close', done))
    }
  })

  it('close does not wait for a server that never answers the handshake', async () => {
    await using server = await ScriptedServer.start({ onRequest: () => undefined, onConnect: () => undefined })
    const wire = wireTo(local(server.port), { flightMs: 60_000 })
    const waiting = failureOf(wire.flight('r', [get('k')]))
    while (server.connections === 0) await new Promise((resolve) => setImmediate(resolve))
    await wire.close()
    expect(await waiting).toMatchObject({ outcome: 'not-sent' })
  })

  it.each([
    ['an idle wire does not keep its process alive', 'await wire.flight("r", [{ op: "get", key: "k" }])', 'ended 0'],
    ['nor does one that failed', 'await wire.flight("r", [{ op: "get", key: "k" }]).catch(() => 0)', 'ended 0'],
    [
      'a flight does, until it is settled',
      'wire.flight("r", [{ op: "get", key: "k" }]).then(() => console.log("flew"), (e) => console.log(e.outcome))',
      'flew ended 0|not-sent ended 0',
    ],
  ])('%s', async (name, script, expected) => {
    await using server = await MemcachedServer.start()
    const port = name.includes('failed') ? 1 : server.port
    const code = `
      import { readSavePath } from './src/wire/open-wire.ts'
      import { systemClock } from './src/system/clock.ts'
      import { createMemcachedWire } from './src/wire/memcached/memcached-wire.ts'
      const { servers } = readSavePath('127.0.0.1:${String(port)}')
      const wire = createMemcachedWire({ servers, clock: systemClock, flightMs: 60_000 })
      process.on('exit', (code) => console.log('ended', code))
      ${script}
    `
    const { stdout } = await promisify(execFile)(process.execPath, [await builtCode(code)], { timeout: 50_000 })
    expect(expected.split('|')).toContain(stdout.trim().replace(/\s+/g, ' '))
  })
})
