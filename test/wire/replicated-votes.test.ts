/** Votes of three nodes while one of them stands still, in virtual time: nobody waits for what is nobody's. */
import { SessionManager } from 'latchkey'
import { SeededRandom, VirtualClock } from 'latchkey/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { isAdvice, isOfProcesses, markKeyOf } from '../../src/lock/protocol/key-layout.js'
import { createMemoryWire, type MemoryWire } from '../../src/wire/memory/memory-wire.js'
import { createReplicatedWire } from '../../src/wire/replicated/replicated-wire.js'
import { type Cas, FlightError, type Reply, type Wire } from '../../src/wire/wire.js'
import { Town } from '../support/town.js'
import { FaultyWire } from '../support/world.js'

const PREFIX = 'sess:'
const LOCK = `${PREFIX}sid-lck`
/** How long a node is asked before it is given up. */
const NODE_FLIGHT_MS = 250
const FLIGHT_MS = 700
const LEASE_SEC = 30

let clock: VirtualClock
let stores: readonly MemoryWire[]
let town: Town
let processes = 0
const still = new Set<number>()

beforeEach(async () => {
  clock = new VirtualClock()
  stores = [0, 1, 2].map(() => createMemoryWire({ clock }))
  town = new Town()
  still.clear()
  await clock.runUntil(processOf([1, 1, 1]).manager.run('first', () => undefined))
})

/** Answers nothing while it stands still. */
const standing = (node: number, wire: Wire): Wire => ({
  ...wire,
  maxValueBytes: (route, key) => wire.maxValueBytes(route, key),
  sweep: () => 0,
  close: () => Promise.resolve(),
  flight: async (route, commands) => {
    if (!still.has(node)) return wire.flight(route, commands)
    await new Promise<void>((resolve) => clock.setTimer(resolve, NODE_FLIGHT_MS))
    throw new FlightError('unknown', 'it did not answer in time')
  },
})

/** @param latencies of the way to each node, in milliseconds. */
function processOf(latencies: readonly number[], waitMs = 5000): { readonly manager: SessionManager; readonly wires: readonly FaultyWire[] } {
  const random = new SeededRandom(++processes)
  const wires = stores.map((store, node) => {
    const wire = new FaultyWire(standing(node, store), clock)
    wire.latencyMs = latencies[node] ?? 0
    return wire
  })
  const wire = createReplicatedWire({
    places: wires.map((one, node) => ({ name: `n${String(node)}`, wire: one, keyPrefix: '' })),
    ...{ replicas: 3, list: 'one', ranked: () => [0, 1, 2], markKey: markKeyOf(PREFIX), clock, random, flightMs: FLIGHT_MS },
    kindOf: (key) => (isAdvice(key) ? 'advice' : isOfProcesses(key) ? 'lock' : 'record'),
  })
  const neighbours = town.neighbours(`process${String(processes)}`)
  return { manager: new SessionManager({ wire, clock, random, neighbours, waitMs, leaseSec: LEASE_SEC, deadlineMs: 3 * FLIGHT_MS }), wires }
}

const lockOn = async (node: number): Promise<string | undefined> => (await stores[node]?.flight('', [{ op: 'get', key: LOCK }]))?.[0]?.value?.toString()

async function lock(node: number): Promise<void> {
  await stores[node]?.flight('', [{ op: 'add', key: LOCK, value: 'of another one', ttlSec: LEASE_SEC }])
}

const pause = (ms: number): Promise<void> => clock.runUntil(new Promise<void>((resolve) => clock.setTimer(resolve, ms)))

/** How many milliseconds pass until it has settled. */
async function took(work: Promise<unknown>): Promise<number> {
  const fromMs = clock.nowMs()
  await clock.runUntil(work.catch(() => undefined))
  return clock.nowMs() - fromMs
}

describe('while a node of three stands still', () => {
  it('two processes whose votes were split do not wait at each other for a lock that neither has', async () => {
    still.add(0)
    const [one, other] = [processOf([1, 1, 5]), processOf([1, 5, 1])]
    const both = Promise.all([one, other].map(({ manager }) => manager.run('sid', () => undefined)))
    expect(await took(both)).toBeLessThan(2 * NODE_FLIGHT_MS)
  })

  it('who knows that it does gives back at once what it was granted in vain', async () => {
    still.add(0)
    const { manager } = processOf([1, 1, 1], 0)
    await clock.runUntil(manager.run('other', () => undefined))
    await lock(1)
    expect(await took(manager.run('sid', () => undefined))).toBeLessThan(NODE_FLIGHT_MS)
    expect(await lockOn(2)).toBeUndefined()
  })

  it('a lock that could not be given back is taken off soon, and does not stand for its lease', async () => {
    still.add(0)
    await lock(1)
    const { manager, wires } = processOf([1, 1, 1], 0)
    // As behind a proxy, where a version is trusted for a moment.
    wires[2]?.failNext({ kind: 'untrusted' }, 'cad', '-lck')
    await took(manager.run('sid', () => undefined))
    expect(await lockOn(2)).toContain('token')
    await pause(1000)
    expect(await lockOn(2)).toBeUndefined()
  })
})

/** It has lost what it had, as after a restart. */
async function empty(node: number): Promise<void> {
  for (const key of [LOCK, `${PREFIX}sid`, markKeyOf(PREFIX)]) await stores[node]?.flight('', [{ op: 'delete', key }])
}

it('where two of three nodes have been emptied, who asks waits for the lock on the third: only that one knows the session', async () => {
  const [holder, visitor] = [processOf([1, 1, 1]), processOf([1, 1, 1])]
  await clock.runUntil(holder.manager.run<{ n: number }>('sid', ({ data }) => void (data.n = 7)))
  const session = await clock.runUntil(holder.manager.start('sid'))
  await Promise.all([empty(0), empty(1)])
  const visit = visitor.manager.start<{ n: number }>('sid')
  await pause(300)
  await clock.runUntil(session.abort())
  expect((await clock.runUntil(visit)).data.n).toBe(7)
})

/** The nodes where the lock still stands. */
const standsOn = async (): Promise<number[]> => {
  const found = await Promise.all([0, 1, 2].map(lockOn))
  return found.flatMap((lock, node) => (lock === undefined ? [] : [node]))
}

describe('a lock that one node of three keeps although it was let go of is taken off there, and does not stand for its lease', () => {
  type Lock = { readonly op: 'add'; readonly value: string } | { readonly op: 'cas'; readonly value: string; readonly cas: Cas; readonly wantCas: true }
  type Fault = Parameters<FaultyWire['failNext']>[0]
  const unanswered: Fault = { kind: 'lost-reply' }
  const unheard: Fault = { kind: 'lost-request' }
  const unsent: Fault = { kind: 'not-sent' }
  const inVirtualTime = <Result>(work: Promise<Result>): Promise<Result> => clock.runUntil(work)

  it.each([
    ['whose answer was lost', unanswered],
    ['that never came there', unheard],
    ['that could not be sent there', unsent],
  ])('after a save %s', async (_what, fault) => {
    const { manager, wires } = processOf([1, 1, 1])
    const session = await inVirtualTime(manager.start<{ n: number }>('sid'))
    session.data.n = 1
    wires[2]?.failNext(fault, 'cas', '-lck')
    await inVirtualTime(session.save())
    await inVirtualTime(session.release())
    expect(await standsOn()).toEqual([2])
    await pause(1000)
    expect(await standsOn()).toEqual([])
  })

  it('after a renewal whose answer was lost', async () => {
    const { manager, wires } = processOf([1, 1, 1])
    const session = await inVirtualTime(manager.start('sid'))
    wires[2]?.failNext({ kind: 'lost-reply' }, 'cas', '-lck')
    await pause((LEASE_SEC * 1000) / 2)
    await inVirtualTime(session.release())
    await pause(1000)
    expect(await standsOn()).toEqual([])
  })

  it('after a renewal that two have not answered, and one of them not even when it was asked', async () => {
    const { manager, wires } = processOf([1, 1, 1])
    const session = await inVirtualTime(manager.start('sid'))
    for (const node of [1, 2]) wires[node]?.failNext({ kind: 'lost-reply' }, 'cas', '-lck')
    wires[2]?.failNext({ kind: 'lost-reply' }, 'get', '-lck')
    await pause((LEASE_SEC * 1000) / 2)
    await inVirtualTime(session.release())
    expect(await standsOn()).toEqual([2])
    await pause(1000)
    expect(await standsOn()).toEqual([])
  })

  it('after a save that one node has carried out, and the others have not', async () => {
    const { manager, wires } = processOf([1, 1, 1])
    const session = await inVirtualTime(manager.start<{ n: number }>('sid'))
    session.data.n = 1
    for (const node of [1, 2]) wires[node]?.failNext({ kind: 'lost-request' }, 'cas', '-lck')
    await inVirtualTime(session.save().catch(() => undefined))
    await inVirtualTime(session.abort())
    await pause(1000)
    expect(await standsOn()).toEqual([])
  })

  it('after a renewal that only one could carry out, as two have been emptied', async () => {
    const { manager } = processOf([1, 1, 1])
    const session = await inVirtualTime(manager.start('sid'))
    await Promise.all([empty(0), empty(1)])
    await pause((LEASE_SEC * 1000) / 2)
    expect(session.signal.aborted).toBe(true)
    await inVirtualTime(session.abort())
    await pause(1000)
    expect(await standsOn()).toEqual([])
  })

  it('after it was handed on there, and the record was not stored', async () => {
    const { manager } = processOf([1, 1, 1])
    const session = await inVirtualTime(manager.start<{ n: number }>('sid'))
    session.data.n = 1
    await inVirtualTime(session.save())
    const next = manager.start('sid')
    await pause(50)
    await stores[2]?.flight('', [{ op: 'delete', key: `${PREFIX}sid` }])
    await inVirtualTime(session.release())
    await inVirtualTime((await inVirtualTime(next)).release())
    await pause(1000)
    expect(await standsOn()).toEqual([])
  })

  it('after it was asked for a second time, as the nodes were new: what one of them had not answered comes late', async () => {
    for (const node of [0, 1, 2]) await empty(node)
    const { manager, wires } = processOf([5, 5, 1])
    wires[2]?.failNext({ kind: 'zombie', laterMs: 2000 }, 'add', '-lck')
    await inVirtualTime(manager.run('sid', () => undefined))
    await pause(2100)
    expect(await standsOn()).toEqual([2])
    await pause(8000)
    expect(await standsOn()).toEqual([])
  })

  it('as soon as the node answers again, also when it has stood still for longer than is looked in turn', async () => {
    const { manager } = processOf([1, 1, 1])
    const session = await inVirtualTime(manager.start('sid'))
    still.add(2)
    await inVirtualTime(session.release())
    await pause(11_000)
    still.delete(2)
    expect(await standsOn()).toEqual([2])
    await pause(6000)
    expect(await standsOn()).toEqual([])
  })

  it('after it was handed on there alone, and the node stands still then', async () => {
    const { manager, wires } = processOf([1, 20, 20])
    const session = await inVirtualTime(manager.start<{ n: number }>('sid'))
    session.data.n = 1
    await inVirtualTime(session.save())
    const next = manager.start('sid')
    await pause(50)
    for (const node of [1, 2]) wires[node]?.failNext(unheard, 'cas', '-lck')
    const released = session.release().catch(() => undefined)
    await pause(5)
    still.add(0)
    await inVirtualTime(released)
    await inVirtualTime((await inVirtualTime(next)).release())
    await pause(4000)
    still.delete(0)
    expect(await standsOn()).toEqual([0])
    await pause(8000)
    expect(await standsOn()).toEqual([])
  })

  it('after it was to be taken over, and only one node has granted that, so that it was given back there', async () => {
    const { wire } = processOf([1, 1, 1]).manager.engine
    const lockAs = (command: Lock): Promise<Reply[]> => inVirtualTime(wire.flight('sid', [{ key: LOCK, ttlSec: LEASE_SEC, ...command }, { op: 'get', key: `${PREFIX}sid` }]))
    const [added] = await lockAs({ op: 'add', value: 'before' })
    if (added?.cas === undefined) throw new Error('it was not granted')
    // As by a renewal whose answer was lost.
    for (const node of [1, 2]) await stores[node]?.flight('', [{ op: 'set', key: LOCK, value: 'before', ttlSec: LEASE_SEC }])
    const [taken] = await lockAs({ op: 'cas', value: 'after', cas: added.cas, wantCas: true })
    expect(taken?.status).toBe('exists')
    expect(await standsOn()).toEqual([1, 2])
    await pause(1000)
    expect(await standsOn()).toEqual([])
  })

  it('after a release that could not be sent there', async () => {
    const { manager, wires } = processOf([1, 1, 1])
    const session = await inVirtualTime(manager.start('sid'))
    wires[2]?.failNext({ kind: 'not-sent' }, 'cad', '-lck')
    await inVirtualTime(session.release())
    await pause(1000)
    expect(await standsOn()).toEqual([])
  })

  it.each([unanswered, unheard, unsent])('after it was handed on, and that came to nothing there: %o', async (fault) => {
    const { manager, wires } = processOf([1, 1, 1])
    const session = await inVirtualTime(manager.start<{ n: number }>('sid'))
    session.data.n = 1
    const next = manager.start('sid')
    await pause(50)
    wires[2]?.failNext(fault, 'cas', '-lck')
    await inVirtualTime(session.release())
    const handed = await inVirtualTime(next)
    await inVirtualTime(handed.release())
    await pause(1000)
    expect(await standsOn()).toEqual([])
  })

  it.each([unanswered, unheard, unsent])('after it was taken over by who destroys the session, and one node has not heard: %o', async (fault) => {
    const [holder, other] = [processOf([1, 1, 1]), processOf([1, 1, 1])]
    const session = await inVirtualTime(holder.manager.start<{ n: number }>('sid'))
    other.wires[2]?.failNext(fault, 'cas', '-lck')
    await inVirtualTime(other.manager.destroy('sid'))
    await pause(1000)
    expect(await standsOn()).toEqual([])
    await inVirtualTime(session.abort())
  })
})
