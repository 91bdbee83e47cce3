/** Sessions on several servers behind a proxy: each has all its keys on one of them, and its requests exclude each other. */
import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { writtenConfiguration } from '../../src/wire/memcached/operator/written-configurations.js'
import { rowsOf } from '../support/matrix.js'
import type { MemcachedServer } from '../support/memcached-server.js'
import { configurationOf, keysThrough, memcachedProxyConfiguration, missingProxy, PROXY_KINDS, type ProxyKind, REAL_PROXY_KINDS, startProxy, threeServers, twemproxyConfiguration } from '../support/proxies.js'
import { serversOf } from '../support/servers.js'

const SESSIONS = 48

describe.each(rowsOf(PROXY_KINDS))('%s', (kind: ProxyKind) => {
  it.skipIf(missingProxy(kind) !== '')(`keeps each session on one of three servers, and loses nothing${missingProxy(kind)}`, async () => {
    await using servers = await threeServers()
    await using proxy = await startProxy(kind, configurationOf(kind, servers.addresses))
    const managers = [0, 1].map(() => new SessionManager({ savePath: `tcp://${proxy.address}?via=${kind}`, lifetimeSec: 3_000_000, deadlineMs: 10_000 }))
    const ids = Array.from({ length: SESSIONS }, (_, index) => `visitor-${String(index)}`)
    const visits = managers.flatMap((manager) => ids.flatMap((id) => [0, 1, 2].map(() => () => manager.run(id, count))))
    await Promise.all(visits.map((visit) => visit()))
    for (const id of ids) {
      const session = await managers[0]?.peek(id)
      expect(session).toMatchObject({ visits: 6 })
      // A lock that is held shows where the lock is.
      await managers[0]?.run(id, async () => {
        const places = await Promise.all(servers.all.map((server) => holds(server, kind, id)))
        expect(places.filter(({ record }) => record)).toHaveLength(1)
        expect(places.map(({ lock }) => lock)).toEqual(places.map(({ record }) => record))
      })
    }
    const shares = await Promise.all(servers.all.map((server) => server.stat('curr_items')))
    expect(Math.min(...shares)).toBeGreaterThan(0)
    for (const manager of managers) await manager.close()
  })
})

describe.each(rowsOf(REAL_PROXY_KINDS))('%s', (kind) => {
  it.skipIf(missingProxy(kind) !== '')(`refuses what names a proxy as if it was memcached, and says what to add${missingProxy(kind)}`, async () => {
    await using servers = await threeServers()
    const configuration = kind === 'twemproxy' ? twemproxyConfiguration(servers.addresses, { hash_tag: '"[]"' }) : memcachedProxyConfiguration(servers.addresses, false)
    await using proxy = await startProxy(kind, configuration)
    const manager = new SessionManager({ savePath: `tcp://${proxy.address}`, waitMs: 0 })
    await expect(manager.run('visitor', () => undefined)).rejects.toThrow(`?via=${kind}`)
    await manager.close()
  })
})

it.skipIf(missingProxy('proxy') !== '')(`a route that replicates is found out before anything of a session is sent${missingProxy('proxy')}`, async () => {
  await using servers = await threeServers()
  // Its count of versions is another than those of the others, as after a restart of any of them.
  await servers.all[2]?.commandText('set x 0 0 1\r\nx')
  const pools = servers.addresses.map((address, index) => `n${String(index)} = { backends = { "${address}" } }`)
  const all = 'children = { "n0", "n1", "n2" }'
  const routes = `routes{ cmap = { [mcp.CMD_GET] = route_failover{ ${all}, miss = true } }, default = route_allsync{ ${all} } }`
  await using proxy = await startProxy('proxy', `pools{ ${pools.join(', ')} }\n${routes}`)
  const manager = new SessionManager({ savePath: `tcp://${proxy.address}?via=proxy`, waitMs: 600_000 })
  const entered = manager.run('visitor', () => expect.unreachable('the session was entered'))
  await expect(entered).rejects.toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED' })
  await expect(entered).rejects.toThrow(/keeps each key on several servers/)
  await manager.close({ graceMs: 0 })
  for (const server of servers.all) expect(await server.commandText('get sess:{visitor}-lck')).toMatch(/^END/)
})

it("the article's topology behind mcrouter (writes to most, reads from one at random) is found out as well", async () => {
  await using servers = await threeServers()
  // Far apart: a probe that finds nothing in its reads lets the others count one more.
  for (let ahead = 0; ahead < 20; ahead++) await servers.all[2]?.commandText('set x 0 0 1\r\nx')
  await using router = await startProxy('mcrouter', writtenConfiguration(serversOf(servers.addresses.join(',')), 'mcrouter', 'cache') ?? '')
  const manager = new SessionManager({ savePath: `tcp://${router.address}?via=mcrouter`, waitMs: 600_000 })
  await expect(manager.run('visitor', () => expect.unreachable('the session was entered'))).rejects.toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED' })
  await manager.close({ graceMs: 0 })
  for (const server of servers.all) expect(await server.commandText('get sess:visitor|#|-lck')).toMatch(/^END/)
})

it('php cannot be kept behind a proxy, nor can a prefix with its marks', () => {
  expect(() => new SessionManager({ savePath: 'h?via=twemproxy', php: { extension: 'memcached' } })).toThrow(/php: through a proxy/)
  expect(() => new SessionManager({ savePath: 'h?via=twemproxy', prefix: '{app}:' })).toThrow(/prefix/)
})

async function count(session: { readonly data: Record<string, unknown> }): Promise<void> {
  session.data['visits'] = Number(session.data['visits'] ?? 0) + 1
}

async function holds(server: MemcachedServer, kind: ProxyKind, id: string): Promise<{ record: boolean; lock: boolean }> {
  const { record, lock } = keysThrough(kind, id)
  const has = async (key: string): Promise<boolean> => (await server.commandText(`get ${key}`)).startsWith('VALUE')
  return { record: await has(record), lock: await has(lock) }
}
