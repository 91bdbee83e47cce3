import type { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { Town } from '../support/town.js'
import { type FaultyWire, World } from '../support/world.js'

/** A holder and one who waits, in two processes of one host. */
function makeNeighbours(options = {}) {
  const world = new World()
  const town = new Town()
  const process = (address: string): { manager: SessionManager; wire: FaultyWire } =>
    world.process({ neighbours: town.neighbours(address), waitMs: 60_000, ...options })
  const holder = process('holder')
  const waiter = process('waiter')
  /** The holder holds for `holdMs`; how long after its end, or after now, the waiter has the session. */
  const handOffMs = async (holdMs: number): Promise<number> => {
    const store = holder.manager.store()
    await store.read('sid')
    const waiting = waiter.manager.store()
    const had = waiting.read('sid').then(() => world.clock.nowMs())
    await world.until(world.pause(holdMs))
    const freedAtMs = world.clock.nowMs()
    await store.write('sid', '{"n":1}')
    await store.close()
    const hadAtMs = await world.until(had)
    await waiting.close()
    return hadAtMs - freedAtMs
  }
  return { world, town, process, holder, waiter, handOffMs }
}

const LOCK = 'sess:sid-lck'

describe('the bell', () => {
  it.each([10, 100, 400, 1000, 5000])('who waits has the session when its holder lets go after %i ms, for at most 4 polls', async (holdMs) => {
    const { waiter, handOffMs } = makeNeighbours()
    expect(await handOffMs(holdMs)).toBeLessThan(1)
    const { polls, rings } = waiter.manager.stats()
    expect(polls).toBeLessThanOrEqual(4)
    expect(rings).toBe(1)
  })

  it('no session id and no token is said but that of the session that is waited for', async () => {
    const { town, handOffMs } = makeNeighbours()
    await handOffMs(100)
    const words = new Set(town.lines.map((line) => line.split(' ')[0]))
    expect(words).toEqual(new Set(['wait', 'held', 'free', 'left']))
    for (const line of town.lines) expect(line).toMatch(/^(wait [0-9a-f-]+ [0-9a-f-]+ sid|left [0-9a-f-]+ [0-9a-f-]+|(held|free) [0-9a-f-]+)$/)
  })

  it('who was told that the session is free asks its holder nothing more', async () => {
    const { town, handOffMs } = makeNeighbours()
    await handOffMs(100)
    const said = town.lines.map((line) => line.split(' ')[0])
    expect(said.slice(said.indexOf('free'))).toEqual(['free', 'left'])
  })

  it('a ring that is lost costs a question, and no more time than a poll would', async () => {
    const { town, handOffMs } = makeNeighbours()
    town.lost = 'free'
    // The question is answered by "free", which is lost as well: then the server is asked.
    expect(await handOffMs(1000)).toBeLessThan(1960)
    const other = makeNeighbours()
    other.town.forge = (line) => (line.startsWith('free') ? 'nonsense' : line)
    expect(await other.handOffMs(1000)).toBeLessThan(1960)
  })

  it('where nothing is answered it polls as without a bell', async () => {
    const { town, waiter, handOffMs } = makeNeighbours()
    town.lost = 'held'
    expect(await handOffMs(400)).toBeLessThan(400 * 0.2)
    expect(waiter.manager.stats().polls).toBeGreaterThan(10)
  })

  it('who says that the session is free, again and again, is believed once', async () => {
    const { town, waiter, handOffMs } = makeNeighbours()
    town.forge = (line) => line.replace(/^held/, 'free')
    await handOffMs(10_000)
    expect(waiter.manager.stats().polls).toBeLessThanOrEqual(62)
  })

  it('a holder that dies is followed at once, by the version of its lock', async () => {
    const { world, town, holder, waiter } = makeNeighbours()
    await holder.manager.store().read('sid')
    const had = waiter.manager.run('sid', () => world.clock.nowMs())
    await world.until(world.pause(200))
    town.kill('holder')
    expect((await world.until(had)) - 200).toBeLessThan(50)
    expect(waiter.wire.flights.flat().filter(({ op, key }) => op === 'cas' && key === LOCK)).toHaveLength(1)
  })

  it('who comes when the holder is dead already has its session at once, too', async () => {
    const { world, town, holder, waiter } = makeNeighbours()
    await holder.manager.store().read('sid')
    town.kill('holder')
    const beganMs = world.clock.nowMs()
    await world.until(waiter.manager.run('sid', () => undefined))
    expect(world.clock.nowMs() - beganMs).toBeLessThan(50)
  })

  it('a link that breaks off is no death: the holder keeps its lock', async () => {
    const { world, town, holder, waiter } = makeNeighbours()
    const store = holder.manager.store()
    await store.read('sid')
    const had = waiter.manager.run('sid', () => world.clock.nowMs())
    for (let times = 0; times < 8; times++) {
      await world.until(world.pause(100))
      town.cutOff('holder')
    }
    await store.write('sid', '{"n":1}')
    await store.close()
    expect((await world.until(had)) - world.clock.nowMs()).toBeLessThanOrEqual(0)
    expect(holder.manager.stats().lost).toBe(0)
  })

  it('a lock that the holder has lost and does not know of is found by asking the server', async () => {
    const { world, holder, waiter } = makeNeighbours()
    await holder.manager.store().read('sid')
    const had = waiter.manager.run('sid', () => world.clock.nowMs())
    await world.until(world.pause(100))
    await world.evict(LOCK)
    expect((await world.until(had)) - 100).toBeLessThan(1960)
  })

  it('who gives up is not told any more', async () => {
    const { world, town, holder, waiter } = makeNeighbours()
    const store = holder.manager.store()
    await store.read('sid')
    const giveUp = new AbortController()
    const refused = waiter.manager.run('sid', () => undefined, { signal: giveUp.signal }).catch(() => undefined)
    await world.until(world.pause(100))
    giveUp.abort()
    await world.until(refused)
    await world.until(world.pause(10))
    await store.close()
    expect(town.lines.filter((line) => line.startsWith('left'))).toHaveLength(1)
    expect(town.lines.filter((line) => line.startsWith('free'))).toEqual([])
  })

  it('a process that never stops asking lets another one in, which has only rung', async () => {
    const { world, holder, waiter } = makeNeighbours()
    let isOver = false
    const busy = Array.from({ length: 3 }, async () => {
      while (!isOver) await holder.manager.run('sid', () => world.pause(50))
    })
    await world.until(world.pause(100))
    const beganMs = world.clock.nowMs()
    await world.until(waiter.manager.run('sid', () => undefined))
    expect(world.clock.nowMs() - beganMs).toBeLessThan(1500)
    expect(holder.manager.stats().grants).toBe(1)
    // Who was granted the session stands in line for it no more.
    expect(waiter.wire.flights.flat().filter(({ op, key }) => key === 'sess:sid-line' && op !== 'get')).toEqual([])
    isOver = true
    await world.until(Promise.all(busy))
  })

  it('a manager that closes has no door any more, and is not taken for dead', async () => {
    const { world, holder, waiter } = makeNeighbours()
    const store = holder.manager.store()
    await store.read('sid')
    const had = waiter.manager.run('sid', () => 'had')
    await world.until(world.pause(100))
    await world.until(holder.manager.close({ graceMs: 100 }))
    expect(await world.until(had)).toBe('had')
  })

  it('of another host, or where there is no bell, nobody is rung', async () => {
    const { world, holder } = makeNeighbours()
    const store = holder.manager.store()
    await store.read('sid')
    const { manager } = world.process({ bellDirectory: false })
    const had = manager.run('sid', () => undefined)
    await world.until(world.pause(100))
    await store.close()
    await world.until(had)
    expect(manager.stats().rings).toBe(0)
  })
})
