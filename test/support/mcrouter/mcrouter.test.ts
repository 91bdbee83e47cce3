/** The router that follows mcrouter's source does what that source does. */
import { describe, expect, it } from 'vitest'
import { threeServers } from '../proxies.js'
import { ch3 } from './ch3-hash.js'
import { Destination, type Request } from './destination.js'
import { Mcrouter } from './mcrouter.js'
import { Routes } from './routes.js'

// Golden values of mcrouter/lib/fbi/test/hash_test.cpp.
it.each([
  ['user:12345:profile', 10, 4],
  ['user:12345:profile', 1000, 712],
  ['user:67890:timeline', 7, 5],
  ['cache:item:999999', 500, 184],
  ['mcrouter:pool:regional:0002', 1_000_000, 589_635],
  ['', 5000, 3031],
  ['user:12345:profile', 1, 0],
])('puts %j, of %d servers, on server %d', (key, count, server) => {
  expect(ch3(key, count)).toBe(server)
})

const request = (line: string, data?: string): Request => {
  const [op = '', key = ''] = line.split(' ')
  return { op, key, bytes: `${line}\r\n${data === undefined ? '' : `${data}\r\n`}` }
}

/** Three servers of which the second has the key and the third another version of it, and the routes to them. */
async function routed(route: unknown): Promise<{ ask(line: string, data?: string): Promise<string> } & AsyncDisposable> {
  const servers = await threeServers()
  await servers.all[1]?.commandText('set k 0 100 3\r\ntwo')
  await servers.all[2]?.commandText('set other 0 100 1\r\nx')
  await servers.all[2]?.commandText('set k 0 100 5\r\nthree')
  const [a = '', b = '', c = ''] = servers.addresses
  const routes = new Routes(JSON.stringify({ pools: { all: { servers: [a, b, c] } }, route }))
  return {
    ask: async (line, data) => (await routes.root.route(request(line, data))).bytes,
    async [Symbol.asyncDispose]() {
      routes.close()
      await servers[Symbol.asyncDispose]()
    },
  }
}

describe('a route', () => {
  it('AllMajorityRoute: the word of most; of three words the worst', async () => {
    await using it = await routed('AllMajorityRoute|Pool|all')
    // NOT_STORED of two.
    expect(await it.ask('add k 0 100 1', 'x')).toBe('NOT_STORED\r\n')
    // The first has just stored it.
    await using other = await routed('AllMajorityRoute|Pool|all')
    // NOT_FOUND, STORED, EXISTS: one has stored it, and the answer is that there is none.
    expect(await other.ask('cas k 0 100 1 1', 'y')).toBe('NOT_FOUND\r\n')
  })

  it('MissFailoverRoute: the first hit of a read; a write to the first alone', async () => {
    await using it = await routed('MissFailoverRoute|Pool|all')
    expect(await it.ask('get k')).toBe('VALUE k 0 3\r\ntwo\r\nEND\r\n')
    expect(await it.ask('add k 0 100 3', 'one')).toBe('STORED\r\n')
    expect(await it.ask('get k')).toBe('VALUE k 0 3\r\none\r\nEND\r\n')
  })

  it('OperationSelectorRoute: get and gets are two operations, and none is unknown without a default', async () => {
    await using it = await routed({ type: 'OperationSelectorRoute', operation_policies: { get: 'MissFailoverRoute|Pool|all' } })
    expect(await it.ask('get k')).toContain('two')
    expect(await it.ask('gets k')).toBe('SERVER_ERROR unknown result\r\n')
  })

  it('PrefixSelectorRoute: the longest prefix, and the wildcard', async () => {
    await using it = await routed({ type: 'PrefixSelectorRoute', policies: { 'n1/': 'ErrorRoute', 'n1/k': 'MissFailoverRoute|Pool|all' }, wildcard: 'PoolRoute|all' })
    expect(await it.ask('get n1/other')).toBe('SERVER_ERROR local error\r\n')
    expect(await it.ask('get n1/k')).toBe('END\r\n')
    expect(await it.ask('get nobody')).toBe('END\r\n')
  })

  it('a server that cannot be reached is a connection error', async () => {
    expect((await new Destination('127.0.0.1:1').route(request('get k'))).bytes).toBe('SERVER_ERROR connection error\r\n')
  })
})

it('answers what is asked of mcrouter itself, to a get and not to a gets', async () => {
  await using servers = await threeServers()
  await using router = await Mcrouter.start(JSON.stringify({ pools: { all: { servers: servers.addresses } }, route: 'PoolRoute|all' }))
  const { connect } = await import('node:net')
  const ask = (question: string): Promise<string> =>
    new Promise((resolve) => {
      const [host = '', port] = router.address.split(':')
      const socket = connect(Number(port), host, () => socket.write(question))
      socket.setEncoding('latin1').once('data', (answer: string) => {
        socket.destroy()
        resolve(answer)
      })
    })
  expect(await ask('gets __mcrouter__.version\r\n')).toBe('END\r\n')
  expect(await ask('get __mcrouter__.version\r\n')).toMatch(/^VALUE __mcrouter__.version 0 15\r\nmcrouter /)
  const [place = ''] = [servers.addresses[ch3('a', 3)]]
  expect(await ask('get __mcrouter__.route(set,a|#|-lck)\r\n')).toContain(`\r\n${place}\r\nEND`)
  expect(await ask('get __mcrouter__.route_handles(get,a)\r\n')).toMatch(/\r\nroot\n selection\|hash\|Ch3\n {2}host\|pool=all\|id=\d\|ap=127/)
})
