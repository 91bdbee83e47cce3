/** The pool where it cannot grow, and where several of its connections are dead at once without a word. */
import { afterEach, describe, expect, it } from 'vitest'
import { SessionManager } from '../../src/index.js'
import { systemClock } from '../../src/system/clock.js'
import { createMemcachedWire, type MemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import type { Command, Reply } from '../../src/wire/wire.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { FaultProxy } from '../support/proxy.js'
import { serversOf } from '../support/servers.js'
import { ScriptedServer } from './memcached-scripted-server.js'

const GET: Command = { op: 'get', key: 'k' }
const PROTOCOLS = ['text', 'binary'] as const

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

function wireTo(address: string, flightMs: number, protocol = 'text'): MemcachedWire {
  const servers = serversOf(`tcp://${address}?protocol=${protocol}`)
  const wire = createMemcachedWire({ servers, clock: systemClock, flightMs })
  open.push(wire)
  return wire
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const outcomesOf = async (flights: readonly Promise<Reply[]>[]): Promise<string[]> =>
  (await Promise.allSettled(flights)).map((flight) => (flight.status === 'fulfilled' ? 'ok' : String(flight.reason)))

describe('a pool that cannot grow', () => {
  it.each([
    ['is refused', undefined],
    ['is told that there are too many', 'ERROR Too many open connections\r\n'],
  ])('fails nobody while a live connection serves: a second one %s', async (_how, words) => {
    let answer = (): void => undefined
    await using server = await ScriptedServer.start({
      onRequest: () => undefined,
      onConnect: (socket) => {
        if (server.connections > 1) {
          if (words === undefined) socket.destroy()
          else socket.end(words)
          return
        }
        socket.once('data', () => {
          socket.write('VERSION 1.6.18\r\nEND\r\nEND\r\n')
          // Each batch is answered when the test says so; from then on at once.
          socket.on('data', (request: Buffer) => {
            const replies = 'EN\r\n'.repeat(String(request).split('mg ').length - 1)
            answer = () => socket.write(replies)
            if (server.connections > 3) answer()
          })
        })
      },
    })
    const wire = wireTo(`127.0.0.1:${String(server.port)}`, 20_000)
    const flights = [wire.flight('r', [GET])]
    while (server.connections < 4) {
      await turn()
      if (flights.length < 50) flights.push(wire.flight('r', [GET]))
    }
    answer()
    expect(await outcomesOf(flights)).toEqual(flights.map(() => 'ok'))
  })

  it('still tells those who wait at once when the last connection has gone as well', async () => {
    await using server = await ScriptedServer.start({
      onRequest: () => undefined,
      onConnect: (socket) => {
        if (server.connections > 1) socket.destroy()
        else socket.once('data', () => socket.write('VERSION 1.6.18\r\nEND\r\nEND\r\n'))
      },
    })
    const wire = wireTo(`127.0.0.1:${String(server.port)}`, 600_000)
    const sent = wire.flight('r', [GET]).catch((error: unknown) => error)
    while (server.connections < 1 || Object.values(wire.stats())[0]?.batches !== 1) await turn()
    const waiting = wire.flight('r', [GET]).catch((error: unknown) => error)
    while (server.connections < 3) await turn()
    server.sockets[0]?.destroy()
    expect(await sent).toMatchObject({ outcome: 'unknown' })
    expect(await waiting).toMatchObject({ outcome: 'not-sent', cause: { name: 'ConnectError' } })
  })

  it.each(PROTOCOLS)('a real server at its limit (-c) serves all that one connection can, %s', async (protocol) => {
    await using server = await MemcachedServer.start({ args: ['-c', '40'] })
    const wire = wireTo(server.address, 10_000, protocol)
    await wire.flight('r', [{ op: 'add', key: 'k', value: Buffer.alloc(300_000), ttlSec: 100 }])
    // Strangers take what is left.
    const strangers = []
    while ((await closedBy(server)) === undefined && strangers.length < 60) strangers.push(await held(server))
    const flights = []
    for (let i = 0; i < 200; i++) {
      flights.push(wire.flight('r', [GET]))
      if (i % 4 === 0) await turn()
    }
    expect(await outcomesOf(flights)).toEqual(flights.map(() => 'ok'))
    for (const stranger of strangers) stranger.destroy()
  })
})

/** A connection that stays. */
async function held(server: MemcachedServer): Promise<ReturnType<MemcachedServer['connect']>> {
  const socket = server.connect()
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

/** What a newcomer is told before the door is shut; undefined while there is room. */
async function closedBy(server: MemcachedServer): Promise<string | undefined> {
  const socket = server.connect()
  return new Promise((resolve) => {
    socket.on('error', () => resolve('refused'))
    socket.once('data', (words) => {
      socket.destroy()
      resolve(String(words).startsWith('VERSION') ? undefined : String(words))
    })
    socket.write('version\r\n')
  })
}

describe('several connections that are dead at once, without a word', () => {
  /** Opens `count` connections at a time, all idle in the end. */
  async function widen(wire: MemcachedWire, proxy: FaultProxy, count: number): Promise<void> {
    while (proxy.counts.connections < count) {
      const flights = []
      for (let i = 0; i < 4 * count; i++) {
        flights.push(wire.flight('r', [{ op: 'set', key: 'wide', value: Buffer.alloc(200_000), ttlSec: 100 }]))
        await turn()
      }
      await Promise.all(flights)
    }
  }

  it.each(PROTOCOLS)('the first unanswered flight is the last, %s', async (protocol) => {
    await using server = await MemcachedServer.start()
    await using proxy = await FaultProxy.start(server)
    const wire = wireTo(proxy.address, 4000, protocol)
    await widen(wire, proxy, 3)
    proxy.onRequest = (segment, connection) => (connection <= 3 ? undefined : segment)
    const outcomes = []
    for (let i = 0; i < 4; i++) outcomes.push(...(await outcomesOf([wire.flight('r', [GET])])))
    expect(outcomes.map((outcome) => outcome === 'ok')).toEqual([false, true, true, true])
  })

  it('a connection that was answered since keeps its place, and what was read over it its trust', async () => {
    await using server = await MemcachedServer.start()
    await using proxy = await FaultProxy.start(server)
    const wire = wireTo(proxy.address, 4000)
    await widen(wire, proxy, 2)
    const [added] = await wire.flight('r', [{ op: 'add', key: 'mine', value: Buffer.from('x'), ttlSec: 100 }])
    const lost = proxy.next('dropReply', { when: (request) => String(request).includes('lost') })
    const unanswered = outcomesOf([wire.flight('r', [{ op: 'get', key: 'lost' }])])
    await lost
    await wire.flight('r', [GET])
    const [outcome] = await unanswered
    expect(outcome).toContain('in time')
    if (added?.cas === undefined) throw new Error('no CAS')
    const [freed] = await wire.flight('r', [{ op: 'cad', key: 'mine', cas: added.cas }])
    expect(freed?.status).toBe('ok')
  })

  it.each(PROTOCOLS)('a commit over the first of them is resolved over a fresh one, %s', async (protocol) => {
    await using server = await MemcachedServer.start()
    await using proxy = await FaultProxy.start(server)
    const manager = new SessionManager({ savePath: `tcp://${proxy.address}?protocol=${protocol}`, deadlineMs: 9000 })
    open.push({ close: () => manager.close({ graceMs: 0 }) })
    while (proxy.counts.connections < 3) {
      const all = []
      for (let i = 0; i < 12; i++) {
        all.push(manager.run<{ text: string }>(`wide${String(i)}`, (session) => void (session.data.text = 'x'.repeat(200_000))))
        await turn()
      }
      await Promise.all(all)
    }
    const session = await manager.start<{ n: number }>('mine')
    session.data.n = 1
    const dead = proxy.counts.connections
    proxy.onRequest = (segment, connection) => (connection <= dead ? undefined : segment)
    await session.release()
    const again = await manager.start<{ n: number }>('mine')
    expect(again.data.n).toBe(1)
    await again.release()
  })
})
