/** Versions of our own making, through memcached's proxy: what they keep, what they save, and what they need. */
import { LatchkeyError, SessionManager, type SessionManagerOptions } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../src/system/clock.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import type { Command } from '../../src/wire/wire.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { memcachedProxyConfiguration, memcachedWithExplicitVersions, missingProxy, startProxy } from '../support/proxies.js'
import { serversOf } from '../support/servers.js'

const missing = missingProxy('proxy')
const RECORD = 'sess:{visitor}'
const OWN = /^VALUE \S+ \d+ \d+ \d{20}\r\n/

interface Scene extends AsyncDisposable {
  readonly server: MemcachedServer
  readonly address: string
  open(versions: '' | '&versions=own', options?: SessionManagerOptions): SessionManager
}

async function scene(args: readonly string[] = []): Promise<Scene> {
  const binary = memcachedWithExplicitVersions
  const server = await MemcachedServer.start({ args, ...(binary === undefined ? {} : { binary }) })
  const proxy = await startProxy('proxy', memcachedProxyConfiguration([server.address]))
  const managers: SessionManager[] = []
  return {
    server,
    address: proxy.address,
    open(versions, options) {
      const manager = new SessionManager({ savePath: `tcp://${proxy.address}?via=proxy${versions}`, deadlineMs: 30_000, ...options })
      managers.push(manager)
      return manager
    },
    async [Symbol.asyncDispose]() {
      for (const manager of managers) await manager.close({ graceMs: 0 })
      await proxy.stop()
      await server.stop()
    },
  }
}

const count = (session: { readonly data: Record<string, unknown> }): void => {
  session.data['visits'] = Number(session.data['visits'] ?? 0) + 1
}

describe.skipIf(missing !== '')(`versions=own${missing}`, () => {
  it('a server that is restarted at once, unseen, takes no late write: no version comes twice', async () => {
    await using it = await scene()
    const manager = it.open('&versions=own')
    await manager.run('visitor', count)
    const late = await manager.start('visitor')
    count(late)
    expect(await it.server.commandText(`gets ${RECORD}`)).toMatch(OWN)
    expect(await it.server.commandText(`gets ${RECORD}-lck`)).toMatch(OWN)
    await it.server.restart()
    await it.server.commandText(`set ${RECORD} 7 100 8\r\nstranger`)
    await expect(late.release()).rejects.toBeInstanceOf(LatchkeyError)
    expect(await it.server.commandText(`get ${RECORD}`)).toContain('stranger')
  })

  it('a request over a third of deadlineMs need not read its versions again before it stores', async () => {
    await using it = await scene()
    let skippedMs = 0
    const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + skippedMs }
    const cost = async (versions: '' | '&versions=own'): Promise<number> => {
      const manager = it.open(versions, { clock, leaseSec: 300 })
      await manager.run('visitor', count)
      const before = flightsOf(manager)
      await manager.run('visitor', async (session) => {
        count(session)
        skippedMs += 12_000
      })
      return flightsOf(manager) - before
    }
    const own = await cost('&versions=own')
    // One that is refused because it is too old, and the reading.
    expect(await cost('')).toBe(own + 2)
  })

  it('whoever was fenced off gives the record another version, and its holder stores it all the same', async () => {
    await using it = await scene()
    const manager = it.open('&versions=own')
    await manager.run('visitor', count)
    await manager.run('visitor', async (session) => {
      count(session)
      expect(await it.server.commandText(`md ${RECORD} I E12345678901234567890`)).toBe('HD\r\n')
    })
    expect(await manager.peek('visitor')).toEqual({ visits: 2 })
  })

  it('is refused where a server is too old to keep them, and the message says so', async () => {
    const old = await MemcachedServer.start()
    if (!(await isOlder(old))) return old.stop()
    await using proxy = await startProxy('proxy', memcachedProxyConfiguration([old.address]))
    const manager = new SessionManager({ savePath: `tcp://${proxy.address}?via=proxy&versions=own`, waitMs: 600_000 })
    const entered = manager.run('visitor', () => expect.unreachable('the session was entered'))
    await expect(entered).rejects.toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED' })
    await expect(entered).rejects.toThrow(/older than memcached 1\.6\.27/)
    await manager.close({ graceMs: 0 })
    await old.stop()
  })

  it('a server without memory takes no record with it, and no session is silently empty', async () => {
    await using it = await scene(['-m', '8', '-M'])
    const manager = it.open('&versions=own')
    const body = 'x'.repeat(1000)
    await manager.run('visitor', (session) => {
      session.data['body'] = body
    })
    const held = await manager.start('visitor')
    await fill(it.server)
    held.data['body'] = `${body}${body}${body}`
    await expect(held.release()).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_REFUSED' })
    expect(await manager.peek('visitor')).toEqual({ body })
  })
})

const flightsOf = (manager: SessionManager): number =>
  Object.values(manager.stats().nodes).reduce((sum, { flights }) => sum + flights, 0)

/** Stores until nothing more is taken. */
async function fill(server: MemcachedServer): Promise<void> {
  const wire = createMemcachedWire({ servers: serversOf(`tcp://${server.address}`), clock: systemClock, flightMs: 10_000 })
  let stored = 1
  for (const size of [3000, 1000]) {
    for (let round = 0; stored > 0; round++) {
      const adds = Array.from({ length: 200 }, (_, at): Command => ({ op: 'add', key: `filling-${String(size)}-${String(round)}-${String(at)}`, value: 'f'.repeat(size), ttlSec: 100 }))
      stored = (await wire.flight('filling', adds)).filter(({ status }) => status === 'ok').length
    }
    stored = 1
  }
  await wire.close()
}

async function isOlder(server: MemcachedServer): Promise<boolean> {
  const [, minor = 0] = /^VERSION 1\.6\.(\d+)/.exec(await server.commandText('version')) ?? []
  return Number(minor) < 27
}
