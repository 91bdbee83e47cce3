/** Locks that nobody holds, on several servers, one of which does not answer. */
import { SessionManager } from 'latchkey'
import { SeededRandom, VirtualClock } from 'latchkey/testing'
import { expect, it } from 'vitest'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import { type Command, FlightError, type Reply, type Wire } from '../../src/wire/wire.js'

/** Two servers: sessions whose id begins with `dead` are on the one that fails once it is told to. */
class TwoNodes implements Wire {
  isDead = false
  /** Flights of the other one are carried out, and no answer arrives. */
  isMute = false
  private readonly inner: Wire

  constructor(private readonly clock: VirtualClock) {
    this.inner = createMemoryWire({ clock })
  }

  async flight(route: string, commands: readonly Command[]): Promise<Reply[]> {
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

it('10,000 orphans of a server that answers go within seconds, beside as many of one that does not', async () => {
  const clock = new VirtualClock()
  const wire = new TwoNodes(clock)
  // A lease longer than the test: what goes, goes by the sweeper.
  const manager = new SessionManager({ wire, clock, random: new SeededRandom(1), leaseSec: 3600 })
  const attempt = (id: string): Promise<unknown> => manager.start(id).catch((error: unknown) => error)
  wire.isDead = true
  await clock.runUntil(Promise.all(many('dead', 10_000).map(attempt)))
  const alive = many('alive', 10_000)
  wire.isMute = true
  await clock.runUntil(Promise.all(alive.map(attempt)))
  expect(await wire.locks(alive)).toBe(10_000)
  wire.isMute = false
  await clock.advance(10_000)
  expect(await wire.locks(alive)).toBe(0)
})
