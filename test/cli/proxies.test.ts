/** The doctor, through proxies: what it finds by playing sessions, and by the proxy's configuration file. */
import { describe, expect, it } from 'vitest'
import type { Finding } from '../../src/wire/operated-store.js'
import { configurationFindings } from '../../src/wire/memcached/operator/proxy-configuration.js'
import { configurationOf, memcachedProxyConfiguration, memcachedWithExplicitVersions, missingProxy, PROXY_KINDS, type ProxyKind, REAL_PROXY_KINDS, startProxy, threeServers, twemproxyConfiguration } from '../support/proxies.js'
import { rowsOf } from '../support/matrix.js'
import { Mcrouter } from '../support/mcrouter/mcrouter.js'
import { jsonOf, latchkey } from './tool.js'

async function codesFound(kind: ProxyKind, address: string, file?: string, more = ''): Promise<{ codes: string[]; exitCode: number | null }> {
  const args = ['doctor', '--servers', `tcp://${address}?via=${kind}${more}`, ...(file === undefined ? [] : ['--proxy-file', '-'])]
  const outcome = await latchkey(args, file === undefined ? {} : { input: file })
  const { servers } = jsonOf(outcome) as { servers: { findings: Finding[] }[] }
  return { codes: servers.flatMap(({ findings }) => findings.map(({ code }) => code)), exitCode: outcome.exitCode }
}

const FINE = { codes: [], exitCode: 0 }

describe.each(rowsOf(PROXY_KINDS))('through %s', (kind) => {
  const missing = missingProxy(kind)

  it.skipIf(missing !== '')(`nothing is wrong where it is set as it should be${missing}`, async () => {
    await using servers = await threeServers()
    const configuration = configurationOf(kind, servers.addresses)
    await using proxy = await startProxy(kind, configuration)
    expect(await codesFound(kind, proxy.address, configuration)).toEqual(FINE)
  })

  it.skipIf(missing !== '')(`a server that is away is told, and does not look like a miss${missing}`, async () => {
    await using servers = await threeServers()
    await using proxy = await startProxy(kind, configurationOf(kind, servers.addresses))
    await servers.all[1]?.kill()
    const { codes } = await codesFound(kind, proxy.address)
    expect(codes).toContain('proxy-server-away')
    expect(codes).not.toContain('proxy-miss-on-error')
  })

  it.skipIf(missing !== '')(`what the proxy hides is not asked for${missing}`, async () => {
    await using servers = await threeServers()
    await using proxy = await startProxy(kind, configurationOf(kind, servers.addresses))
    for (const command of ['locks', 'stats']) {
      const { exitCode, err } = await latchkey([command, '--servers', `tcp://${proxy.address}?via=${kind}`])
      expect({ exitCode, code: (JSON.parse(err) as { error: { code: string } }).error.code }).toEqual({ exitCode: 5, code: 'LATCHKEY_NOT_SUPPORTED' })
    }
  })
})

describe.each(rowsOf(REAL_PROXY_KINDS))('through %s', (kind) => {
  const missing = missingProxy(kind)

  it.skipIf(missing !== '')(`keys that are hashed apart are found${missing}`, async () => {
    await using servers = await threeServers()
    const configuration = kind === 'twemproxy' ? twemproxyConfiguration(servers.addresses, { hash_tag: '"[]"' }) : memcachedProxyConfiguration(servers.addresses, false)
    await using proxy = await startProxy(kind, configuration)
    const { codes, exitCode } = await codesFound(kind, proxy.address)
    expect({ codes: [...new Set(codes)], exitCode }).toEqual({ codes: ['proxy-keys-apart'], exitCode: 1 })
  })
})

it.skipIf(missingProxy('twemproxy') !== '')('several connections to a server run commands out of their order, which is found', async () => {
  await using servers = await threeServers()
  await using proxy = await startProxy('twemproxy', twemproxyConfiguration(servers.addresses, { server_connections: '4' }))
  const { codes, exitCode } = await codesFound('twemproxy', proxy.address)
  expect(exitCode).toBe(1)
  // Either the connection is refused at once, or the flights show it.
  expect(codes.some((code) => code === 'proxy-out-of-order' || code === 'trial-failed')).toBe(true)
})

it.skipIf(memcachedWithExplicitVersions === undefined)('servers that take versions of our own, and are given none', async () => {
  await using servers = await threeServers(memcachedWithExplicitVersions)
  await using proxy = await startProxy('proxy', memcachedProxyConfiguration(servers.addresses))
  expect(await codesFound('proxy', proxy.address)).toEqual({ codes: ['proxy-restart-unseen'], exitCode: 0 })
  expect(await codesFound('proxy', proxy.address, undefined, '&versions=own')).toEqual(FINE)
})

describe('mcrouter is asked itself', () => {
  const play = async (route: unknown, options: Readonly<Record<string, string>> = {}): Promise<string[]> => {
    await using servers = await threeServers()
    const pools = { all: { servers: servers.addresses }, one: { servers: servers.addresses.slice(0, 1) } }
    await using router = await Mcrouter.start(JSON.stringify({ pools, route }), { options })
    const outcome = await latchkey(['doctor', '--servers', `tcp://${router.address}?via=mcrouter`])
    expect(jsonOf(outcome)).toMatchObject({ servers: [{ via: 'mcrouter', version: 'mcrouter 41.0.0' }] })
    const { servers: told } = jsonOf(outcome) as { servers: { findings: Finding[] }[] }
    return told.flatMap(({ findings }) => findings.map(({ code }) => code))
  }

  it('nothing is wrong with a pool', async () => {
    expect(await play('PoolRoute|all', { server_timeout_ms: '400', miss_on_get_errors: '0' })).toEqual([])
  })

  it.each(rowsOf([
    // All servers count alike, so that a session that is played shows nothing.
    ['writes go to all', { type: 'OperationSelectorRoute', default_policy: 'AllMajorityRoute|Pool|all', operation_policies: { get: 'PoolRoute|one', gets: 'PoolRoute|one' } }, {}, 'proxy-replicates'],
    ['reads go on to another server', { type: 'OperationSelectorRoute', default_policy: 'PoolRoute|all', operation_policies: { gets: 'MissFailoverRoute|Pool|all' } }, {}, 'proxy-replicates'],
    ['commands go to different servers', { type: 'OperationSelectorRoute', default_policy: 'PoolRoute|all', operation_policies: { add: 'PoolRoute|one' } }, {}, 'proxy-keys-apart'],
    ['errors look like misses', 'PoolRoute|all', { miss_on_get_errors: '1' }, 'proxy-miss-on-error'],
    ['a server that hangs is waited for', 'PoolRoute|all', { server_timeout_ms: '60000' }, 'proxy-timeout-long'],
  ] as const, 2))('%s', async (_what, route, options, code) => {
    expect(await play(route, options)).toContain(code)
  })
})

describe('a configuration file', () => {
  const found = (kind: Parameters<typeof configurationFindings>[0], text: string): string[] => configurationFindings(kind, text, 1000).map(({ code }) => code)

  it.each([
    [{}, []],
    [{ server_connections: '4' }, ['proxy-out-of-order']],
    [{ auto_eject_hosts: 'true' }, ['proxy-ejects-servers']],
    [{ timeout: '1000' }, ['proxy-timeout-long']],
    [{ timeout: '400 # ms' }, []],
    [{ hash_tag: '"[]"' }, ['proxy-keys-apart']],
    [{ distribution: 'random' }, ['proxy-keys-apart']],
  ])('of twemproxy with %o', (settings, codes) => {
    expect(found('twemproxy', twemproxyConfiguration(['a:1'], settings))).toEqual(codes)
  })

  it.each([
    [memcachedProxyConfiguration(['a:1']), []],
    [memcachedProxyConfiguration(['a:1'], false), ['proxy-keys-apart']],
    [memcachedProxyConfiguration(['a:1']).replace('route_direct', 'route_allsync'), ['proxy-replicates']],
    [`-- not route_allsync\n${memcachedProxyConfiguration(['a:1'])}`, []],
    [memcachedProxyConfiguration(['a:1']).replace('filter =', 'dist = mcp.dist_ring_hash, filter ='), ['proxy-one-server']],
    [`${memcachedProxyConfiguration(['a:1'])} backend_options = { connections = 4 }`, ['proxy-out-of-order']],
    [`${memcachedProxyConfiguration(['a:1'])} backend_options = { connections = 1 }`, []],
  ])('of memcached, %#', (text, codes) => {
    expect(found('proxy', text)).toEqual(codes)
  })

  it.each([
    ['{ "pools": { "A": { "servers": ["a:1"] } }, "route": "PoolRoute|A" }', []],
    ['{ "route": "AllMajorityRoute|Pool|A" }', ['proxy-replicates']],
    ['{ "route": { "type": "MissFailoverRoute", "children": [] } }', ['proxy-replicates']],
    ['{ "route": "PoolRoute|A" } // instead of RandomRoute', []],
  ])('of mcrouter, %#', (text, codes) => {
    expect(found('mcrouter', text)).toEqual(codes)
  })
})
