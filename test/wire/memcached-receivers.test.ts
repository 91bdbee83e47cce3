import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { freshKey, stored } from '../../src/testing/wire-conformance/subject.js'
import { createMemcachedWire, type MemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import type { Command, Receiver, Reply } from '../../src/wire/wire.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { PATIENCE_MS, PROTOCOLS, serverAddresses } from '../support/memcached-subject.js'

/** What a receiver was told, in the words of a promise. */
type Told = readonly ['landed', readonly Reply[]] | readonly ['failed', unknown]

/** Sends a flight; resolves with everything that was told of it by the end of the turn that first told something. */
function tell(wire: MemcachedWire, commands: readonly Command[], then?: () => void): Promise<readonly Told[]> {
  return new Promise((resolve) => {
    const told: Told[] = []
    const note = (what: Told): void => {
      told.push(what)
      then?.()
      setImmediate(() => {
        resolve(told)
      })
    }
    const receiver: Receiver = {
      landed(replies) {
        note(['landed', replies])
      },
      failed(error) {
        note(['failed', error])
      },
    }
    wire.send(route, commands, receiver)
    expect(told).toEqual([])
  })
}

const route = 'route'
const failure = (outcome: string): unknown => [['failed', expect.objectContaining({ name: 'FlightError', outcome })]]

describe.concurrent.each(PROTOCOLS)('a flight by %s that is told to a receiver', (protocol) => {
  const wireTo = (address: string): MemcachedWire =>
    createMemcachedWire({ servers: serverAddresses(address, protocol), clock: systemClock, flightMs: PATIENCE_MS })

  it('lands once, with what flight() would have resolved to', async () => {
    await using server = await MemcachedServer.start()
    const wire = wireTo(server.address)
    const { key } = await stored(wire, 'hello')
    const commands: Command[] = [{ op: 'get', key }, { op: 'get', key: freshKey() }]
    const told = await tell(wire, commands)
    expect(told).toEqual([['landed', await wire.flight(route, commands)]])
    expect(await tell(wire, [])).toEqual([['landed', []]])
    await wire.close()
  })

  it('fails once: with a key that is none, on a closed wire, where nobody listens', async () => {
    await using server = await MemcachedServer.start()
    const wire = wireTo(server.address)
    expect(await tell(wire, [{ op: 'get', key: 'a b' }])).toEqual(failure('not-sent'))
    await wire.close()
    expect(await tell(wire, [{ op: 'get', key: 'k' }])).toEqual(failure('not-sent'))
    const { address } = server
    await server.stop()
    const lonely = wireTo(address)
    expect(await tell(lonely, [{ op: 'get', key: 'k' }])).toEqual(failure('not-sent'))
    await lonely.close()
  })

  it('may be followed at once by another one, whether it landed or failed', async () => {
    await using server = await MemcachedServer.start()
    const wire = wireTo(server.address)
    const { key } = await stored(wire, 'hello')
    const get: Command[] = [{ op: 'get', key }]
    const next: Promise<readonly Told[]>[] = []
    const again = (): void => {
      next.push(tell(wire, get))
    }
    await Promise.all([tell(wire, get, again), tell(wire, [{ op: 'get', key: 'a b' }], again), tell(wire, get, again)])
    expect((await Promise.all(next)).map(([first]) => first?.[0])).toEqual(['landed', 'landed', 'landed'])
    await wire.close()
  })

  it('and those that come after a batch that failed are not forgotten', async () => {
    await using server = await MemcachedServer.start()
    const { address } = server
    await server.stop()
    const wire = wireTo(address)
    const get: Command[] = [{ op: 'get', key: 'k' }]
    const next: Promise<readonly Told[]>[] = []
    const again = (): void => {
      next.push(tell(wire, get))
    }
    await Promise.all(Array.from({ length: 5 }, () => tell(wire, get, again)))
    for (const told of await Promise.all(next)) expect(told).toEqual(failure('not-sent'))
    expect(next).toHaveLength(5)
    await wire.close()
  })
})
