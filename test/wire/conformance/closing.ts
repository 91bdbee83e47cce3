import { expect, it } from 'vitest'
import { type Cas, FlightError, type Wire } from '../../../src/wire/wire.js'
import { casOf, freshKey, run, stored, text } from './subject.js'
import type { MakeSubject } from './subject.js'

/** The end of a wire, and the end and new beginning of its store. */
export function closingCases(make: MakeSubject): void {
  it('close is idempotent, and flights after it are not sent', async () => {
    const { wire, close } = await make()
    const { key } = await stored(wire, 'x')
    await wire.close()
    await wire.close()
    const refused = wire.flight(key, [{ op: 'get', key }])
    await expect(refused).rejects.toBeInstanceOf(FlightError)
    await expect(refused).rejects.toMatchObject({ outcome: 'not-sent' })
    await Promise.all([wire.close(), wire.close()])
    await close()
  })

  it('a wire that never flew closes', async () => {
    const { wire, close } = await make()
    await wire.close()
    await close()
  })

  it('close settles every flight under way', async () => {
    const { wire, close } = await make()
    await stored(wire, 'x')
    const flights = Array.from({ length: 20 }, () => {
      const key = freshKey()
      return wire.flight(key, [{ op: 'add', key, value: text('x'), ttlSec: 100 }])
    })
    const settled = Promise.allSettled(flights)
    await wire.close()
    for (const flight of await settled) {
      if (flight.status === 'rejected') expect(flight.reason).toBeInstanceOf(FlightError)
      else expect(flight.value.map((reply) => reply.status)).toEqual(['ok'])
    }
    await close()
  })

  it('after a restart of the store, a version from before it never matches', async () => {
    const { wire, close, restart, repeatsVersions = false } = await make()
    try {
      if (restart === undefined) return
      const { key, cas: first } = await stored(wire, 'mine')
      // A number that a store which counts from 1 again comes to after the strangers' first writes, and not before.
      const old = await rewritten(wire, key, first, 20)
      await restart()
      await stored(wire, 'first').catch(() => undefined)
      const stranger = await numberedAs(old, key, async (value) => {
        await wire.flight(key, [{ op: 'set', key, value, ttlSec: 100 }])
        return casOf(await run(wire, { op: 'get', key }))
      })
      // Else the commands below would be refused for a wrong number, and show nothing.
      if (repeatsVersions) expect(stranger.version).toBe(old.version)
      for (const command of [
        { op: 'cas', key, value: text('mine again'), ttlSec: 100, cas: old },
        { op: 'cad', key, cas: old },
      ] as const) {
        const outcome = await wire.flight(key, [command]).then(
          ([reply]) => reply?.status,
          (error: unknown) => (error instanceof FlightError ? error.outcome : error),
        )
        expect(['exists', 'not-sent']).toContain(outcome)
      }
      const read = await run(wire, { op: 'get', key })
      expect(casOf(read).version).toBe(stranger.version)
      expect(String(read.value)).toMatch(/^stranger/)
      // A version that was read since then is as good as ever.
      const fresh = casOf(read)
      expect((await run(wire, { op: 'cas', key, value: text('new'), ttlSec: 100, cas: fresh })).status).toBe('ok')
    } finally {
      await close()
    }
  })
}

/** Overwrites `key` so many times; its last version. */
async function rewritten(wire: Wire, key: string, from: Cas, times: number): Promise<Cas> {
  let cas = from
  for (let i = 0; i < times; i++) {
    cas = casOf(await run(wire, { op: 'cas', key, value: text(`mine ${i}`), ttlSec: 100, cas, wantCas: true }))
  }
  return cas
}

/** Writes until the version has the same number as `old`, if it comes to that: a new store counts from 1 again. */
async function numberedAs(old: Cas, key: string, write: (value: Buffer) => Promise<Cas>): Promise<Cas> {
  let cas = await write(text(`stranger at ${key}`))
  for (let i = 0; i < 50 && cas.version !== old.version; i++) cas = await write(text(`stranger ${i} at ${key}`))
  return cas
}
