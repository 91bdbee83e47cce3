/** cluster: each session on three memcached nodes, beside one node alone, and beside Redis that waits for its replica; and a node that is killed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { RedisProcess } from '../../test/support/redis-server.js'
import { type Contender, RECORD_BYTES } from '../contenders/contender.js'
import { floor } from '../contenders/all.js'
import { BY_MG } from '../contenders/floor.js'
import { latchkeyAt } from '../contenders/latchkey.js'
import { latenciesUs, loadTable, ratesOf, underBothLoads } from '../support/loads.js'
import { startRedis } from '../support/redis-server.js'
import { changed } from '../support/record.js'
import { num, type Row, type Table } from '../support/result.js'
import { ratioOf } from '../support/statistics.js'
import { startTap } from '../support/tap.js'

const NODES = 3
const SESSIONS = 4096
const IN_FLIGHT = 64
const SINGLE = 'one memcached'
const REPLICATED = 'three, replicas=3'
const REDIS = 'Redis, replicas=1'
/** The bare commands, for what three servers take on this machine, whoever speaks to them. */
const FLOOR = 'raw floor, one memcached'
const FLOORS = 'raw floor, three at once'
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
    list.push(await floorsOn(FLOOR, servers.slice(0, 1)), await floorsOn(FLOORS, servers))
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
        'cluster.floorRatioToOneNode': ratioOf(ratesOf(many.get(FLOORS)), ratesOf(many.get(FLOOR))),
        'cluster.floorLatencyRatioToOneNode': ratioOf(latenciesUs(single.get(FLOORS)), latenciesUs(single.get(FLOOR))),
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

/** A cycle on each of them, at once: no node waits for another one, and nobody judges what they say. */
async function floorsOn(name: string, servers: readonly MemcachedServer[]): Promise<Contender> {
  const floors = await Promise.all(servers.map((server) => floor({ server, recordBytes: RECORD_BYTES }, name, changed, BY_MG)))
  const onAll = async (work: (one: Contender) => Promise<void>): Promise<void> => {
    await Promise.all(floors.map(work))
  }
  return { name, seed: (index) => onAll((one) => one.seed(index)), cycle: (index) => onAll((one) => one.cycle(index)), close: () => onAll((one) => one.close()) }
}

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
