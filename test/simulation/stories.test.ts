import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import type { Origin } from './simulated/server.js'
import type { Reply } from '../../src/wire/wire.js'
import { History } from './history.js'
import { Request } from './request.js'
import { play } from './run.js'
import type { Odds, Plan, Scenario } from './scenario.js'
import { Timeline } from './timeline.js'
import type { Attempt, Destroy } from './truth.js'
import { judgeOrphans } from './verdict.js'
import { World } from './world.js'

/**
 * Cases that the rules once took for faults and that are none. Each was
 * found by a seed, and is played here without one.
 */

const NO_ODDS: Odds = { refused: 0, lost: 0, mute: 0, partial: 0, zombie: 0, slow: 0, gap: 0, unclear: 0 }

const request = (name: string, atMs: number, plan: Partial<Plan> = {}): Plan => ({
  ...{ name, atMs, place: 0, session: 's1', mode: 'store', steps: [], thinkMs: 0, end: 'write' },
  ...{ abortAfterMs: undefined, lifetimeSec: 1440, ...plan },
})

const scenario = (plans: readonly Plan[], rest: Partial<Scenario> = {}): Scenario => ({
  ...{ isCalm: true, places: 1, leaseSec: 15, deadlineMs: 900, waitMs: 20_000, maxHoldMs: 60_000, maxWaiters: 100 },
  ...{ isDeafAtRegenerate: false, isCloned: false, isProxied: false, isUnordered: false, hasOwnVersions: false, hasBell: false, isSpread: false },
  ...{ lifetimeSec: 1440, connections: 1, knowsProcess: true, odds: NO_ODDS, disasters: [], calmFromMs: 4000, plans },
  ...rest,
})

describe('the rules', () => {
  it('a lock that is held for too long costs a flight: it is taken off the server', async () => {
    const plan = request('r1', 10, { mode: 'session', thinkMs: 1000, end: 'destroy' })
    const { violations, coverage } = await play(scenario([plan], { maxHoldMs: 400 }), new SeededRandom(1), true)
    expect(coverage).toContain('lost')
    expect(violations).toEqual([])
  })

  it('a lock that was asked for in the name of one who was refused meanwhile is that of the next in the queue', async () => {
    const lockIsEvicted = { kind: 'evict', atMs: 1000, session: 's1', suffix: '-lck' } as const
    const recordIsEvicted = { kind: 'evict', atMs: 1000, session: 's1', suffix: '' } as const
    const plans = [
      request('holder', 1, { steps: [{ kind: 'save', thinkMs: 10 }], thinkMs: 3000 }),
      // These come before there is a record, find none, and queue again: behind the request that saw a record.
      request('strict', 5, { mode: 'strictStore', thinkMs: 50 }),
      request('another', 6, { mode: 'strictStore' }),
      request('refused', 100),
    ]
    const disasters = [lockIsEvicted, recordIsEvicted]
    const { violations, timeline } = await play(scenario(plans, { isCalm: false, leaseSec: 4, disasters }), new SeededRandom(1), true)
    expect(timeline).toContain('refused read s1: LATCHKEY_SESSION_GONE')
    expect(timeline).toContain('strict read s1: ""')
    expect(violations).toEqual([])
  })

  it('a session that was changed by others before its regenerate began is not ended by it, where no answer was seen', async () => {
    const lockIsEvicted = { kind: 'evict', atMs: 50, session: 's1', suffix: '-lck' } as const
    const plans = [
      request('seeds', 1),
      request('first', 20, { mode: 'session', thinkMs: 300, end: 'regenerate' }),
      request('other', 100, { place: 1 }),
    ]
    const deaf = { isCalm: false, isDeafAtRegenerate: true, places: 2, disasters: [lockIsEvicted] }
    const { violations, timeline, coverage } = await play(scenario(plans, deaf), new SeededRandom(1), true)
    expect(timeline).toContain('first  regenerate s1: ok')
    expect(coverage).toContain('deaf')
    expect(violations).toEqual([])
  })

  it('what a regenerate has sent to keep the new session alive may be carried out when it is over', async () => {
    const plans = [request('seeds', 1, { lifetimeSec: 2 }), request('r1', 20, { mode: 'session', end: 'regenerate', lifetimeSec: 2 })]
    const stall = { kind: 'stall', atMs: 300, forMs: 1900 } as const
    const deaf = { isCalm: false, isDeafAtRegenerate: true, connections: 2, leaseSec: 2, deadlineMs: 3000, disasters: [stall] }
    const { violations, timeline } = await play(scenario(plans, deaf), new SeededRandom(2), true)
    expect(timeline).toMatch(/regenerate s1: ok(.|\n)*\(zombie\) cas sess:[0-9a-v]{32} /)
    expect(violations).toEqual([])
  })

  it('an add that was given up and comes late is another lock than the one that its request was given', () => {
    const { history, lock } = makeHistory()
    lock('given', false)
    history.evicted('sess:rotated-lck')
    lock('late', true)
    const { lock: stands, tokens } = history.session('rotated')
    expect(stands?.token).toContain('late')
    expect(tokens.get('r1')).toContain('given')
  })

  it('a lock that was granted to a process for one who gave up costs a flight: it is taken over', async () => {
    const plans = [
      request('first', 10, { place: 1, thinkMs: 400 }),
      request('second', 200, { place: 1, thinkMs: 200 }),
      request('givesUp', 120),
      request('later', 800),
    ]
    const { violations, timeline } = await play(scenario(plans, { places: 2, waitMs: 300 }), new SeededRandom(1), true)
    expect(timeline).toMatch(/add sess:s1-lck <later \S+> -> exists <granted/)
    expect(violations).toEqual([])
  })

  it('a lock that was passed on to one who gives up at that moment costs a flight: it is taken over', async () => {
    const plans = [
      request('first', 10, { steps: [{ kind: 'save', thinkMs: 0 }], thinkMs: 300 }),
      request('destroys', 100, { mode: 'destroy' }),
      // This request gives up while the holder asks why its write was refused.
      request('givesUp', 50, { abortAfterMs: 270.5 }),
      request('later', 400),
    ]
    const { violations, timeline } = await play(scenario(plans), new SeededRandom(1), true)
    expect(timeline).toMatch(/cas sess:s1-lck \S+ <givesUp \S+> -> ok(.|\n)*givesUp +aborts(.|\n)*write \S+ s1: LATCHKEY_SESSION_GONE/)
    expect(timeline).toMatch(/add sess:s1-lck <later \S+> -> exists <givesUp/)
    expect(violations).toEqual([])
  })

  it('a grant is that of the process whose name it bears, also when an add under an older name has come since', () => {
    const { history, accused, polls, grant } = makeHistory()
    polls(2, 'new', false)
    polls(2, 'old', true)
    grant('new')
    expect(history.session('rotated').lock?.actor).toBe(2)
    expect(accused).toEqual([])
  })

  it('who goes on under a new id has let go of the old one then, and not when its lock was evicted', async () => {
    const lockIsEvicted = { kind: 'evict', atMs: 250, session: 's1', suffix: '-lck' } as const
    const plans = [request('holder', 50, { mode: 'session', thinkMs: 3000, end: 'regenerate' }), request('waits', 160)]
    const { violations, timeline } = await play(scenario(plans, { isCalm: false, disasters: [lockIsEvicted] }), new SeededRandom(1), true)
    expect(timeline).toMatch(/holder regenerate s1: ok(.|\n)*add sess:s1-lck <waits/)
    expect(violations).toEqual([])
  })

  it('a server that is stopped twice at once goes on once: what comes after the second end is late', async () => {
    const world = new World(scenario([], { isCalm: false }), new SeededRandom(1), true)
    world.strike({ kind: 'stall', atMs: 0, forMs: 150 })
    await world.time.run(100)
    world.strike({ kind: 'stall', atMs: 100, forMs: 500 })
    await world.time.run(1000)
    expect(world.timeline.toString().match(/the server goes on/g)).toHaveLength(1)
  })

  it('a lock that was taken just now is no orphan: sessions are ended late when all requests are over', async () => {
    const world = new World(scenario([]), new SeededRandom(1), false)
    const value = Buffer.from(JSON.stringify({ token: 'instance.1', label: 'regenerate' }))
    const origin: Origin = { actor: 0, sentAtMs: 0, startedAtMs: 0, isZombie: false }
    world.history.executed({ op: 'add', key: 'sess:s1-lck', value, ttlSec: 15, flags: 0 }, DONE, origin)
    judgeOrphans(world)
    expect(world.violations).toEqual([])
    await world.time.run(1000)
    judgeOrphans(world)
    expect(world.violations.map(({ rule }) => rule)).toEqual(['orphanLeft'])
  })

  it('a record that went, and was put there again by an add that came late, is not for its holder to keep alive', async () => {
    const plan = request('r1', 0, { lifetimeSec: 2, steps: [{ kind: 'save', thinkMs: 0 }], thinkMs: 9000 })
    const world = new World(scenario([plan], { isCalm: false }), new SeededRandom(1), true)
    const holder = new Request(world, world.at(0), plan)
    holder.process.host.deliver(() => void holder.run())
    await world.time.run(300)
    const value = world.server.valueOf('sess:s1') ?? ''
    world.strike({ kind: 'evict', atMs: 300, session: 's1', suffix: '' })
    await world.time.run(1600)
    const late: Origin = { actor: 0, sentAtMs: 10, startedAtMs: 1600, isZombie: true }
    world.server.execute({ op: 'add', key: 'sess:s1', value, ttlSec: 2, flags: 0 }, late)
    await world.time.run(8000)
    expect(holder.base).toBe('o1')
    expect(world.server.valueOf('sess:s1')).toBeUndefined()
    expect(world.violations).toEqual([])
  })

  it('where two may have ended a session, neither is said to have', () => {
    const { history, accused, attempt, store, destroys } = makeHistory()
    attempt('rotated', 'o1')
    store('add', 'o1')
    const earlier = destroys('acked', true)
    const now = destroys('pending', true)
    store('cas', '')
    expect([earlier.executed, now.executed]).toEqual(['maybe', 'maybe'])
    expect(history.session('rotated').text).toBe('')
    expect(accused).toEqual([])
  })

  it.each([
    ['without data', '', ''],
    ['with data', 'o0 o1', 'o0 o1 o2'],
  ])('a rotated session %s may be born again when its record has run out', (_which, born, written) => {
    const { history, accused, attempt, store, letTimePass } = makeHistory()
    if (born !== '') attempt('old', born)
    store('add', born)
    attempt('rotated', written === '' ? 'o3' : written)
    store('cas', written === '' ? 'o3' : written)
    letTimePass()
    store('add', born)
    expect(accused).toEqual([])
    expect(history.session('rotated').text).toBe(born)
  })

  it('a set that was refused for want of memory has taken the record with it: who adds it again has stored it once', () => {
    const { accused, attempt, store, destroys, refuseSet } = makeHistory()
    attempt('rotated', 'o1')
    store('add', 'o1')
    destroys('pending', false)
    refuseSet()
    store('add', 'o1')
    expect(accused).toEqual([])
  })

  it('a rotated session does not lose what was added to it', () => {
    const { accused, attempt, store } = makeHistory()
    store('add', '')
    attempt('rotated', 'o3')
    store('cas', 'o3')
    store('cas', '')
    expect(accused).toEqual(['strangeDestroy'])
  })
})

const DONE: Reply = { status: 'ok', value: undefined, flags: 0, cas: undefined }

/** A checker (History), and a regenerated session `rotated` whose record lives for two seconds. */
function makeHistory() {
  let nowMs = 0
  const nothing = (): void => undefined
  const accused: string[] = []
  const clock = (): number => nowMs
  const sentNow = (isZombie: boolean): Origin => ({ actor: 0, sentAtMs: nowMs, startedAtMs: nowMs, isZombie })
  const history = new History(
    ...([clock, () => Math.floor(nowMs / 1000), () => false] as const),
    (rule) => void accused.push(rule),
    new Timeline(false, clock),
    ...([() => false, nothing, nothing, nothing, () => false] as const),
  )
  return {
    history,
    accused,
    letTimePass: () => void (nowMs += 3000),
    attempt(session: string, text: string): void {
      const op = text.slice(text.lastIndexOf(' ') + 1)
      const attempt: Attempt = {
        ...{ op, session, actor: 0, request: 'r1', base: text.replace(/ ?o\d+$/, ''), text, baseAtMs: nowMs },
        ...{ invokedAtMs: nowMs, settledAtMs: Infinity, outcome: 'pending', stored: 0, removed: undefined },
      }
      history.attempts.set(op, attempt)
    },
    destroys(outcome: Destroy['outcome'], isRetiring: boolean): Destroy {
      const settledAtMs = outcome === 'pending' ? Infinity : nowMs
      const destroy: Destroy = { actor: 0, session: 'rotated', base: '', invokedAtMs: nowMs, settledAtMs, outcome, isRetiring, executed: 'no' }
      history.session('rotated').destroys.push(destroy)
      nowMs++
      return destroy
    },
    store(op: 'add' | 'cas', text: string): void {
      const item = { key: 'sess:rotated', value: Buffer.from(text), ttlSec: 2, flags: 0 }
      const origin = sentNow(false)
      const command = op === 'add' ? { op, ...item } : { op, ...item, cas: { version: '1', asOf: 0 }, wantCas: true }
      history.executed(command, DONE, origin)
    },
    refuseSet(): void {
      const command = { op: 'set', key: 'sess:rotated', value: Buffer.alloc(0), ttlSec: 2, flags: 0 } as const
      history.executed(command, { ...DONE, status: 'outOfMemory' }, sentNow(false))
    },
    polls(actor: number, instance: string, isZombie: boolean): void {
      const value = Buffer.from(JSON.stringify({ token: `${instance}.1`, label: 'r1' }))
      const command = { op: 'add', key: 'sess:rotated-lck', value, ttlSec: 2, flags: 0 } as const
      history.executed(command, { ...DONE, status: 'exists' }, { ...sentNow(isZombie), actor })
    },
    grant(instance: string): void {
      const value = Buffer.from(JSON.stringify({ token: 'granter.1', instance }))
      const cas = { version: '1', asOf: 0 }
      history.executed({ op: 'cas', cas, wantCas: true, key: 'sess:rotated-lck', value, ttlSec: 2, flags: 0 }, DONE, sentNow(false))
    },
    lock(token: string, isZombie: boolean): void {
      const value = Buffer.from(JSON.stringify({ token, label: 'r1' }))
      history.executed({ op: 'add', key: 'sess:rotated-lck', value, ttlSec: 2, flags: 0 }, DONE, sentNow(isZombie))
    },
  }
}
