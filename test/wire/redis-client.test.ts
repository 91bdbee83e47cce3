import { setTimeout as delay } from 'node:timers/promises'
import { InvalidOptionError, SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import type { WireSubject, WireSubjectOptions } from '../../src/testing/wire-conformance/subject.js'
import { openWireOver } from '../../src/wire/open-wire.js'
import { createClientWire } from '../../src/wire/redis/client/client-wire.js'
import type { RedisCaller } from '../../src/wire/redis/client/redis-caller.js'
import { type Command, type Wire } from '../../src/wire/wire.js'
import { LagMeter } from '../faults/lag-meter.js'
import { failureOf } from '../support/flight-failure.js'
import { FaultProxy } from '../support/proxy.js'
import { type ForeignClient, makerOf } from '../support/redis-clients.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'
import { itConformsToo } from './conformance.js'

const PATIENCE_MS = 30_000
const wireOver = (client: object, flightMs = PATIENCE_MS): Wire => openWireOver(client, { clock: systemClock, flightMs, connections: 1 })

/** How often the script was carried out. */
const callsIn = async (server: RedisProcess): Promise<number> =>
  [...(await server.command('INFO commandstats')).matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)

/** Until it has connected: a client connects, and teaches the server its script, with the first command: that may take longer than a test's deadline. */
const untilWarm = (wire: Wire): Promise<void> => expect.poll(() => wire.flight('r', [{ op: 'get', key: 'k' }]).then(() => true, () => false)).toBe(true)

const ADD: Command = { op: 'add', key: 'k', value: 'mine', ttlSec: 9 }

for (const name of ['ioredis', 'node-redis'] as const) {
  const make = makerOf(name)?.alone
  describe.skipIf(!hasRedis || make === undefined)(`a client of ${name}`, () => {
    const subject = async ({ small = false }: WireSubjectOptions = {}): Promise<WireSubject> => {
      const server = await RedisProcess.start({ args: small ? ['--maxmemory', '8mb'] : [] })
      const foreign = await clientTo(server)
      const wire = wireOver(foreign.client)
      return {
        wire,
        advance: (ms) => delay(ms),
        close: async () => {
          await wire.close()
          await foreign.close()
          await server.stop()
        },
        restart: () => server.restart(),
        comparesWhenFull: true,
      }
    }
    const clientTo = async ({ port }: { readonly port: number }): Promise<ForeignClient> => {
      if (make === undefined) throw new Error(`${name} is not installed`)
      return make('127.0.0.1', port)
    }

    itConformsToo(name, subject, /^out of memory/)

    it('a connection that breaks before the answer: unknown, and nothing is sent a second time', async () => {
      await using server = await RedisProcess.start()
      await using proxy = await FaultProxy.start(server)
      const foreign = await clientTo(proxy)
      const wire = wireOver(foreign.client)
      expect((await wire.flight('r', [{ op: 'get', key: 'k' }]))[0]?.status).toBe('missing')
      const before = await callsIn(server)
      void proxy.next('rst').catch(() => undefined)
      expect(await failureOf(wire, [ADD])).toMatchObject({ outcome: 'unknown' })
      // Connected again, and what was carried out is there once.
      expect((await wire.flight('r', [{ op: 'get', key: 'k' }]))[0]?.value?.toString()).toBe('mine')
      await delay(300)
      expect(await callsIn(server)).toBe(before + 2)
      await wire.close()
      await foreign.close()
    })

    it('a server that is away: nothing is sent, also not when it is back', async () => {
      await using server = await RedisProcess.start()
      const foreign = await clientTo(server)
      const wire = wireOver(foreign.client, 500)
      await untilWarm(wire)
      await server.kill()
      await delay(50)
      using lag = new LagMeter()
      const startMs = performance.now()
      expect(await failureOf(wire, [ADD])).toMatchObject({ outcome: 'not-sent' })
      const endMs = performance.now()
      expect(endMs - startMs - lag.between(startMs, endMs)).toBeLessThan(1500)
      await server.restart()
      await expect.poll(() => wire.flight('r', [{ op: 'get', key: 'k' }]).then(([reply]) => reply?.status, () => undefined), { timeout: 8000 }).toBe('missing')
      await wire.close()
      await foreign.close()
    })

    it("a server that stands still: unknown in time, and the application's client goes on", async () => {
      await using server = await RedisProcess.start()
      const foreign = await clientTo(server)
      const wire = wireOver(foreign.client, 400)
      await untilWarm(wire)
      await server.pause()
      expect(await failureOf(wire, [ADD])).toMatchObject({ outcome: 'unknown' })
      server.resume()
      await expect.poll(() => wire.flight('r', [{ op: 'get', key: 'k' }]).then(([reply]) => reply?.status, () => undefined)).toBe('ok')
      await wire.close()
      await foreign.close()
    })

    it('a replica refuses, for certain', async () => {
      await using server = await RedisProcess.start()
      const foreign = await clientTo(server)
      const wire = wireOver(foreign.client)
      await wire.flight('r', [{ op: 'get', key: 'k' }])
      await server.command('REPLICAOF 127.0.0.1 1')
      expect(await failureOf(wire, [ADD])).toMatchObject({ outcome: 'not-sent', answer: expect.stringMatching(/READONLY/) as string })
      await wire.close()
      await foreign.close()
    })

    it('a manager keeps sessions by it, lists them, and leaves the client as it was', async () => {
      await using server = await RedisProcess.start()
      const foreign = await clientTo(server)
      const manager = new SessionManager({ client: foreign.client })
      await Promise.all([1, 2, 3, 4].map(() => manager.run('an-id', ({ data }) => {
        data['n'] = Number(data['n'] ?? 0) + 1
      })))
      expect(await manager.peek('an-id')).toEqual({ n: 4 })
      expect(await manager.length()).toBe(1)
      await manager.close()
      const again = new SessionManager({ client: foreign.client })
      expect(await again.peek('an-id')).toEqual({ n: 4 })
      await again.close()
      await foreign.close()
    })
  })
}

describe('a client that cannot be taken', () => {
  it.each([
    [{}, 'a client of ioredis'],
    [{ sendCommand: () => undefined, getMasterNode: () => undefined }, 'a Sentinel client of node-redis'],
  ])('%j: %s', (client, message) => {
    expect(() => new SessionManager({ client })).toThrow(InvalidOptionError)
    expect(() => new SessionManager({ client })).toThrow(message)
  })

  it('or besides another place', () => {
    expect(() => new SessionManager({ client: {}, savePath: 'memory:' })).toThrow('in place of savePath')
  })
})

const alone = makerOf('ioredis')?.alone

describe.skipIf(!hasRedis || alone === undefined)('a library that sends again by itself what was not answered', () => {
  it('is found out: what is there is of this very write, and its outcome is unknown', async () => {
    await using server = await RedisProcess.start()
    const foreign = await alone?.('127.0.0.1', server.port)
    if (foreign === undefined || !(hasCallBuffer(foreign.client))) throw new Error('no client')
    const { client } = foreign
    const caller: RedisCaller = {
      ...{ library: 'a library', isCluster: false, hasPrefix: false },
      ready: () => Promise.resolve(),
      call: async ([command = '', ...words]) => {
        await client.callBuffer(String(command), ...words)
        return client.callBuffer(String(command), ...words)
      },
      failureOf: (error) => (error instanceof Error && error.message.startsWith('NOSCRIPT') ? { outcome: 'answered', answer: error.message } : { outcome: 'unknown' }),
      leave: () => undefined,
      close: () => Promise.resolve(),
    }
    const wire = createClientWire({ caller, clock: systemClock, flightMs: PATIENCE_MS })
    expect(await failureOf(wire, [ADD])).toMatchObject({ outcome: 'unknown', message: expect.stringContaining('a second time by itself') as string })
    const [found] = await wire.flight('r', [{ op: 'get', key: 'k' }])
    if (found?.cas === undefined) throw new Error('nothing is there')
    expect(await failureOf(wire, [{ ...ADD, op: 'cas', cas: found.cas }])).toMatchObject({ outcome: 'unknown' })
    await foreign.close()
  })

  it("that takes the answer of one call for another's: unknown, and no session is shown to another", async () => {
    await using server = await RedisProcess.start()
    const foreign = await alone?.('127.0.0.1', server.port)
    if (foreign === undefined || !(hasCallBuffer(foreign.client))) throw new Error('no client')
    const { client } = foreign
    let last: unknown
    const caller: RedisCaller = {
      ...{ library: 'a library', isCluster: false, hasPrefix: false },
      ready: () => Promise.resolve(),
      call: async ([command = '', ...words]) => {
        const before = last
        last = await client.callBuffer(String(command), ...words)
        return before ?? last
      },
      failureOf: (error) => (error instanceof Error && error.message.startsWith('NOSCRIPT') ? { outcome: 'answered', answer: error.message } : { outcome: 'unknown' }),
      leave: () => undefined,
      close: () => Promise.resolve(),
    }
    const wire = createClientWire({ caller, clock: systemClock, flightMs: PATIENCE_MS })
    await wire.flight('r', [ADD])
    expect(await failureOf(wire, [{ ...ADD, key: 'other' }])).toMatchObject({ outcome: 'unknown' })
    await foreign.close()
  })
})

const hasCallBuffer = (client: object): client is { callBuffer(command: string, ...words: (string | Buffer)[]): Promise<unknown> } => 'callBuffer' in client
