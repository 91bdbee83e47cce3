/** engines: the locked cycle on what keeps the sessions: memcached directly and through proxies, and Redis; beside connect-redis, which locks nothing. */
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { configurationOf, memcachedWithExplicitVersions, missingProxy, type ProxyKind, REAL_PROXY_KINDS, startProxy } from '../../test/support/proxies.js'
import { CONNECT_REDIS, connectRedisTo } from '../contenders/all.js'
import { type Contender, RECORD_BYTES } from '../contenders/contender.js'
import { latchkeyAt } from '../contenders/latchkey.js'
import { latenciesUs, loadTable, ratesOf, type Slices, underBothLoads } from '../support/loads.js'
import { startRedis } from '../support/redis-server.js'
import type { Row } from '../support/result.js'
import { ratioOf } from '../support/statistics.js'

const SESSIONS = 4096
const IN_FLIGHT = 64
const DIRECT = 'memcached'
const REDIS = 'redis'
const BY_CLIENT = 'redis, by ioredis'
const OWN_VERSIONS = "memcached's proxy, versions=own"

/** One way to keep sessions, made for this row: its contender, or why there is none. */
interface Engine {
  readonly name: string
  make(): Promise<Contender | { readonly missing: string }>
}

/** A figure: the throughput of one over another's with 64 in flight; where both are there. */
const RATIOS: readonly { readonly figure: string; readonly of: string; readonly to: string }[] = [
  { figure: 'engines.twemproxyRatioToDirect', of: 'twemproxy', to: DIRECT },
  { figure: 'engines.memcachedProxyRatioToDirect', of: "memcached's proxy", to: DIRECT },
  { figure: 'engines.ownVersionsRatioToDirect', of: OWN_VERSIONS, to: DIRECT },
  { figure: 'engines.redisRatioToConnectRedis', of: REDIS, to: CONNECT_REDIS },
  { figure: 'engines.ioredisRatioToConnectRedis', of: BY_CLIENT, to: CONNECT_REDIS },
]

/** How long a cycle takes on Redis, one at a time, over one of connect-redis. */
const SEQUENTIAL = 'engines.redisSequentialRatioToConnectRedis'

export const engines: Row = {
  about: `load, change, save one of ${String(SESSIONS)} sessions, on memcached, through proxies, and on Redis`,
  async run(context) {
    await using server = await MemcachedServer.start({ args: ['-m', '256'] })
    const list: Contender[] = []
    const notes: string[] = []
    for (const engine of enginesOf(server)) {
      const made = await engine.make()
      if ('missing' in made) notes.push(`no row for ${engine.name}: ${made.missing}`)
      else list.push(made)
    }
    const redis = await onRedis()
    list.push(...redis)
    if (redis.length === 0) notes.push('no rows for Redis: redis-server is not installed')
    const { many, single } = await underBothLoads(list, { sessions: SESSIONS, inFlight: IN_FLIGHT }, context)
    const known = RATIOS.filter(({ of, to }) => many.has(of) && many.has(to))
    const ratio = ({ of, to }: (typeof RATIOS)[number]): number => ratioOf(ratesOf(many.get(of)), ratesOf(many.get(to)))
    return {
      figures: { ...Object.fromEntries(known.map((one) => [one.figure, ratio(one)])), ...sequentialOf(single) },
      tables: [loadTable(`engines, ${String(IN_FLIGHT)} in flight`, many, DIRECT), loadTable('engines, one at a time', single, DIRECT)],
      charts: [],
      notes,
    }
  },
}

const enginesOf = (server: MemcachedServer): readonly Engine[] => [
  { name: DIRECT, make: () => latchkeyAt(DIRECT, `tcp://${server.address}`) },
  ...REAL_PROXY_KINDS.map((kind): Engine => {
    const name = kind === 'proxy' ? "memcached's proxy" : kind
    return { name, make: () => behind(kind, name, server) }
  }),
  { name: OWN_VERSIONS, make: withOwnVersions },
]

/** Behind the same proxy, before a memcached that takes versions. */
async function withOwnVersions(): Promise<Contender | { readonly missing: string }> {
  if (memcachedWithExplicitVersions === undefined) return { missing: 'scripts/test-proxies.sh brings it' }
  const server = await MemcachedServer.start({ args: ['-m', '256'], binary: memcachedWithExplicitVersions })
  const proxy = await startProxy('proxy', configurationOf('proxy', [server.address]))
  return latchkeyAt(OWN_VERSIONS, `tcp://${proxy.address}?via=proxy&versions=own`, async () => {
    await proxy.stop()
    await server.stop()
  })
}

/** Ours, by our own codec and by a client of an application's, and connect-redis; all on one server, which ends with connect-redis. */
async function onRedis(): Promise<readonly Contender[]> {
  const server = await startRedis()
  if (server === undefined) return []
  const { default: Redis } = await import('ioredis')
  const client = new Redis(server.port, '127.0.0.1')
  const byClient = await latchkeyAt(BY_CLIENT, { client }, async () => client.disconnect())
  return [await latchkeyAt(REDIS, server.savePath), byClient, await connectRedisTo(server, { recordBytes: RECORD_BYTES })]
}

function sequentialOf(single: Slices): Record<string, number> {
  const [ours, theirs] = [single.get(REDIS), single.get(CONNECT_REDIS)]
  return ours === undefined || theirs === undefined ? {} : { [SEQUENTIAL]: ratioOf(latenciesUs(ours), latenciesUs(theirs)) }
}

async function behind(kind: ProxyKind, name: string, server: MemcachedServer): Promise<Contender | { readonly missing: string }> {
  if (missingProxy(kind) !== '') return { missing: 'scripts/test-proxies.sh brings it' }
  const proxy = await startProxy(kind, configurationOf(kind, [server.address]))
  return latchkeyAt(name, `tcp://${proxy.address}?via=${kind}`, () => proxy.stop())
}
