import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../../src/system/clock.js'
import type { WireSubject, WireSubjectOptions } from '../../src/testing/wire-conformance/subject.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import type { ServerAddress } from '../../src/wire/memcached/save-path.js'
import { MemcachedServer } from './memcached-server.js'
import { serversOf } from './servers.js'

/** The protocols that the memcached wire speaks. */
export const PROTOCOLS = ['binary', 'text'] as const
export type Protocol = (typeof PROTOCOLS)[number]

/** The deadline of a flight where deadlines are not tested: long, because the machine may be busy with other tests. */
export const PATIENCE_MS = 10_000

/** The addresses in a save path that names the server at `address` (`host:port`, or the path of a unix socket). */
export function serverAddresses(address: string, protocol: Protocol): readonly ServerAddress[] {
  const url = address.startsWith('/') ? `unix://${address}` : `tcp://${address}`
  return serversOf(`${url}?protocol=${protocol}`)
}

/** Makes a wire to a memcached of its own. `advance` waits in real time. */
export async function memcachedSubject(protocol: Protocol, options: WireSubjectOptions = {}): Promise<WireSubject> {
  const server = await MemcachedServer.start({ args: options.small === true ? ['-m', '8', '-M'] : [] })
  const servers = serverAddresses(server.address, protocol)
  const connections = options.wide === true ? {} : { connections: 1 }
  const wire = createMemcachedWire({ servers, clock: systemClock, flightMs: PATIENCE_MS, ...connections })
  return {
    wire,
    advance: (ms) => delay(ms),
    close: async () => {
      await wire.close()
      await server.stop()
    },
    restart: () => server.restart(),
    repeatsVersions: true,
  }
}
