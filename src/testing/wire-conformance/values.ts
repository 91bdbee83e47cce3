import assert from 'node:assert/strict'
import { casOf, assertBytes, expectStored, freshKey, longKey, type Plays, run, stored } from './subject.js'

const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

const VALUES: readonly (readonly [string, Buffer])[] = [
  ['nothing at all', Buffer.alloc(0)],
  ['one NUL', Buffer.from([0])],
  ['0xFF bytes', Buffer.alloc(64, 0xff)],
  ['every byte', everyByte],
  ['line ends', Buffer.from('\r\n\r\n')],
  ['an end of reply', Buffer.from('x\r\nEND\r\n')],
  ['a header', Buffer.from('VALUE key 0 5 1\r\nhello\r\nEND\r\nSTORED\r\n')],
  ['a command', Buffer.from('\r\nflush_all\r\ndelete key\r\n')],
  ['a binary header', Buffer.concat([Buffer.from([0x81, 0x00]), Buffer.alloc(22)])],
  ['ASCII', everyByte.subarray(0, 128)],
  ['ASCII but for the last byte', Buffer.from('x'.repeat(99) + '\x80', 'latin1')],
  ['several packets of ASCII', Buffer.alloc(300_000, everyByte.subarray(0, 128))],
  ['several packets', Buffer.alloc(300_000, everyByte)],
]

/** Values come out as they went in, byte by byte. */
export const valueCases: Plays = [
  ...VALUES.map(([name, value]): Plays[number] => [`${name}, by add, set and cas`, async ({ wire }) => {
    const key = freshKey()
    const item = { key, value, ttlSec: 100 }
    const added = await run(wire, { op: 'add', ...item })
    assert.equal(added.status, 'ok')
    await expectStored(wire, key, value, casOf(added))
    assert.equal((await run(wire, { op: 'set', ...item })).status, 'ok')
    await expectStored(wire, key, value)
    const cas = casOf(await run(wire, { op: 'get', key }))
    const replaced = await run(wire, { op: 'cas', ...item, cas, wantCas: true })
    assert.equal(replaced.status, 'ok')
    await expectStored(wire, key, value, casOf(replaced))
  }]),

  ['text of Latin-1 characters, a byte each, by add, set and cas', async ({ wire }) => {
    const key = freshKey()
    const item = { key, value: everyByte.toString('latin1'), ttlSec: 100 }
    const added = await run(wire, { op: 'add', ...item })
    await expectStored(wire, key, everyByte, casOf(added))
    assert.equal((await run(wire, { op: 'set', ...item })).status, 'ok')
    await expectStored(wire, key, everyByte)
    const replaced = await run(wire, { op: 'cas', ...item, cas: casOf(await run(wire, { op: 'get', key })), wantCas: true })
    await expectStored(wire, key, everyByte, casOf(replaced))
  }],

  ['ASCII and other bytes at once: text only what is the same in every encoding', async ({ wire }) => {
    const values = ['ascii', 'na\u00efve', '\x7f', '\x80', ''].map((value) => Buffer.from(value, 'latin1'))
    const keys = values.map(() => freshKey())
    await wire.flight('', values.map((value, at) => ({ op: 'add', key: keys[at] ?? '', value, ttlSec: 100 })))
    const read = await wire.flight('', keys.map((key) => ({ op: 'get', key })))
    for (const [at, value] of values.entries()) assertBytes(read[at]?.value, value)
    for (const { value } of read) if (typeof value === 'string') assert.match(value, /^[\0-\x7f]*$/)
  }],

  ...[0, 1, 16, 0x7fffffff, 0x80000000, 0xffffffff].map((flags): Plays[number] => [`flags ${flags}, by add, set and cas`, async ({ wire }) => {
    const key = freshKey()
    const item = { key, value: Buffer.from('x'), ttlSec: 100, flags }
    const expectFlags = async (): Promise<void> => {
      assert.equal((await run(wire, { op: 'get', key })).flags, flags)
    }
    const cas = casOf(await run(wire, { op: 'add', ...item }))
    await expectFlags()
    await run(wire, { op: 'cas', ...item, cas })
    await expectFlags()
    await run(wire, { op: 'set', ...item })
    await expectFlags()
  }]),

  ['flags are 0 by default, even over an item that had some', async ({ wire }) => {
    const key = freshKey()
    const cas = casOf(await run(wire, { op: 'add', key, value: Buffer.from('x'), ttlSec: 100, flags: 9 }))
    await run(wire, { op: 'cas', key, value: Buffer.from('y'), ttlSec: 100, cas })
    assert.equal((await run(wire, { op: 'get', key })).flags, 0)
  }],

  ['a value of maxValueBytes fits, by add, set and cas, under a short key and a long one', async ({ wire }) => {
    for (const key of [freshKey(), longKey(wire, 'long')]) {
      const limit = wire.maxValueBytes(key, key)
      const item = { key, value: Buffer.alloc(limit, everyByte), ttlSec: 100, flags: 1 }
      const cas = casOf(await run(wire, { op: 'add', ...item }))
      await expectStored(wire, key, item.value, cas)
      assert.equal((await run(wire, { op: 'cas', ...item, cas })).status, 'ok')
      assert.equal((await run(wire, { op: 'set', ...item })).status, 'ok')
      await expectStored(wire, key, item.value)
      await run(wire, { op: 'delete', key })
    }
  }],

  ['buffers belong to the caller again once a flight has settled', async ({ wire }) => {
    const value = Buffer.from('before')
    const { key } = await stored(wire, value)
    const set = Buffer.from('before')
    await run(wire, { op: 'set', key, value: set, ttlSec: 100 })
    set.fill('x')
    const read = await run(wire, { op: 'get', key })
    if (typeof read.value !== 'string') read.value?.fill('y')
    await expectStored(wire, key, 'before')
  }],
]
