import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import { FlightError, type Wire } from '../../src/wire/wire.js'
import { codeOf } from '../support/world.js'

/** A wire of a user's own that throws at once, where it should reject, as often as it is told to. */
class ThrowingWire implements Wire {
  throws = 0
  readonly send: Wire['send']
  private readonly inner = createMemoryWire()

  constructor(hasSend: boolean) {
    this.send = hasSend
      ? (route, commands, receiver) => {
          this.stumble()
          this.inner.flight(route, commands).then(receiver.landed.bind(receiver), receiver.failed.bind(receiver))
        }
      : undefined
  }

  flight: Wire['flight'] = (route, commands) => {
    this.stumble()
    return this.inner.flight(route, commands)
  }
  maxValueBytes: Wire['maxValueBytes'] = (route, key) => this.inner.maxValueBytes(route, key)
  sweep = (): number | Promise<number> => this.inner.sweep()
  close = (): Promise<void> => this.inner.close()

  private stumble(): void {
    if (this.throws === 0) return
    this.throws--
    throw new FlightError('not-sent', 'down for a moment')
  }
}

describe.each([
  ['flight', false],
  ['send', true],
])('a wire whose %s() throws at once', (_name, hasSend) => {
  it('is asked again, or is unavailable: no session stays locked', async () => {
    const wire = new ThrowingWire(hasSend)
    const manager = new SessionManager({ wire })
    wire.throws = 1
    await manager.run('id', ({ data }) => void (data['n'] = 1))
    const session = await manager.start('id')
    session.data['n'] = 2
    wire.throws = 1
    expect(await codeOf(session.release())).toBe('LATCHKEY_SERVER_UNAVAILABLE')
    wire.throws = 2
    expect(await codeOf(manager.start('id'))).toBe('LATCHKEY_SERVER_UNAVAILABLE')
    await manager.run('id', ({ data }) => {
      expect(data['n']).toBe(1)
    })
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    await manager.close()
  })
})
