import assert from 'node:assert/strict'
import { type Command, FlightError, type Wire } from '../../wire/wire.js'
import { expectStored, freshKey, type Plays, run, stored, text } from './subject.js'

/** The parts that a wire may leave out. Where it has them, they must do this. */
export const optionalCases: Plays = [
  ['send tells what flight would have brought, and not before the call has returned', async ({ wire }) => {
    if (wire.send === undefined) return
    const key = freshKey()
    const commands: Command[] = [
      { op: 'add', key, value: text('sent'), ttlSec: 100 },
      { op: 'get', key },
    ]
    const told = await tell(wire, commands)
    assert.ok(Array.isArray(told), String(told))
    assert.deepEqual(told.map((reply: { readonly status: unknown }) => reply.status), ['ok', 'ok'])
    await expectStored(wire, key, 'sent')
  }],

  ['send tells what flight would have thrown', async ({ wire }) => {
    if (wire.send === undefined) return
    const told = await tell(wire, [{ op: 'get', key: 'a b' }])
    assert.ok(told instanceof FlightError && told.outcome === 'not-sent', String(told))
  }],

  ['keys lists those that begin with the prefix, and no others', async ({ wire }) => {
    if (wire.keys === undefined) return
    const prefix = freshKey('listed:')
    const keys = ['a', 'b%20c', 'd~'].map((name) => `${prefix}:${name}`)
    for (const key of keys) await run(wire, { op: 'set', key, value: text('x'), ttlSec: 100 })
    await stored(wire, 'x', 'not-listed')
    const listed = new Set<string>()
    for await (const key of wire.keys(`${prefix}:`)) listed.add(key)
    assert.deepEqual([...listed].sort(), keys.sort())
  }],

  ['nodeOf names the same node for the same route, and stats knows it', async ({ wire }) => {
    const { key } = await stored(wire, 'x')
    const node = wire.nodeOf?.(key)
    if (node === undefined || wire.stats === undefined) return
    assert.deepEqual(wire.nodeOf?.(key), node)
    assert.ok((wire.stats()[node.name]?.flights ?? 0) > 0, `no flights of ${node.name}`)
  }],
]

function tell(wire: Wire, commands: readonly Command[]): Promise<unknown> {
  return new Promise((resolve) => {
    let hasReturned = false
    const told = (what: unknown): void => {
      resolve(hasReturned ? what : new Error('it was told before the call had returned'))
    }
    wire.send?.('route', commands, { landed: told, failed: told })
    hasReturned = true
  })
}
