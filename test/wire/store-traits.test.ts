import { FlightError, type Reply, SessionManager, type Wire } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import { ANY_STORE, type StoreTraits } from '../../src/wire/wire.js'

/** What errors say of a store is what its wire says of it. */

const OTHER: StoreTraits = {
  name: 'otherstore',
  maxKeyBytes: 64,
  remedy: { tooLarge: 'buy a bigger box', outOfMemory: 'empty the box' },
}

/** Answers every flight alike. */
const wireThat = (flight: Wire['flight'], store?: StoreTraits): Wire => ({
  ...(store === undefined ? {} : { store }),
  flight,
  maxValueBytes: () => 10,
  sweep: () => 0,
  close: () => Promise.resolve(),
})

async function messageOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof Error) return error.message
  }
  throw new Error('it did not fail')
}

const notReached = (): Promise<Reply[]> => Promise.reject(new FlightError('not-sent', 'nobody is there'))
const full = (): Promise<Reply[]> =>
  Promise.resolve([
    { status: 'outOfMemory', value: undefined, flags: 0, cas: undefined },
    { status: 'missing', value: undefined, flags: 0, cas: undefined },
  ])

describe('what is said of a store', () => {
  it('a memcached that does not answer is called by its name', async () => {
    const manager = new SessionManager({ savePath: 'tcp://127.0.0.1:1' })
    expect(await messageOf(manager.start('sid'))).toMatch(/^No memcached answered for this session \(/)
    await manager.close()
  })

  it('a wire of one\'s own is called as it says, or "store"', async () => {
    const said = async (wire: Wire): Promise<string> => {
      const manager = new SessionManager({ wire })
      const message = await messageOf(manager.start('sid'))
      await manager.close()
      return message
    }
    expect(await said(wireThat(notReached))).toMatch(/^No store answered for this session \(nobody is there\)/)
    expect(await said(wireThat(notReached, OTHER))).toMatch(/^No otherstore answered/)
    expect(await said(wireThat(full))).toContain('To make room, look at its memory.')
    expect(await said(wireThat(full, OTHER))).toContain('To make room, empty the box.')
  })

  it('what is too large is helped as the wire says', async () => {
    const inner = createMemoryWire({ maxItemBytes: 1000 })
    const wires: [Wire, string][] = [
      [inner, 'raise maxItemBytes of the wire.'],
      [wireThat((route, commands) => inner.flight(route, commands), OTHER), 'or buy a bigger box.'],
    ]
    for (const [wire, remedy] of wires) {
      const manager = new SessionManager({ wire })
      const session = await manager.start('sid')
      session.data['x'] = 'x'.repeat(1000)
      expect(await messageOf(session.release())).toContain(remedy)
      await session.abort()
    }
  })

  it('ids are as long as the store has room for in a key', async () => {
    const manager = new SessionManager({ wire: wireThat(notReached, OTHER), prefix: '' })
    const plain = new SessionManager({ wire: wireThat(notReached), prefix: '' })
    const longest = 'x'.repeat(OTHER.maxKeyBytes - '-line'.length)
    expect(manager.flawOf(longest)).toBeUndefined()
    expect(manager.flawOf(`${longest}x`)).toBe('its lock key would have 65 bytes, and otherstore takes 64')
    expect(plain.flawOf('x'.repeat(ANY_STORE.maxKeyBytes - '-line'.length))).toBeUndefined()
    expect(plain.flawOf('x'.repeat(ANY_STORE.maxKeyBytes))).toContain('store takes 250')
    await Promise.all([manager.close(), plain.close()])
  })
})
