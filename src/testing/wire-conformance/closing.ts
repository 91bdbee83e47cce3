import assert from 'node:assert/strict'
import { type Cas, FlightError, type Wire } from '../../wire/wire.js'
import { casOf, freshKey, type Plays, run, statusesOf, stored, text } from './subject.js'

/** Closing a wire, and restarting its store. */
export const closingCases: Plays = [
  ['close is idempotent, and flights after it are not sent', async ({ wire }) => {
    const { key } = await stored(wire, 'x')
    await wire.close()
    await wire.close()
    const refused = wire.flight(key, [{ op: 'get', key }])
    await assert.rejects(refused, (error) => error instanceof FlightError && error.outcome === 'not-sent')
    await Promise.all([wire.close(), wire.close()])
  }],

  ['a wire that never flew closes', async ({ wire }) => {
    await wire.close()
  }],

  ['close settles every flight under way', async ({ wire }) => {
    await stored(wire, 'x')
    const flights = Array.from({ length: 20 }, () => {
      const key = freshKey()
      return wire.flight(key, [{ op: 'add', key, value: text('x'), ttlSec: 100 }])
    })
    const settled = Promise.allSettled(flights)
    await wire.close()
    for (const flight of await settled) {
      if (flight.status === 'rejected') assert.ok(flight.reason instanceof FlightError, String(flight.reason))
      else assert.deepEqual(statusesOf(flight.value), ['ok'])
    }
  }],

  ['after a restart of the store, a version from before it never matches', async (subject) => {
    if (subject.restart === undefined) return
    const { wire, repeatsVersions = false } = subject
    const { key, cas: first } = await stored(wire, 'mine')
    // After a restart a store that counts from 1 again reaches this version later than the first writes of strangers.
    const old = await rewritten(wire, key, first, 20)
    await subject.restart()
    await stored(wire, 'first').catch(() => undefined)
    const stranger = await numberedAs(old, key, async (value) => {
      await wire.flight(key, [{ op: 'set', key, value, ttlSec: 100 }])
      return casOf(await run(wire, { op: 'get', key }))
    })
    // With any other version the commands below would be refused anyway, and would show nothing.
    if (repeatsVersions) assert.equal(stranger.version, old.version)
    for (const command of [
      { op: 'cas', key, value: text('mine again'), ttlSec: 100, cas: old },
      { op: 'cad', key, cas: old },
    ] as const) {
      const outcome = await wire.flight(key, [command]).then(
        ([reply]) => reply?.status,
        (error: unknown) => (error instanceof FlightError ? error.outcome : String(error)),
      )
      assert.ok(outcome === 'exists' || outcome === 'not-sent', outcome)
    }
    const read = await run(wire, { op: 'get', key })
    assert.equal(casOf(read).version, stranger.version)
    assert.match(String(read.value), /^stranger/)
    // A version that was read after the restart still works.
    const fresh = casOf(read)
    assert.equal((await run(wire, { op: 'cas', key, value: text('new'), ttlSec: 100, cas: fresh })).status, 'ok')
  }],
]

/** Overwrites `key` the given number of times, and returns the last version. */
async function rewritten(wire: Wire, key: string, from: Cas, times: number): Promise<Cas> {
  let cas = from
  for (let i = 0; i < times; i++) {
    cas = casOf(await run(wire, { op: 'cas', key, value: text(`mine ${i}`), ttlSec: 100, cas, wantCas: true }))
  }
  return cas
}

/** Writes until the version has the same number as `old`, which happens where a restarted store counts from 1 again. */
async function numberedAs(old: Cas, key: string, write: (value: Buffer) => Promise<Cas>): Promise<Cas> {
  let cas = await write(text(`stranger at ${key}`))
  for (let i = 0; i < 50 && cas.version !== old.version; i++) cas = await write(text(`stranger ${i} at ${key}`))
  return cas
}
