/** Servers that are not what the save path takes them for: the operator is warned, by event or on standard error. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { fingerprintOf } from '../../src/wire/memcached/server-lists.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { serversOf } from '../support/servers.js'

describe('the fingerprint of a list', () => {
  it('is of names, weights and number, not of their order', () => {
    const same = fingerprintOf(serversOf('tcp://a:1,tcp://b:2'))
    expect(fingerprintOf(serversOf('tcp://b:2,tls://a:1'))).toBe(same)
    for (const other of ['tcp://a:1,tcp://b:3', 'tcp://a:1,tcp://b:2,tcp://c:1', 'tcp://a:1,tcp://b:2?weight=2']) {
      expect(fingerprintOf(serversOf(other))).not.toBe(same)
    }
  })

  it('of a single server is the same whatever it is called: it keeps every session', () => {
    expect(fingerprintOf(serversOf('tcp://localhost'))).toBe(fingerprintOf(serversOf('tcp://127.0.0.1')))
  })
})

describe('processes with different lists of servers', () => {
  it('are told, each of the other, and nobody is told whose list is the same', async () => {
    await using one = await MemcachedServer.start()
    await using two = await MemcachedServer.start()
    const list = `tcp://${one.address},tcp://${two.address}`
    const managers = [list, list, `tcp://${one.address}`].map((savePath) => new SessionManager({ savePath }))
    const [first, same, other] = managers
    if (first === undefined || same === undefined || other === undefined) throw new Error('no managers')
    // On a slow machine they look while their visitors are still served.
    const warned = Promise.race(managers.map(async (manager) => [await once(manager, 'warning'), manager] as const))
    // A connection to both servers: nobody is connected to for the sake of a look.
    for (let id = 0; id < 20; id++) for (const manager of managers) await manager.run(`visitor-${id}`, () => undefined)
    const [[warning], by] = await warned
    expect(warning).toMatchObject({ code: 'LATCHKEY_SERVER_LISTS_DIFFER', node: `tcp://${one.address}` })
    const [mine, theirs] = by === other ? ['1 server', '2 servers, '] : ['2 servers, ', '1 server']
    expect(String(warning.message)).toMatch(new RegExp(`list of servers \\(${theirs}.*this one: ${mine}`))
    await Promise.all(managers.map((manager) => manager.close()))
  })
})

describe('one address with two servers behind it', () => {
  it('is told when a server that had been replaced comes back', async () => {
    await using one = await MemcachedServer.start()
    await using two = await MemcachedServer.start()
    let target = one
    const sockets = new Set<Socket>()
    const balancer = createServer((socket) => {
      const upstream = connect(target.port, '127.0.0.1')
      for (const end of [socket, upstream]) {
        sockets.add(end)
        end.on('error', () => undefined)
      }
      socket.pipe(upstream).pipe(socket)
    })
    await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve))
    const address = balancer.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const manager = new SessionManager({ savePath: `tcp://127.0.0.1:${String(port)}`, connections: 1 })
    const warnings: unknown[] = []
    manager.on('warning', (warning) => warnings.push(warning))
    const visit = async (server: MemcachedServer): Promise<void> => {
      target = server
      for (const socket of sockets) socket.destroy()
      sockets.clear()
      // The first may still be sent on the connection that has just been closed.
      await manager.peek('visitor').catch(() => undefined)
      await manager.peek('visitor')
    }
    await visit(one)
    await visit(two)
    expect(warnings).toEqual([])
    await visit(one)
    expect(warnings).toMatchObject([{ code: 'LATCHKEY_TWO_SERVERS', node: `tcp://127.0.0.1:${String(port)}` }])
    await manager.close()
    balancer.close()
  })
})
