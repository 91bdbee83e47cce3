/** The configurations that `latchkey proxy-config` writes are run as they are, but for the address to listen on. */
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { configurationFindings } from '../../src/wire/memcached/operator/proxy-configuration.js'
import { missingProxy, PROXY_KINDS, startProxy, threeServers } from '../support/proxies.js'
import { jsonOf, latchkey } from './tool.js'

const NAMES = { twemproxy: 'twemproxy', proxy: 'memcached', mcrouter: 'mcrouter' } as const

async function written(proxy: string, purpose: string, servers: readonly string[]): Promise<string> {
  const { out, err, exitCode } = await latchkey(['proxy-config', proxy, '--for', purpose, '--servers', servers.join(',')])
  expect({ err, exitCode }).toEqual({ err: '', exitCode: 0 })
  return out
}

/** Each pool on a port that is free, the first on the one that the proxy is asked at. */
const listening = (configuration: string, pool: string): string =>
  configuration
    .split(/^(?=\w+:$)/m)
    .filter((part) => part.startsWith(`${pool}:`))
    .join('')
    .replace(/listen: \S+/, 'listen: %listen%')

function ask(address: string, question: string): Promise<string> {
  const [host = '', port] = address.split(':')
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host, () => socket.write(question))
    socket.once('data', (answer) => {
      socket.destroy()
      resolve(answer.toString('latin1'))
    })
    socket.once('error', reject)
  })
}

describe.each(PROXY_KINDS)('for %s', (kind) => {
  const missing = missingProxy(kind)

  it.skipIf(missing !== '')(`sharding: the doctor finds nothing wrong with it${missing}`, async () => {
    await using servers = await threeServers()
    const configuration = await written(NAMES[kind], 'sharding', servers.addresses)
    await using proxy = await startProxy(kind, kind === 'twemproxy' ? listening(configuration, 'sessions') : configuration)
    const args = ['doctor', '--servers', `tcp://${proxy.address}?via=${kind}`, '--proxy-file', '-']
    const outcome = await latchkey(args, { input: configuration })
    expect(jsonOf(outcome)).toMatchObject({ ok: true, servers: [{ findings: [] }] })
  })

  it.skipIf(missing !== '')(`quorum: each server is reached by itself${missing}`, async () => {
    await using servers = await threeServers()
    const configuration = await written(NAMES[kind], 'quorum', servers.addresses)
    for (const [index, server] of servers.all.entries()) {
      const pool = `n${String(index + 1)}`
      await using proxy = await startProxy(kind, kind === 'twemproxy' ? listening(configuration, pool) : configuration)
      expect(await ask(proxy.address, `set ${pool}/{a} 0 100 1\r\nx\r\n`)).toBe('STORED\r\n')
      const holders = await Promise.all(servers.all.map((one) => one.commandText(`get ${pool}/{a}`)))
      expect(holders.map((answer) => answer.startsWith('VALUE'))).toEqual(servers.all.map((one) => one === server))
    }
  })
})

describe('for mcrouter', () => {
  const SERVERS = ['10.0.0.1:11211', '10.0.0.2:11211', '10.0.0.3:11211']
  const parsed = (text: string): unknown => JSON.parse(text.replace(/(?<=^|\s)\/\/.*$/gm, ''))

  it('sharding, and a pipe to each server, have no route that replicates', async () => {
    for (const purpose of ['sharding', 'quorum']) {
      expect(configurationFindings('mcrouter', await written('mcrouter', purpose, SERVERS), 1000)).toEqual([])
    }
    expect(parsed(await written('mcrouter', 'sharding', SERVERS))).toEqual({ pools: { sessions: { servers: SERVERS } }, route: 'PoolRoute|sessions' })
    expect(parsed(await written('mcrouter', 'quorum', SERVERS))).toMatchObject({
      pools: { n1: { servers: [SERVERS[0]] }, n3: { servers: [SERVERS[2]] } },
      route: { type: 'PrefixSelectorRoute', policies: { 'n1/': 'PoolRoute|n1', 'n2/': 'PoolRoute|n2', 'n3/': 'PoolRoute|n3' }, wildcard: 'ErrorRoute' },
    })
  })

  it('a cache is copied, its readers begin at a server each, and the doctor says that it is not for sessions', async () => {
    const configuration = await written('mcrouter', 'cache', SERVERS)
    const [one, two, three] = SERVERS
    const readers = { type: 'RandomRoute', children: ['from1', 'from2', 'from3'].map((name) => ({ type: 'MissFailoverRoute', children: `Pool|${name}` })) }
    expect(parsed(configuration)).toEqual({
      pools: { from1: { servers: [one, two, three] }, from2: { servers: [two, three, one] }, from3: { servers: [three, one, two] } },
      route: {
        type: 'OperationSelectorRoute',
        default_policy: { type: 'AllMajorityRoute', children: 'Pool|from1' },
        operation_policies: { get: readers, gets: readers },
      },
    })
    expect(configurationFindings('mcrouter', configuration, 1000).map(({ code }) => code)).toEqual(['proxy-replicates'])
  })
})

it.each([
  [['proxy-config', 'haproxy', '--servers', 'h'], 2],
  [['proxy-config', 'twemproxy', '--for', 'cache', '--servers', 'h'], 2],
  [['proxy-config', '--servers', 'h'], 2],
  [['locks', '--for', 'quorum', '--servers', 'h'], 2],
  [['proxy-config', 'twemproxy', '--servers', 'unix:///run/m.sock'], 5],
])('%j is refused', async (args, exitCode) => {
  const told = await latchkey(args)
  expect(told).toMatchObject({ exitCode, out: '' })
  expect(JSON.parse(told.err)).toMatchObject({ error: { code: exitCode === 2 ? 'USAGE' : 'LATCHKEY_NOT_SUPPORTED' } })
})
