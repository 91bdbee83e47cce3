/** Locks that nobody holds, on several servers, one of which does not answer. */
import { SessionManager } from 'latchkey'
import { SeededRandom, VirtualClock } from 'latchkey/testing'
import { expect, it } from 'vitest'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import { type Command, FlightError, type Reply, type Wire } from '../../src/wire/wire.js'
import { playsAllRows, rowsOf } from '../support/matrix.js'

/** Two servers: sessions whose id begins with `dead` are on the one that fails once it is told to. */
class TwoNodes implements Wire {
  isDead = false
  /** Flights of the other one are carried out, and no answer arrives. */
  isMute = false
  /** How long flights to either take. */
  latencyMs = 0
  flights = 0
  private readonly inner: Wire

  constructor(private readonly clock: VirtualClock) {
    this.inner = createMemoryWire({ clock })
  }

  async flight(route: string, commands: readonly Command[]): Promise<Reply[]> {
    this.flights++
    if (this.latencyMs > 0) await new Promise<void>((resolve) => this.clock.setTimer(resolve, this.latencyMs))
    if (route.startsWith('dead') && this.isDead) {
      await new Promise<void>((resolve) => this.clock.setTimer(resolve, 750))
      throw new FlightError('unknown', 'no answer (planned)')
    }
    const replies = await this.inner.flight(route, commands)
    if (this.isMute) throw new FlightError('unknown', 'the reply was lost (planned)')
    return replies
  }

  nodeOf(route: string): { name: string; address: string; port: undefined } {
    const name = route.startsWith('dead') ? 'dead' : 'alive'
    return { name, address: name, port: undefined }
  }

  async locks(ids: readonly string[]): Promise<number> {
    const found = await Promise.all(ids.map((id) => this.inner.flight(id, [{ op: 'get', key: `sess:${id}-lck` }])))
    return found.filter(([reply]) => reply?.status === 'ok').length
  }

  maxValueBytes = (): number => 1_000_000
  sweep = (): number => 0
  close = (): Promise<void> => Promise.resolve()
}

const many = (name: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${name}-${String(index)}`)

/** A manager whose lease outlasts the test: what goes, goes by the sweeper. */
function managed(): { clock: VirtualClock; wire: TwoNodes; manager: SessionManager; attempt: (id: string) => Promise<unknown> } {
  const clock = new VirtualClock()
  const wire = new TwoNodes(clock)
  const manager = new SessionManager({ wire, clock, random: new SeededRandom(1), leaseSec: 3600 })
  return { clock, wire, manager, attempt: (id) => manager.start(id).catch(() => undefined) }
}

it.each(rowsOf([['1,000', 1000], ['10,000', 10_000]] as const))('%s orphans of a server that answers go within seconds, beside as many of one that does not', async (_count, count) => {
  const { clock, wire, attempt } = managed()
  wire.isDead = true
  await clock.runUntil(Promise.all(many('dead', count).map(attempt)))
  const alive = many('alive', count)
  wire.isMute = true
  await clock.runUntil(Promise.all(alive.map(attempt)))
  expect(await wire.locks(alive)).toBe(count)
  wire.isMute = false
  await clock.advance(10_000)
  expect(await wire.locks(alive)).toBe(0)
})

it('a manager that closes while orphans are looked at looks at nothing after that', async () => {
  const { clock, wire, manager, attempt } = managed()
  wire.isMute = true
  await clock.runUntil(attempt('alive'))
  wire.isMute = false
  wire.latencyMs = 500
  const { flights } = wire
  while (wire.flights === flights) await clock.advance(100)
  wire.latencyMs = 0
  await clock.runUntil(manager.close())
  const sent = wire.flights
  await clock.advance(600_000)
  expect({ sent: wire.flights, timers: clock.pendingTimers }).toEqual({ sent, timers: 0 })
})

it.runIf(playsAllRows)('of more orphans than are watched, those that came first are left to their lease, which ends first', async () => {
  const { clock, wire, attempt } = managed()
  wire.isMute = true
  const ids = many('alive', 20_002)
  await clock.runUntil(Promise.all(ids.map(attempt)))
  wire.isMute = false
  await clock.advance(60_000)
  expect(await wire.locks(ids)).toBe(2)
  expect(await wire.locks(ids.slice(0, 2))).toBe(2)
})
