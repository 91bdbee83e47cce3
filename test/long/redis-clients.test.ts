import { setTimeout as delay } from 'node:timers/promises'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { playRaces } from 'latchkey/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { slotOf } from '../../src/wire/redis/cluster/slot.js'
import { Clicks } from '../support/clicks.js'
import { type Fault, FaultProxy } from '../support/proxy.js'
import { CLIENTS } from '../support/redis-clients.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'

const IDS = Array.from({ length: 6 }, (_, index) => `id-${String(index)}`)
const FAULTS: readonly Fault[] = ['finBefore', 'rstBefore', 'fin', 'rst', 'halfReply', 'dropReply', 'trickle', { delayRequestMs: 300 }]
const LASTS_MS = 2000

let cluster: RedisCluster | undefined
beforeAll(async () => {
  cluster = hasRedis ? await RedisCluster.start() : undefined
})
afterAll(() => cluster?.stop())

describe.skipIf(!hasRedis).each(CLIENTS)('sessions by a client of $name', ({ name, make }) => {
  it.skipIf(make === undefined)('the race kit', async () => {
    await using server = await RedisProcess.start()
    const foreign = await make?.alone('127.0.0.1', server.port)
    if (foreign === undefined) return
    const manager = new SessionManager({ client: foreign.client, deadlineMs: 30_000 })
    const results = await playRaces({ middleware: () => latchkey({ manager, secret: 's', resave: false, saveUninitialized: false }), patienceMs: 200 })
    expect(results.filter(({ survived }) => !survived)).toEqual([])
    await manager.close()
    await foreign.close()
  })

  it.skipIf(make === undefined)('on a bad line: nothing acknowledged is lost, and nothing is made twice', async () => {
    await using server = await RedisProcess.start()
    await using proxy = await FaultProxy.start(server)
    const foreign = await make?.alone('127.0.0.1', proxy.port)
    if (foreign === undefined) return
    const manager = new SessionManager({ client: foreign.client, deadlineMs: 1500, leaseSec: 3, waitMs: 8000 })
    const clicks = new Clicks(IDS)
    await clicks.during([manager], 8, async () => {
      for (const endsMs = performance.now() + LASTS_MS; performance.now() < endsMs;) {
        await delay(100)
        void proxy.next(FAULTS[Math.floor(performance.now()) % FAULTS.length] ?? 'rst').catch(() => undefined)
      }
      // A client that waits for a reply which was dropped goes on when its connection is cut, and not before.
      proxy.clear()
      proxy.cutAll('rst')
      await clicks.acknowledgeMore(20)
    })
    expect(clicks.strangers).toEqual([])
    await manager.close({ graceMs: 0 })
    await foreign.close()
    const direct = new SessionManager({ savePath: server.savePath, deadlineMs: 30_000 })
    expect(await clicks.judge(direct)).toMatchObject({ lost: 0, tooMany: 0 })
    await direct.close()
  })

  it.skipIf(make === undefined)('to a cluster whose slots move', async () => {
    const there = cluster
    const foreign = await make?.cluster('127.0.0.1', there?.primaries[0]?.port ?? 0)
    if (foreign === undefined || there === undefined) return
    const ids = IDS.map((id) => `${name}-${id}`)
    const manager = new SessionManager({ client: foreign.client, deadlineMs: 1500, leaseSec: 3, waitMs: 8000 })
    const clicks = new Clicks(ids)
    let moves = 0
    await clicks.during([manager], 8, async () => {
      for (const endsMs = performance.now() + LASTS_MS; performance.now() < endsMs; moves++) {
        for (const [index, id] of ids.entries()) {
          const to = there.primaries[(index + moves) % 3]
          if (to !== undefined) await there.move(slotOf(`{${id}}`), to)
        }
      }
    })
    expect(clicks.strangers).toEqual([])
    await manager.close({ graceMs: 0 })
    await foreign.close()
    const direct = new SessionManager({ savePath: there.savePath, deadlineMs: 30_000 })
    expect(await clicks.judge(direct)).toMatchObject({ lost: 0, tooMany: 0 })
    expect(clicks.acknowledged).toBeGreaterThan(20)
    await direct.close()
  })
})
