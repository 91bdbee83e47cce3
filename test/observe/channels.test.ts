import { AsyncLocalStorage } from 'node:async_hooks'
import { channel, type ChannelListener, tracingChannel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { channels } from '../../src/observe/channels.js'
import { hashOf } from '../../src/system/session-hash.js'
import { codeOf, World } from '../support/world.js'

const ID = 'a-session-id-that-is-a-secret'
const SECRET = 'ada-the-user'

type Told = Record<string, unknown>

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

/** Everything that is told under `latchkey:<name>`, when it is over. */
function listen(name: string): Told[] {
  const told: Told[] = []
  const listener: ChannelListener = (event) => told.push({ ...(event as Told) })
  channel(`latchkey:${name}`).subscribe(listener)
  stops.push(() => void channel(`latchkey:${name}`).unsubscribe(listener))
  return told
}

/** The steps of a tracing channel, in their order. */
function follow(name: string): string[] {
  const steps: string[] = []
  const step = (text: string) => (): void => void steps.push(text)
  const subscribers = {
    start: step('start'),
    end: step('end'),
    asyncStart: step('asyncStart'),
    asyncEnd: step('asyncEnd'),
    error: step('error'),
  }
  const traced = tracingChannel(`latchkey:${name}`)
  traced.subscribe(subscribers)
  stops.push(() => void traced.unsubscribe(subscribers))
  return steps
}

describe('a lock that came when nobody wanted it any more', () => {
  it('is let go of without a word: as many are released as were acquired', async () => {
    const world = new World()
    const { manager } = world.process()
    await world.until(manager.run(ID, (session) => void (session.data['n'] = 1)))
    const released = listen('release')
    const holder = await world.until(manager.start(ID))
    const waiting = manager.start(ID)
    const gone = codeOf(waiting)
    await world.until(world.pause(5))
    await world.until(holder.destroy())
    expect(await world.until(gone)).toBe('LATCHKEY_SESSION_GONE')
    await world.until(world.pause(5))
    expect(manager.stats()).toMatchObject({ acquired: 2, held: 0 })
    expect(released).toHaveLength(1)
  })
})

describe('what is told of a session that nobody else wants', () => {
  it('is an acquisition, a commit, a release and two flights', async () => {
    const world = new World()
    const { manager, wire } = world.process()
    wire.latencyMs = 3
    const [acquired, committed, released, flights] = ['acquire', 'commit', 'release', 'flight'].map(listen)
    const session = await world.until(manager.start(ID, { label: 'GET /cart' }))
    session.data['user'] = SECRET
    await world.until(world.pause(40))
    await world.until(session.release())
    const about = { manager: manager.name, session: hashOf(ID), label: 'GET /cart', outcome: 'ok', durationMs: 3 }
    expect(acquired).toEqual([about])
    expect(committed).toEqual([{ ...about, change: 'write', keepsLock: false }])
    expect(released).toEqual([{ ...about, heldMs: 43, to: 'nobody' }])
    expect(flights).toEqual([
      { ...about, label: undefined, node: undefined, operations: ['add', 'get'] },
      { ...about, label: undefined, node: undefined, operations: ['add', 'cad'] },
    ])
  })

  it('comes in the order of tracing channels, and binds what is stored in them', async () => {
    const world = new World()
    const { manager } = world.process()
    const storage = new AsyncLocalStorage<string>()
    const bound: (string | undefined)[] = []
    const { start } = tracingChannel<unknown, object>('latchkey:acquire')
    start.bindStore(storage, () => 'of the acquisition')
    stops.push(() => void start.unbindStore(storage))
    const listener: ChannelListener = () => bound.push(storage.getStore())
    channel('tracing:latchkey:flight:start').subscribe(listener)
    stops.push(() => void channel('tracing:latchkey:flight:start').unsubscribe(listener))
    const steps = follow('acquire')
    const session = await world.until(manager.start(ID))
    await world.until(session.release())
    expect(steps).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
    expect(bound[0]).toBe('of the acquisition')
    expect(storage.getStore()).toBeUndefined()
  })
})

describe('what is told of a session that others want', () => {
  it('a request that waits in this process is told from its arrival until the lock is handed to it', async () => {
    const world = new World()
    const { manager } = world.process()
    const [waits, handOffs, released = []] = ['wait', 'hand-off', 'release'].map(listen)
    const first = await world.until(manager.start(ID, { label: 'first' }))
    const second = manager.start(ID, { label: 'second' })
    const third = manager.start(ID, { label: 'third' })
    expect(waits).toEqual([])
    await world.until(world.pause(30))
    first.data['n'] = 1
    await world.until(first.release())
    await world.until((await world.until(second)).release())
    await world.until((await world.until(third)).release())
    expect(waits).toMatchObject([
      { session: hashOf(ID), label: 'second', outcome: 'ok', durationMs: 30 },
      { session: hashOf(ID), label: 'third', outcome: 'ok' },
    ])
    expect(handOffs).toEqual([
      { manager: manager.name, session: hashOf(ID), label: 'second', waiting: 1 },
      { manager: manager.name, session: hashOf(ID), label: 'third', waiting: 0 },
    ])
    expect(released.map(({ label, to }) => [label, to])).toEqual([
      ['first', 'waiter'],
      ['second', 'waiter'],
      ['third', 'nobody'],
    ])
  })

  it('a request that waits for another process is told as well, and why it gave up', async () => {
    const world = new World()
    const [one, other] = [world.process(), world.process({ waitMs: 500 })]
    const [acquired = [], waits] = ['acquire', 'wait'].map(listen)
    const steps = follow('wait')
    const held = await world.until(one.manager.start(ID))
    expect(await world.until(codeOf(other.manager.start(ID)))).toBe('LATCHKEY_LOCK_TIMEOUT')
    await world.until(held.release())
    expect(waits).toMatchObject([{ manager: other.manager.name, outcome: 'LATCHKEY_LOCK_TIMEOUT', durationMs: 500 }])
    expect(acquired[1]).toMatchObject({ manager: other.manager.name, outcome: 'LATCHKEY_LOCK_TIMEOUT', durationMs: 500 })
    expect(steps).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  })

  it('a request that is aborted while it waits ends both its wait and its acquisition', async () => {
    const world = new World()
    const { manager } = world.process()
    const [acquired = [], waits] = ['acquire', 'wait'].map(listen)
    const held = await world.until(manager.start(ID))
    const controller = new AbortController()
    const waiting = codeOf(manager.start(ID, { signal: controller.signal }))
    controller.abort()
    await world.until(waiting)
    await world.until(held.release())
    expect(waits).toMatchObject([{ outcome: 'aborted' }])
    expect(acquired).toMatchObject([{ outcome: 'ok' }, { outcome: 'aborted' }])
  })

  it('a request too many is told with its code', async () => {
    const world = new World()
    const { manager } = world.process({ maxWaiters: 1 })
    const acquired = listen('acquire')
    const held = await world.until(manager.start(ID))
    const waiting = manager.start(ID)
    expect(await codeOf(manager.start(ID))).toBe('LATCHKEY_TOO_MANY_WAITERS')
    await world.until(held.release())
    await world.until((await world.until(waiting)).release())
    expect(acquired.map(({ outcome }) => outcome)).toEqual(['ok', 'LATCHKEY_TOO_MANY_WAITERS', 'ok'])
  })
})

describe('what is told of a lock that is held for long', () => {
  it('a renewal, and a save that keeps the lock', async () => {
    const world = new World()
    const { manager } = world.process({ leaseSec: 15 })
    const [renewed, committed = [], released] = ['renew', 'commit', 'release'].map(listen)
    const session = await world.until(manager.start(ID, { label: 'report' }))
    await world.until(world.pause(6000))
    expect(renewed).toMatchObject([{ label: 'report', outcome: 'ok', heldMs: 5000 }])
    session.data['n'] = 1
    await world.until(session.save())
    expect(committed).toMatchObject([{ change: 'write', keepsLock: true, outcome: 'ok' }])
    expect(released).toEqual([])
    await world.until(session.destroy())
    expect(committed[1]).toMatchObject({ change: 'destroy', keepsLock: false, outcome: 'ok' })
  })

  it('its loss, with the reason, and no release', async () => {
    const world = new World()
    const { manager } = world.process()
    const [renewed, lost, released] = ['renew', 'lost', 'release'].map(listen)
    const session = await world.until(manager.start(ID, { label: 'report' }))
    await world.evict(`sess:${ID}-lck`)
    await world.until(world.pause(6000))
    expect(renewed).toMatchObject([{ outcome: 'lost' }])
    expect(lost).toEqual([
      { manager: manager.name, session: hashOf(ID), label: 'report', reason: 'taken', heldMs: 5000 },
    ])
    await world.until(session.abort())
    expect(released).toEqual([])
  })

  it('its loss that shows only when it is let go: what it wrote is stored', async () => {
    const world = new World()
    const { manager } = world.process()
    const [lost, committed] = ['lost', 'commit'].map(listen)
    const session = await world.until(manager.start(ID, { label: 'report' }))
    await world.evict(`sess:${ID}-lck`)
    session.data['n'] = 1
    await world.until(session.release())
    expect(lost).toMatchObject([{ label: 'report', reason: 'taken' }])
    expect(committed).toMatchObject([{ outcome: 'ok' }])
  })

  it('when it is held for too long, and what is then cleared away is no release', async () => {
    const world = new World()
    const { manager } = world.process({ maxHoldMs: 1000 })
    const [lost, released] = ['lost', 'release'].map(listen)
    const session = await world.until(manager.start(ID))
    await world.until(world.pause(2000))
    expect(await world.get(`sess:${ID}-lck`)).toBeUndefined()
    expect(lost).toMatchObject([{ reason: 'heldTooLong', heldMs: 1000 }])
    expect(released).toEqual([])
    await world.until(session.abort())
  })
})

describe('what is told of failures', () => {
  it('a change that is fenced off', async () => {
    const world = new World()
    const { manager } = world.process()
    const [fenced, committed] = ['fenced', 'commit'].map(listen)
    const steps = follow('commit')
    const session = await world.until(manager.start(ID, { label: 'POST /cart' }))
    await world.server.flight('', [{ op: 'set', key: `sess:${ID}`, value: '{"n":9}', ttlSec: 100 }])
    session.data['n'] = 1
    expect(await world.until(codeOf(session.release()))).toBe('LATCHKEY_FENCED')
    expect(fenced).toEqual([
      { manager: manager.name, session: hashOf(ID), label: 'POST /cart', code: 'LATCHKEY_FENCED' },
    ])
    expect(committed).toMatchObject([{ outcome: 'LATCHKEY_FENCED' }])
    expect(steps).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  })

  it.each([
    ['not-sent', 'not-sent'],
    ['lost-reply', 'unknown'],
  ] as const)('a flight that suffers %s', async (kind, outcome) => {
    const world = new World()
    const { manager, wire } = world.process()
    const flights = listen('flight')
    wire.failNext({ kind }, 'add')
    const session = manager.start(ID)
    await world.until(session.then((one) => one.release(), () => undefined))
    expect(flights[0]).toMatchObject({ outcome, operations: ['add', 'get'] })
  })
})

describe('those who listen', () => {
  it('are never told an id, a key, a value or a token', async () => {
    const world = new World()
    const { manager, wire } = world.process({ waitMs: 100 })
    const names = Object.values(channels).map(({ name }) => name.replace('latchkey:', ''))
    const told = new Map(names.map((name) => [name, listen(name)]))
    const tokens: string[] = []
    const work = async (): Promise<void> => {
      const session = await manager.start(ID, { label: 'a' })
      session.data['user'] = SECRET
      await session.save()
      tokens.push(wire.flights.flat().flatMap((command) => (command.op === 'add' ? String(command.value) : []))[0] ?? '')
      await codeOf(manager.start(ID, { label: 'b' }))
      const third = manager.start(ID, { label: 'c' })
      await world.pause(50)
      await session.release()
      await (await third).release()
      const last = await manager.start(ID)
      last.data['user'] = `${SECRET}2`
      await world.server.flight('', [{ op: 'set', key: `sess:${ID}`, value: SECRET, ttlSec: 100 }])
      await codeOf(last.release())
      const lost = await manager.start('another-secret-id')
      await world.evict('sess:another-secret-id-lck')
      await world.pause(7000)
      await lost.abort()
    }
    await world.until(work())
    for (const [name, events] of told) expect([name, events.length > 0]).toEqual([name, true])
    const text = inspect([...told.values()], { depth: 12 })
    const [, instance = ''] = /"token":"([^.]+)\./.exec(tokens[0] ?? '') ?? []
    expect(instance).toMatch(/^[0-9a-f]{32}-\d+$/)
    for (const secret of [ID, 'another-secret-id', SECRET, instance]) expect(text).not.toContain(secret)
  })

  it.each(['start', 'end', 'asyncStart', 'asyncEnd', 'error'])('may listen to nothing but %s', async (step) => {
    const world = new World()
    const { manager } = world.process({ waitMs: 0 })
    let told = 0
    const listener: ChannelListener = () => void told++
    channel(`tracing:latchkey:acquire:${step}`).subscribe(listener)
    stops.push(() => void channel(`tracing:latchkey:acquire:${step}`).unsubscribe(listener))
    const session = await world.until(manager.start(ID))
    expect(await world.until(codeOf(manager.start(ID)))).toBe('LATCHKEY_LOCK_TIMEOUT')
    await world.until(session.release())
    expect(told).toBe(step === 'error' ? 1 : 2)
  })

  it('may come and go in the middle of anything', async () => {
    const world = new World()
    const { manager } = world.process()
    const held = await world.until(manager.start(ID))
    const waiting = manager.start(ID)
    const [waits, acquired] = ['wait', 'acquire'].map(listen)
    const next = manager.start(ID, { label: 'seen' })
    for (const stop of stops.splice(0)) stop()
    await world.until(held.release())
    await world.until((await world.until(waiting)).release())
    await world.until((await world.until(next)).release())
    expect(waits).toEqual([])
    expect(acquired).toEqual([])
    expect(manager.stats()).toMatchObject({ acquired: 3, held: 0, waiting: 0 })
  })

  it('tell managers apart by their names', async () => {
    const world = new World()
    const [one, other] = [world.process(), world.process()]
    const acquired = listen('acquire')
    await world.until(one.manager.run(ID, () => undefined))
    await world.until(other.manager.run(ID, () => undefined))
    expect(one.manager.name).not.toBe(other.manager.name)
    expect(acquired.map(({ manager }) => manager)).toEqual([one.manager.name, other.manager.name])
  })
})
