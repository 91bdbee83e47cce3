import assert from 'node:assert/strict'
import { assertBytes, casOf, expectMissing, expectStored, freshKey, overwritten, type Plays, run, stored, text } from './subject.js'

/** Each command on a missing item, on a present one, with the right version and with a stale one. */
export const commandCases: Plays = [
  ['get: missing', async ({ wire }) => {
    await expectMissing(wire, freshKey())
  }],

  ['get: value, flags and version', async ({ wire }) => {
    const key = freshKey()
    await run(wire, { op: 'add', key, value: text('hello'), ttlSec: 100, flags: 7 })
    const reply = await run(wire, { op: 'get', key })
    assert.deepEqual([reply.status, reply.flags], ['ok', 7])
    assertBytes(reply.value, text('hello'))
    assert.notEqual(casOf(reply).version, '')
  }],

  ['add: stores where nothing was, and its version is good for cas', async ({ wire }) => {
    const { key, cas } = await stored(wire, 'first')
    await expectStored(wire, key, 'first', cas)
    assert.equal((await run(wire, { op: 'cas', key, value: text('second'), ttlSec: 100, cas })).status, 'ok')
    await expectStored(wire, key, 'second')
  }],

  ['add: its version is good for compare-and-delete', async ({ wire }) => {
    const { key, cas } = await stored(wire, 'first')
    assert.equal((await run(wire, { op: 'cad', key, cas })).status, 'ok')
    await expectMissing(wire, key)
  }],

  ['add: leaves an occupant alone', async ({ wire }) => {
    const { key, cas } = await stored(wire, 'occupant')
    const reply = await run(wire, { op: 'add', key, value: text('intruder'), ttlSec: 100 })
    assert.equal(reply.status, 'exists')
    if (reply.value !== undefined) assertBytes(reply.value, text('occupant'))
    if (reply.cas !== undefined) assert.equal(reply.cas.version, cas.version)
    await expectStored(wire, key, 'occupant', cas)
  }],

  ['set: stores, whatever was there, under a new version', async ({ wire }) => {
    const key = freshKey()
    assert.equal((await run(wire, { op: 'set', key, value: text('one'), ttlSec: 100 })).status, 'ok')
    const before = casOf(await run(wire, { op: 'get', key }))
    assert.equal((await run(wire, { op: 'set', key, value: text('two'), ttlSec: 100 })).status, 'ok')
    await expectStored(wire, key, 'two')
    const reply = await run(wire, { op: 'cas', key, value: text('three'), ttlSec: 100, cas: before })
    assert.equal(reply.status, 'exists')
  }],

  ['cas: replaces the version that it names, and only once', async ({ wire }) => {
    const { key, cas } = await stored(wire, 'old')
    const command = { op: 'cas', key, value: text('new'), ttlSec: 100, cas } as const
    assert.equal((await run(wire, command)).status, 'ok')
    assert.equal((await run(wire, { ...command, value: text('newer') })).status, 'exists')
    await expectStored(wire, key, 'new')
  }],

  ['cas: with wantCas it answers with the new version', async ({ wire }) => {
    const { key, cas, stale } = await overwritten(wire, 'new')
    assert.notEqual(cas.version, stale.version)
    await expectStored(wire, key, 'new', cas)
    assert.equal((await run(wire, { op: 'cas', key, value: text('newer'), ttlSec: 100, cas })).status, 'ok')
  }],

  ['cas: a stale version changes nothing', async ({ wire }) => {
    const { key, cas, stale } = await overwritten(wire, 'mine')
    const command = { op: 'cas', key, value: text('theirs'), ttlSec: 100, cas: stale } as const
    assert.equal((await run(wire, command)).status, 'exists')
    assert.equal((await run(wire, { ...command, wantCas: true })).status, 'exists')
    await expectStored(wire, key, 'mine', cas)
  }],

  ['cas: missing creates nothing', async ({ wire }) => {
    const { key, cas } = await stored(wire, 'gone')
    await run(wire, { op: 'delete', key })
    const command = { op: 'cas', key, value: text('back'), ttlSec: 100, cas } as const
    assert.equal((await run(wire, command)).status, 'missing')
    assert.equal((await run(wire, { ...command, wantCas: true })).status, 'missing')
    await expectMissing(wire, key)
  }],

  ['cas: an item that was deleted and made again is another version', async ({ wire }) => {
    const { key, cas } = await stored(wire, 'same bytes')
    await run(wire, { op: 'delete', key })
    const again = casOf(await run(wire, { op: 'add', key, value: text('same bytes'), ttlSec: 100 }))
    assert.equal((await run(wire, { op: 'cas', key, value: text('x'), ttlSec: 100, cas })).status, 'exists')
    assert.equal((await run(wire, { op: 'cad', key, cas })).status, 'exists')
    await expectStored(wire, key, 'same bytes', again)
  }],

  ['touch: missing', async ({ wire }) => {
    assert.equal((await run(wire, { op: 'touch', key: freshKey(), ttlSec: 100 })).status, 'missing')
  }],

  ['touch: answers with the version and leaves it, the value and the flags alone', async ({ wire }) => {
    const key = freshKey()
    const cas = casOf(await run(wire, { op: 'add', key, value: text('same'), ttlSec: 100, flags: 5 }))
    const reply = await run(wire, { op: 'touch', key, ttlSec: 200 })
    assert.equal(reply.status, 'ok')
    assert.equal(casOf(reply).version, cas.version)
    assert.equal((await run(wire, { op: 'get', key })).flags, 5)
    await expectStored(wire, key, 'same', cas)
    const answered = casOf(reply)
    assert.equal((await run(wire, { op: 'cas', key, value: text('x'), ttlSec: 100, cas: answered })).status, 'ok')
  }],

  ['delete: present and missing', async ({ wire }) => {
    const { key } = await stored(wire, 'x')
    assert.equal((await run(wire, { op: 'delete', key })).status, 'ok')
    await expectMissing(wire, key)
    assert.equal((await run(wire, { op: 'delete', key })).status, 'missing')
  }],

  ['compare-and-delete: a stale version deletes nothing, the right one does', async ({ wire }) => {
    const { key, cas, stale } = await overwritten(wire, 'mine')
    assert.equal((await run(wire, { op: 'cad', key, cas: stale })).status, 'exists')
    await expectStored(wire, key, 'mine', cas)
    assert.equal((await run(wire, { op: 'cad', key, cas })).status, 'ok')
    await expectMissing(wire, key)
  }],

  ['compare-and-delete: missing', async ({ wire }) => {
    const { key, cas } = await stored(wire, 'x')
    await run(wire, { op: 'delete', key })
    assert.equal((await run(wire, { op: 'cad', key, cas })).status, 'missing')
    await expectMissing(wire, key)
    // The command must leave nothing behind that would block the next add.
    assert.equal((await run(wire, { op: 'add', key, value: text('y'), ttlSec: 100 })).status, 'ok')
  }],
]
