/** cluster: each session on three memcached nodes, beside one node alone, and beside Redis that waits for its replica; and a node that is killed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { RedisProcess } from '../../test/support/redis-server.js'
import type { Contender } from '../contenders/contender.js'
import { latchkeyAt } from '../contenders/latchkey.js'
import { latenciesUs, loadTable, ratesOf, underBothLoads } from '../support/loads.js'
import { startRedis } from '../support/redis-server.js'
import { num, type Row, type Table } from '../support/result.js'
import { ratioOf } from '../support/statistics.js'
import { startTap } from '../support/tap.js'

const NODES = 3
const SESSIONS = 4096
const IN_FLIGHT = 64
const SINGLE = 'one memcached'
const REPLICATED = 'three, replicas=3'
const REDIS = 'Redis, replicas=1'
/** Clients that go on while a node is killed. */
const CLIENTS = 20
const BEFORE_MS = 1000
const AFTER_MS = 3000
const COUNTED = 100

export const cluster: Row = {
  about: 'each session on three memcached nodes, beside one node; and one of three killed',
  async run(context) {
    const notes: string[] = []
    const servers = await startAll()
    const [first] = servers
    const list = [await latchkeyAt(SINGLE, `tcp://${first?.address ?? ''}`), await latchkeyAt(REPLICATED, replicatedOn(servers))]
    const redis = await onRedis()
    if (redis === undefined) notes.push('no row for Redis: redis-server is not installed')
    else list.push(redis)
    const { many, single } = await underBothLoads(list, { sessions: SESSIONS, inFlight: IN_FLIGHT }, context)
    context.progress('counting flights')
    const flightsPerCycle = await countFlights(servers)
    context.progress('a node is killed')
    const failover = await killOne(servers)
    await Promise.all(servers.map((server) => server.stop()))
    return {
      figures: {
        'cluster.ratioToOneNode': ratioOf(ratesOf(many.get(REPLICATED)), ratesOf(many.get(SINGLE))),
        'cluster.latencyRatioToOneNode': ratioOf(latenciesUs(single.get(REPLICATED)), latenciesUs(single.get(SINGLE))),
        ...(redis === undefined ? {} : { 'cluster.ratioToRedisWait': ratioOf(ratesOf(many.get(REPLICATED)), ratesOf(many.get(REDIS))) }),
        'cluster.flightsPerCycle': flightsPerCycle,
        'cluster.failoverGapMs': failover.longestGapMs,
        'cluster.failoverRefused': failover.refused,
      },
      tables: [loadTable(`cluster, ${String(IN_FLIGHT)} in flight`, many, SINGLE), loadTable('cluster, one at a time', single, SINGLE), failoverTable(failover)],
      charts: [],
      notes,
    }
  },
}

const startAll = (): Promise<readonly MemcachedServer[]> => Promise.all(Array.from({ length: NODES }, () => MemcachedServer.start({ args: ['-m', '256'] })))

const listOf = (addresses: readonly string[]): string => `${addresses.map((address) => `tcp://${address}`).join(',')}?replicas=${String(NODES)}`
export const replicatedOn = (servers: readonly MemcachedServer[]): string => listOf(servers.map(({ address }) => address))

/** A primary and its replica; a write is acknowledged when both have it. */
async function onRedis(): Promise<Contender | undefined> {
  const primary = await startRedis()
  if (primary === undefined) return undefined
  const replica = await RedisProcess.start({ args: ['--replicaof', '127.0.0.1', String(primary.port)] })
  while (!(await primary.command('INFO replication')).includes('state=online')) await sleep(50)
  return latchkeyAt(REDIS, `${primary.savePath}?replicas=1`, async () => {
    await replica.stop()
    await primary.stop()
  })
}

/** Flights to all nodes together, for one cycle with nobody else about. */
async function countFlights(servers: readonly MemcachedServer[]): Promise<number> {
  const taps = await Promise.all(servers.map(({ port }) => startTap(port)))
  const contender = await latchkeyAt('counted', listOf(taps.map(({ port }) => `127.0.0.1:${String(port)}`)))
  // Connections, and what is said once on each.
  for (let index = 0; index < COUNTED; index++) await contender.seed(index)
  for (const { counts } of taps) counts.flights = 0
  for (let index = 0; index < COUNTED; index++) await contender.cycle(index)
  const flights = taps.reduce((sum, { counts }) => sum + counts.flights, 0)
  await contender.close()
  for (const tap of taps) tap.close()
  return flights / COUNTED
}

interface Failover {
  readonly acknowledged: number
  readonly refused: number
  /** The longest time in which no client was served, from a second before the node is killed on. */
  readonly longestGapMs: number
}

async function killOne(servers: readonly MemcachedServer[]): Promise<Failover> {
  const contender = await latchkeyAt('failover', replicatedOn(servers))
  for (let index = 0; index < CLIENTS; index++) await contender.seed(index)
  let [acknowledged, refused, longestGapMs] = [0, 0, 0]
  let lastMs = performance.now()
  const endMs = lastMs + BEFORE_MS + AFTER_MS
  const client = async (index: number): Promise<void> => {
    while (performance.now() < endMs) {
      try {
        await contender.cycle(index)
      } catch {
        refused++
        continue
      }
      const nowMs = performance.now()
      longestGapMs = Math.max(longestGapMs, nowMs - lastMs)
      lastMs = nowMs
      acknowledged++
      await sleep(1)
    }
  }
  const clients = Array.from({ length: CLIENTS }, (_, index) => client(index))
  await sleep(BEFORE_MS)
  await servers[0]?.kill()
  await Promise.all(clients)
  await contender.close()
  return { acknowledged, refused, longestGapMs }
}

const failoverTable = ({ acknowledged, refused, longestGapMs }: Failover): Table => ({
  title: `cluster, ${String(CLIENTS)} clients, one of three nodes killed`,
  head: ['acknowledged', 'refused', 'longest gap ms'],
  rows: [[num(acknowledged), num(refused), num(longestGapMs)]],
})
