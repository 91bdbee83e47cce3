import { SessionManager } from 'latchkey'
import { VirtualClock } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import type { HoldSeen } from '../../src/observe/witness.js'
import { Hub, MOST_VIEWERS, type Outlet } from '../../src/adapters/inspector/hub.js'
import type { Frame } from '../../src/adapters/inspector/frame.js'
import { Recorder } from '../../src/adapters/inspector/recorder.js'
import { ManagerSource } from '../../src/adapters/inspector/source.js'
import { hashOf } from '../../src/system/session-hash.js'

const hold = (more: Partial<HoldSeen> = {}): HoldSeen => ({ id: 'an-id', token: '{"token":"a.1","host":"h","pid":1,"sinceMs":1,"label":"GET /cart"}', sinceMs: 0, overAtMs: 5, outcome: 'ok', to: 'nobody', causedMs: 0, ...more })
const same = (atMs: number): number => atMs

/** A viewer whose connection takes as much as the test says. */
class Screen implements Outlet {
  isReady = true
  isEnded = false
  private text = ''

  write(text: string): void {
    this.text += text
  }

  end(): void {
    this.isEnded = true
  }

  get events(): { event: string; data: { skipped: number; frames: Frame[] } }[] {
    return [...this.text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)].map(([, event = '', data = '']) => ({ event, data: JSON.parse(data) }))
  }

  get frames(): Frame[] {
    return this.events.flatMap(({ data }) => data.frames ?? [])
  }
}

function setUp(options: { locking?: boolean; waitMs?: number } = {}) {
  const clock = new VirtualClock()
  const manager = new SessionManager({ savePath: 'memory:', clock, ...options })
  const source = new ManagerSource(manager, 'shop')
  const hub = new Hub([source], clock, undefined)
  return { clock, manager, hub, tap: manager.engine.tap }
}

describe('the recorder', () => {
  it('keeps as much as it may, drops the oldest and says how many, however much is told', () => {
    const recorder = new Recorder()
    for (let n = 0; n < 100_000; n++) recorder.held(hold({ id: `id-${String(n)}`, sinceMs: n, overAtMs: n + (n % 10 === 0 ? 50 : 5) }))
    const { holds, dropped, routes } = recorder.take(same)
    expect(holds.length).toBeLessThanOrEqual(400)
    expect(holds.length + dropped).toBe(100_000)
    // The last ones are there, of those that tell something more than of those that went by.
    expect(holds.at(-1)?.session).toBe(hashOf('id-99990'))
    expect(holds.filter(({ heldMs }) => heldMs >= 20).length).toBeGreaterThan(250)
    // Nothing is missing in the sums.
    expect(routes).toMatchObject([{ label: 'GET /cart', holds: 100_000, longestMs: 50 }])
    expect(recorder.take(same)).toMatchObject({ holds: [], routes: [], dropped: 0 })
  })

  it('an application with a label of its own for each request fills no memory', () => {
    const recorder = new Recorder()
    for (let n = 0; n < 10_000; n++) recorder.held(hold({ token: `{"label":"GET /user/${String(n)}"}`.replace('{', '{"x":1,') }))
    const { routes } = recorder.take(same)
    expect(routes.length).toBeLessThan(50)
    expect(routes.reduce((sum, { holds }) => sum + holds, 0)).toBe(10_000)
  })

  it('shows no id, whatever is told', () => {
    const recorder = new Recorder()
    const id = 'a-secret-id'
    recorder.held(hold({ id }))
    recorder.waited({ id, label: 'GET /', sinceMs: 0, overAtMs: 9, outcome: 'ok', stranger: undefined })
    recorder.marked({ id, kind: 'renewal', atMs: 3, outcome: 'ok' })
    expect(JSON.stringify(recorder.take(same))).not.toContain(id)
  })
})

describe('a manager that is looked at', () => {
  it('is not told apart from one that nobody looks at, before and after', () => {
    const { hub, tap, clock } = setUp()
    expect([tap.witness, clock.pendingTimers]).toEqual([undefined, 0])
    const leave = hub.join(new Screen())
    expect(tap.witness).toBeDefined()
    leave()
    expect([tap.witness, clock.pendingTimers]).toEqual([undefined, 0])
  })

  it('who waits, who holds, who caused it, and who got the lock handed on', async () => {
    const { clock, manager, hub } = setUp()
    const screen = new Screen()
    const leave = hub.join(screen)
    const report = await manager.start('an-id', { label: 'GET /report' })
    const carts = [1, 2].map(() => manager.run('an-id', () => undefined, { label: 'GET /cart' }))
    await clock.advance(1000)
    expect(screen.frames.at(-1)?.now).toMatchObject([{
      session: hashOf('an-id'),
      isHeld: true,
      label: 'GET /report',
      heldMs: 1000,
      waiting: 2,
      waiters: [{ label: 'GET /cart', waitedMs: 1000 }, { label: 'GET /cart', waitedMs: 1000 }],
    }])
    await report.release()
    await Promise.all(carts)
    await clock.advance(200)
    const holds = screen.frames.flatMap((frame) => frame.holds)
    expect(holds).toMatchObject([
      { label: 'GET /report', heldMs: 1000, causedMs: 2000, to: 'waiter', outcome: 'ok', sinceMs: Date.UTC(2026, 0, 1) },
      { label: 'GET /cart', heldMs: 0, to: 'waiter' },
      { label: 'GET /cart', to: 'nobody' },
    ])
    expect(screen.frames.flatMap((frame) => frame.waits)).toMatchObject([{ label: 'GET /cart', waitedMs: 1000, outcome: 'ok' }, { label: 'GET /cart' }])
    const sums = screen.frames.flatMap((frame) => frame.routes).filter(({ label }) => label === 'GET /report')
    expect(sums).toMatchObject([{ holds: 1, causedMs: 2000, longestMs: 1000 }])
    leave()
    await manager.close()
  })

  it('who was refused, and why', async () => {
    const { clock, manager, hub } = setUp({ waitMs: 100 })
    const screen = new Screen()
    hub.join(screen)
    const first = await manager.start('an-id', { label: 'GET /report' })
    const refused = manager.run('an-id', () => undefined, { label: 'GET /cart' }).catch((error: unknown) => error)
    await clock.advance(400)
    await refused
    expect(screen.frames.flatMap((frame) => frame.waits)).toMatchObject([{ label: 'GET /cart', outcome: 'LATCHKEY_LOCK_TIMEOUT', reason: expect.stringContaining('GET /report') }])
    await first.release()
    hub.close()
    await manager.close()
  })

  it('a lock that was lost, its renewals, and a save', async () => {
    const { clock, manager, hub } = setUp()
    const screen = new Screen()
    hub.join(screen)
    const session = await manager.start('an-id', { label: 'GET /report' })
    session.data['n'] = 1
    await session.save()
    await clock.advance(10_000)
    expect(screen.frames.flatMap((frame) => frame.marks)).toMatchObject([{ kind: 'save', outcome: 'ok' }, { kind: 'renewal', outcome: 'ok' }, { kind: 'renewal' }])
    await clock.advance(120_000)
    expect(screen.frames.flatMap((frame) => frame.holds)).toMatchObject([{ label: 'GET /report', outcome: 'heldTooLong' }])
    hub.close()
    await manager.close()
  })

  it('a change that is refused has its code on its hold', async () => {
    const { clock, manager, hub } = setUp()
    const screen = new Screen()
    hub.join(screen)
    const session = await manager.start('an-id', { label: 'GET /cart' })
    session.data['n'] = 1
    await session.save()
    session.data['n'] = 2
    await manager.destroy('an-id')
    await session.release().catch(() => undefined)
    await clock.advance(200)
    expect(screen.frames.flatMap((frame) => frame.holds)).toMatchObject([{ label: 'GET /cart', outcome: expect.stringMatching(/LATCHKEY_(?:SESSION_GONE|FENCED)/) }])
    hub.close()
    await manager.close()
  })

  it('without the lock: who stored a session over what another one had stored', async () => {
    const { clock, manager, hub } = setUp({ locking: false })
    const screen = new Screen()
    hub.join(screen)
    const [one, other] = [await manager.start('an-id', { label: 'GET /one' }), await manager.start('an-id', { label: 'GET /other' })]
    one.data['one'] = 1
    other.data['other'] = 1
    await clock.advance(50)
    await one.release()
    await clock.advance(50)
    await other.release()
    await clock.advance(200)
    expect(screen.frames.flatMap((frame) => frame.holds)).toMatchObject([
      { label: 'GET /one', outcome: 'ok' },
      { label: 'GET /other', outcome: 'overwrote', over: 'GET /one' },
    ])
    hub.close()
    await manager.close()
  })
})

describe('the stream', () => {
  it('a viewer that is slow is skipped and told how often, and is written nothing ahead', async () => {
    const { clock, manager, hub } = setUp()
    const [slow, quick] = [new Screen(), new Screen()]
    for (const screen of [slow, quick]) hub.join(screen)
    slow.isReady = false
    const session = await manager.start('an-id')
    await clock.advance(2000)
    expect(slow.events.map(({ event }) => event)).toEqual(['hello'])
    slow.isReady = true
    await clock.advance(200)
    const [, frames] = slow.events
    expect(frames?.data.skipped).toBeGreaterThan(5)
    expect(frames?.data.frames[0]?.now).toMatchObject([{ isHeld: true }])
    expect(quick.events.length).toBeGreaterThan(slow.events.length + 5)
    await session.release()
    hub.close()
    await manager.close()
  })

  it('says once a second that it is there when nothing happens', async () => {
    const { clock, hub, manager } = setUp()
    const screen = new Screen()
    const leave = hub.join(screen)
    await clock.advance(5000)
    expect(screen.frames.length).toBeGreaterThanOrEqual(4)
    expect(screen.frames.length).toBeLessThanOrEqual(7)
    expect(screen.frames.at(-1)).toMatchObject({ state: 'ready', nodes: [{ name: 'memory', isUp: true }] })
    leave()
    await manager.close()
  })

  it('takes so many viewers and no more', () => {
    const { hub } = setUp()
    for (let n = 0; n < MOST_VIEWERS; n++) hub.join(new Screen())
    expect(hub.isFull).toBe(true)
    hub.close()
    expect(hub.size).toBe(0)
  })

  it('two inspectors of one manager see the same', async () => {
    const { clock, manager, hub } = setUp()
    const other = new Hub([new ManagerSource(manager)], clock, undefined)
    const [one, two] = [new Screen(), new Screen()]
    hub.join(one)
    const leave = other.join(two)
    await manager.run('an-id', () => undefined, { label: 'GET /' })
    await clock.advance(200)
    for (const screen of [one, two]) expect(screen.frames.flatMap((frame) => frame.holds)).toMatchObject([{ label: 'GET /' }])
    leave()
    hub.close()
    await manager.close()
  })
})
