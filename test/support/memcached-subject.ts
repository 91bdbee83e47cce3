import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/system/clock.js'
import type { WireSubject, WireSubjectOptions } from '../../src/testing/wire-conformance/subject.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import type { ServerAddress } from '../../src/wire/memcached/save-path.js'
import { MemcachedServer } from './memcached-server.js'
import { configurationOf, memcachedWithExplicitVersions, type ProxyKind, startProxy } from './proxies.js'
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

/** memcached 1.6.9 (scripts/test-old-memcached.sh); undefined: it could not be had. */
export const OLD_MEMCACHED = [fileURLToPath(new URL('../../.cache/memcached-1.6.9/memcached', import.meta.url))].find((path) => existsSync(path))

/** Makes a wire to a memcached of its own. `advance` waits in real time. */
export async function memcachedSubject(protocol: Protocol, options: WireSubjectOptions = {}, binary?: string): Promise<WireSubject> {
  const server = await startServer(options, binary)
  return { ...subjectTo(serverAddresses(server.address, protocol), PATIENCE_MS, options, [server]), restart: () => server.restart() }
}

/** Through memcached's proxy, with versions of our own: a server may be back as soon as it likes. */
export async function ownVersionsSubject(options: WireSubjectOptions = {}): Promise<WireSubject> {
  const server = await startServer(options, memcachedWithExplicitVersions)
  const proxy = await startProxy('proxy', configurationOf('proxy', [server.address]))
  const servers = serversOf(`tcp://${proxy.address}?via=proxy&versions=own`)
  return {
    ...subjectTo(servers, PATIENCE_MS, options, [proxy, server]),
    restart: async () => {
      await server.restart()
      await proxy.serves()
    },
    repeatsVersions: false,
  }
}

/** The same through a proxy, or as if there was one where `kind` is undefined. */
export async function proxiedSubject(kind: ProxyKind | undefined, options: WireSubjectOptions = {}): Promise<WireSubject> {
  const server = await startServer(options)
  const proxy = kind === undefined ? undefined : await startProxy(kind, patient(configurationOf(kind, [server.address])))
  const servers = serversOf(`tcp://${(proxy ?? server).address}?via=${kind ?? 'mcrouter'}`)
  return {
    ...subjectTo(servers, options.small === true || options.wide === true ? PATIENCE_MS : PROXIED_FLIGHT_MS, options, proxy === undefined ? [server] : [proxy, server]),
    restart: async () => {
      await server.kill()
      await delay(PROXIED_FLIGHT_MS + 200)
      await server.restart()
      // A proxy may call a server that was away only after a while.
      await proxy?.serves()
    },
  }
}

/** twemproxy gives a server up after its `timeout`, and a busy machine may be as late. */
const patient = (configuration: string): string => configuration.replace('timeout: 400', `timeout: ${String(PATIENCE_MS)}`)

/** A version that came through a proxy is trusted for as long, and a server that is restarted must stay away for longer. */
const PROXIED_FLIGHT_MS = 4000

const startServer = ({ small = false }: WireSubjectOptions, binary?: string): Promise<MemcachedServer> =>
  MemcachedServer.start({ args: small ? ['-m', '8', '-M'] : [], ...(binary === undefined ? {} : { binary }) })

function subjectTo(
  servers: readonly ServerAddress[],
  flightMs: number,
  { wide = false }: WireSubjectOptions,
  behind: readonly { stop(): Promise<void> }[],
): WireSubject {
  const wire = createMemcachedWire({ servers, clock: systemClock, flightMs, ...(wide ? {} : { connections: 1 }) })
  return {
    wire,
    advance: (ms) => delay(ms),
    close: async () => {
      await wire.close()
      for (const one of behind) await one.stop()
    },
    repeatsVersions: true,
  }
}
