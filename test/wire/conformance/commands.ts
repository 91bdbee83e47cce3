import { expect, it } from 'vitest'
import { valueBytes } from '../../../src/wire/wire.js'
import { casOf, expectMissing, expectStored, freshKey, overwritten, run, stored, text } from './subject.js'
import type { GetWire } from './subject.js'

/** Each command on a missing item, on a present one, with the right version and with a stale one. */
export function commandCases(wire: GetWire): void {
  it('get: missing', async () => {
    await expectMissing(wire(), freshKey())
  })

  it('get: value, flags and version', async () => {
    const key = freshKey()
    await run(wire(), { op: 'add', key, value: text('hello'), ttlSec: 100, flags: 7 })
    const reply = await run(wire(), { op: 'get', key })
    expect(reply).toMatchObject({ status: 'ok', flags: 7 })
    expect(valueBytes(reply.value ?? '')).toEqual(text('hello'))
    expect(casOf(reply).version).not.toBe('')
  })

  it('add: stores where nothing was, and its version is good for cas', async () => {
    const { key, cas } = await stored(wire(), 'first')
    await expectStored(wire(), key, 'first', cas)
    expect((await run(wire(), { op: 'cas', key, value: text('second'), ttlSec: 100, cas })).status).toBe('ok')
    await expectStored(wire(), key, 'second')
  })

  it('add: its version is good for compare-and-delete', async () => {
    const { key, cas } = await stored(wire(), 'first')
    expect((await run(wire(), { op: 'cad', key, cas })).status).toBe('ok')
    await expectMissing(wire(), key)
  })

  it('add: leaves an occupant alone', async () => {
    const { key, cas } = await stored(wire(), 'occupant')
    const reply = await run(wire(), { op: 'add', key, value: text('intruder'), ttlSec: 100 })
    expect(reply.status).toBe('exists')
    if (reply.value !== undefined) expect(valueBytes(reply.value)).toEqual(text('occupant'))
    if (reply.cas !== undefined) expect(reply.cas.version).toBe(cas.version)
    await expectStored(wire(), key, 'occupant', cas)
  })

  it('set: stores, whatever was there, under a new version', async () => {
    const key = freshKey()
    expect((await run(wire(), { op: 'set', key, value: text('one'), ttlSec: 100 })).status).toBe('ok')
    const before = casOf(await run(wire(), { op: 'get', key }))
    expect((await run(wire(), { op: 'set', key, value: text('two'), ttlSec: 100 })).status).toBe('ok')
    await expectStored(wire(), key, 'two')
    const reply = await run(wire(), { op: 'cas', key, value: text('three'), ttlSec: 100, cas: before })
    expect(reply.status).toBe('exists')
  })

  it('cas: replaces the version that it names, and only once', async () => {
    const { key, cas } = await stored(wire(), 'old')
    const command = { op: 'cas', key, value: text('new'), ttlSec: 100, cas } as const
    expect((await run(wire(), command)).status).toBe('ok')
    expect((await run(wire(), { ...command, value: text('newer') })).status).toBe('exists')
    await expectStored(wire(), key, 'new')
  })

  it('cas: with wantCas it answers with the new version', async () => {
    const { key, cas, stale } = await overwritten(wire(), 'new')
    expect(cas.version).not.toBe(stale.version)
    await expectStored(wire(), key, 'new', cas)
    expect((await run(wire(), { op: 'cas', key, value: text('newer'), ttlSec: 100, cas })).status).toBe('ok')
  })

  it('cas: a stale version changes nothing', async () => {
    const { key, cas, stale } = await overwritten(wire(), 'mine')
    const command = { op: 'cas', key, value: text('theirs'), ttlSec: 100, cas: stale } as const
    expect((await run(wire(), command)).status).toBe('exists')
    expect((await run(wire(), { ...command, wantCas: true })).status).toBe('exists')
    await expectStored(wire(), key, 'mine', cas)
  })

  it('cas: missing creates nothing', async () => {
    const { key, cas } = await stored(wire(), 'gone')
    await run(wire(), { op: 'delete', key })
    const command = { op: 'cas', key, value: text('back'), ttlSec: 100, cas } as const
    expect((await run(wire(), command)).status).toBe('missing')
    expect((await run(wire(), { ...command, wantCas: true })).status).toBe('missing')
    await expectMissing(wire(), key)
  })

  it('cas: an item that was deleted and made again is another version', async () => {
    const { key, cas } = await stored(wire(), 'same bytes')
    await run(wire(), { op: 'delete', key })
    const again = casOf(await run(wire(), { op: 'add', key, value: text('same bytes'), ttlSec: 100 }))
    expect((await run(wire(), { op: 'cas', key, value: text('x'), ttlSec: 100, cas })).status).toBe('exists')
    expect((await run(wire(), { op: 'cad', key, cas })).status).toBe('exists')
    await expectStored(wire(), key, 'same bytes', again)
  })

  it('touch: missing', async () => {
    expect((await run(wire(), { op: 'touch', key: freshKey(), ttlSec: 100 })).status).toBe('missing')
  })

  it('touch: answers with the version and leaves it, the value and the flags alone', async () => {
    const key = freshKey()
    const cas = casOf(await run(wire(), { op: 'add', key, value: text('same'), ttlSec: 100, flags: 5 }))
    const reply = await run(wire(), { op: 'touch', key, ttlSec: 200 })
    expect(reply.status).toBe('ok')
    expect(casOf(reply).version).toBe(cas.version)
    expect((await run(wire(), { op: 'get', key })).flags).toBe(5)
    await expectStored(wire(), key, 'same', cas)
    const answered = casOf(reply)
    expect((await run(wire(), { op: 'cas', key, value: text('x'), ttlSec: 100, cas: answered })).status).toBe('ok')
  })

  it('delete: present and missing', async () => {
    const { key } = await stored(wire(), 'x')
    expect((await run(wire(), { op: 'delete', key })).status).toBe('ok')
    await expectMissing(wire(), key)
    expect((await run(wire(), { op: 'delete', key })).status).toBe('missing')
  })

  it('compare-and-delete: a stale version deletes nothing, the right one does', async () => {
    const { key, cas, stale } = await overwritten(wire(), 'mine')
    expect((await run(wire(), { op: 'cad', key, cas: stale })).status).toBe('exists')
    await expectStored(wire(), key, 'mine', cas)
    expect((await run(wire(), { op: 'cad', key, cas })).status).toBe('ok')
    await expectMissing(wire(), key)
  })

  it('compare-and-delete: missing', async () => {
    const { key, cas } = await stored(wire(), 'x')
    await run(wire(), { op: 'delete', key })
    expect((await run(wire(), { op: 'cad', key, cas })).status).toBe('missing')
    await expectMissing(wire(), key)
    // Nothing is left behind that would keep the next one out.
    expect((await run(wire(), { op: 'add', key, value: text('y'), ttlSec: 100 })).status).toBe('ok')
  })
}
