/** What is lost when a primary that Sentinels watch dies, stands still, or is cut off: nothing where that is promised. */
import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { Clicks } from '../support/clicks.js'
import { hasSentinel, type WatchedOptions, WatchedServers } from '../support/redis-sentinels.js'
import { until } from '../support/until.js'

const IDS = Array.from({ length: 12 }, (_, index) => `id-${String(index)}`)
const CLIENTS = 10
/** Of fewer acknowledged changes it says little that none is lost. */
const ENOUGH = 50
const THINK_MS = 10
const OPTIONS = { deadlineMs: 2000, leaseSec: 3, waitMs: 8000 }
const LONGEST_GAP_MS = 20_000
/** A Sentinel has asked the replicas how far they are after the primary died, and not only before. */
const DOWN_AFTER_MS = 1000

/** When a change is acknowledged. */
interface Way {
  readonly query: string
  readonly args: readonly string[]
}
const PLAIN: Way = { query: '', args: [] }
const WAIT: Way = { query: '?replicas=1', args: [] }
const MIN_REPLICAS: Way = { query: '', args: ['--min-replicas-to-write', '1', '--min-replicas-max-lag', '1'] }

async function lostOf(clicks: Clicks, savePath: string): Promise<number> {
  const manager = new SessionManager({ savePath })
  const { lost, tooMany } = await clicks.judge(manager)
  await manager.close()
  expect(clicks.strangers).toEqual([])
  expect(tooMany).toBe(0)
  expect(clicks.acknowledged).toBeGreaterThan(ENOUGH)
  return lost
}

/** How many acknowledged changes are lost, of those who ask the Sentinels. */
async function lostBy({ query, args }: Way, options: WatchedOptions, trouble: (watched: WatchedServers) => Promise<void>): Promise<number> {
  await using watched = await WatchedServers.start({ ...options, downAfterMs: DOWN_AFTER_MS, args })
  const managers = [1, 2].map(() => new SessionManager({ savePath: watched.savePath + query, ...OPTIONS }))
  const clicks = new Clicks(IDS, THINK_MS)
  await clicks.during(managers, CLIENTS, async () => {
    await clicks.acknowledgeMore(ENOUGH)
    await trouble(watched)
    await clicks.acknowledgeMore(ENOUGH)
  })
  await Promise.all(managers.map((manager) => manager.close({ graceMs: 0 })))
  expect(clicks.longestGapMs).toBeLessThan(LONGEST_GAP_MS)
  return await lostOf(clicks, watched.savePath)
}

/** The primary stands still until another one is there, and is back: what those lose who ask the Sentinels, and one who stays with it. */
async function lostByStopping(way: Way): Promise<{ readonly following: number; readonly staying: number }> {
  const clicks = new Clicks(IDS.map((id) => `${id}-staying`), THINK_MS)
  let staying = 0
  const following = await lostBy(way, {}, async (watched) => {
    const { first } = watched
    const manager = new SessionManager({ savePath: `redis://${first.address}${way.query}`, ...OPTIONS })
    await clicks.during([manager], CLIENTS, async () => {
      await until('they click', async () => clicks.acknowledged > ENOUGH)
      await first.pause()
      // A replica that follows it still would confirm what was under way, and no other would have it (docs/guide/redis.md).
      await watched.followed(await watched.failedOver())
      first.resume()
      await until('it is a replica', async () => (await first.command('INFO replication')).includes('role:slave'))
    })
    await manager.close({ graceMs: 0 })
    staying = await lostOf(clicks, watched.savePath)
  })
  return { following, staying }
}

const kill = async (watched: WatchedServers): Promise<void> => {
  await watched.first.kill()
  await watched.failedOver()
}

/** Nobody reaches it but those who keep sessions there. */
const cutOff = async (watched: WatchedServers): Promise<void> => {
  for (const proxy of watched.proxies) proxy.always('blackHole', { when: (request) => !/latchkey|EVALSHA|GET|SET/.test(request.toString('latin1')) })
  await watched.failedOver()
  for (const proxy of watched.proxies) proxy.clear()
}

// `replicas=1` promises that nothing is lost. Where nothing is said of a loss, only that every error is typed and none is stored twice.
describe.skipIf(!hasSentinel)('a primary that Sentinels watch', () => {
  describe.concurrent('is killed', () => {
    it('with replicas=1 nothing acknowledged is lost', async () => {
      expect(await lostBy(WAIT, {}, kill)).toBe(0)
    })
    it('plain: service goes on in seconds, with typed errors until then', async () => {
      await lostBy(PLAIN, {}, kill)
    })
    it('with min-replicas-to-write as well, as there is a second replica', async () => {
      await lostBy(MIN_REPLICAS, {}, kill)
    })
  })

  describe.concurrent('is killed while its replicas are 100 ms behind', () => {
    it('with replicas=1 nothing acknowledged is lost', async () => {
      expect(await lostBy(WAIT, { lagMs: 100 }, kill)).toBe(0)
    })
    it('plain: what was not copied is lost', async () => {
      expect(await lostBy(PLAIN, { lagMs: 100 }, kill)).toBeGreaterThan(0)
    })
    it('with min-replicas-to-write it may be lost as well, as a replica counts that is a second behind', async () => {
      await lostBy(MIN_REPLICAS, { lagMs: 100 }, kill)
    })
  })

  describe.concurrent('stands still, and is back as a primary with clients on it', () => {
    it('with replicas=1 nothing acknowledged is lost, not even by who stays with it', async () => {
      expect(await lostByStopping(WAIT)).toEqual({ following: 0, staying: 0 })
    })
    it('plain: who stays with it loses all of that, until it is made a replica; who asks the Sentinels is elsewhere', async () => {
      const { following, staying } = await lostByStopping(PLAIN)
      expect(staying).toBeGreaterThan(following)
    })
    it('with min-replicas-to-write it refuses, as its replicas are elsewhere', async () => {
      await lostByStopping(MIN_REPLICAS)
    })
  })

  describe.concurrent('is cut off from its replicas and the Sentinels, and not from its clients', () => {
    it('with replicas=1 nothing acknowledged is lost', async () => {
      expect(await lostBy(WAIT, { throughProxy: true }, cutOff)).toBe(0)
    })
    it('plain: what it takes until the clients hear of the new one is lost', async () => {
      expect(await lostBy(PLAIN, { throughProxy: true }, cutOff)).toBeGreaterThan(0)
    })
    it('with min-replicas-to-write what it takes for a second or two may be lost', async () => {
      await lostBy(MIN_REPLICAS, { throughProxy: true }, cutOff)
    })
  })
})
