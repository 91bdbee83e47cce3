import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { run, stored } from '../../src/testing/wire-conformance/subject.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import type { Wire } from '../../src/wire/wire.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { memcachedSubject, PATIENCE_MS, PROTOCOLS, serverAddresses } from '../support/memcached-subject.js'
import type { Protocol } from '../support/memcached-subject.js'
import { FaultProxy } from '../support/proxy.js'
import { itConforms } from './conformance.js'

for (const protocol of PROTOCOLS) {
  itConforms(`memcached, ${protocol} protocol`, (options) => memcachedSubject(protocol, options))
}

describe.concurrent.each(PROTOCOLS)('memcached by %s', (protocol) => {
  it('speaks the protocol that it was told to', async () => {
    await using server = await MemcachedServer.start()
    await using proxy = await FaultProxy.start(server)
    const heard: Buffer[] = []
    proxy.onRequest = (segment) => {
      heard.push(segment)
      return segment
    }
    const wire = wireTo(proxy.address, protocol)
    await stored(wire, 'x')
    await wire.close()
    expect(heard.length).toBeGreaterThan(0)
    for (const segment of heard) expect(segment[0] === 0x80).toBe(protocol === 'binary')
  })

  it('reads replies that come byte by byte', async () => {
    await using server = await MemcachedServer.start()
    await using proxy = await FaultProxy.start(server)
    proxy.always('trickle')
    const wire = wireTo(proxy.address, protocol)
    const { key } = await stored(wire, Buffer.from('\r\nEND\r\n'))
    expect((await run(wire, { op: 'get', key })).value?.toString()).toBe('\r\nEND\r\n')
    await wire.close()
  })

  it('over a unix socket', async () => {
    await using server = await MemcachedServer.start({ unixSocket: true })
    const wire = wireTo(server.address, protocol)
    const { key } = await stored(wire, 'x')
    expect((await run(wire, { op: 'get', key })).status).toBe('ok')
    await wire.close()
  })

  it('learns the largest item from the server', async () => {
    await using server = await MemcachedServer.start({ args: ['-I', '64k', '-o', 'slab_chunk_max=32768'] })
    const wire = wireTo(server.address, protocol)
    const { key } = await stored(wire, 'x')
    const limit = wire.maxValueBytes(key, key)
    expect(limit).toBeLessThan(64 * 1024)
    expect(limit).toBeGreaterThan(64 * 1024 - 200)
    const write = (bytes: number): ReturnType<typeof run> =>
      run(wire, { op: 'set', key, value: Buffer.alloc(bytes), ttlSec: 100, flags: 1 })
    expect((await write(limit)).status).toBe('ok')
    expect((await write(limit + 64)).status).toBe('tooLarge')
    await wire.close()
  })
})

function wireTo(address: string, protocol: Protocol): Wire {
  const servers = serverAddresses(address, protocol)
  return createMemcachedWire({ servers, clock: systemClock, connections: 1, flightMs: PATIENCE_MS })
}
