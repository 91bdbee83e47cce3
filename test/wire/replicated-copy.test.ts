import { describe, expect, it } from 'vitest'
import { contentOf, copyIn, headIn, headText, nextCount } from '../../src/wire/replicated/copy.js'
import type { Reply, Value } from '../../src/wire/wire.js'

const HEAD = {
  count: 12,
  ordinal: 7,
  seals: [{ incarnation: 'a1', version: '18446744073709551615' }, { incarnation: 'b2', version: '3' }],
  longestSec: 1440,
  endsAtSec: 1790000000,
}
const TEXT = 'copy1 12 7 1440 1790000000 a1:18446744073709551615,b2:3\n'

const stored = (value: Value): Reply => ({ status: 'ok', value, flags: 5, cas: undefined })

describe('the head of a copy', () => {
  it('is written and read', () => {
    expect(headText(HEAD)).toBe(TEXT)
    const head = headIn(`${TEXT}record`)
    expect(head).toMatchObject({ count: 12, ordinal: 7, longestSec: 1440, endsAtSec: 1790000000, text: TEXT })
    expect(head?.seals).toEqual(HEAD.seals)
    expect(headIn(headText({ ...HEAD, seals: [] }))?.seals).toEqual([])
  })

  it.each(['record\nwith lines', `${TEXT}`])('leaves the record as it is, as text and as bytes: %j', (record) => {
    expect(copyIn(stored(TEXT + record))).toMatchObject({ value: record, headText: TEXT, flags: 5 })
    expect(copyIn(stored(Buffer.from(TEXT + record)))).toMatchObject({ value: Buffer.from(record), headText: TEXT })
  })

  it.each([
    '',
    'record',
    TEXT.replace('\n', ''),
    TEXT.replace('copy1', 'copy2'),
    TEXT.replace(' 7', ' x'),
    TEXT.replace(' 7', ' -7'),
    TEXT.replace(' 7', ' 7e1'),
    TEXT.replace(' 7', ' '),
    TEXT.replace(' 7', ''),
    TEXT.replace(' 7', ' 7 7'),
    TEXT.replace('12', '1234567890123456'),
    TEXT.replace('1440', '0x10'),
    TEXT.replace('1790000000', '1.5'),
    TEXT.replace(',', ', '),
    'copy1 \n',
    'copy1 1 2 3 4\n',
  ])('is none where anything else stands, and all of it is the record: %j', (text) => {
    expect(headIn(text)).toBeUndefined()
    const copy = copyIn(stored(text))
    expect(copy).toMatchObject({ value: text, headText: '' })
    expect(copy?.head).toMatchObject({ count: 0, ordinal: 0, seals: [] })
  })
})

it('a record that is given less time than its copies have lives for no longer than that, whatever part of a second it is', () => {
  for (const wallMs of [1_790_000_000_001, 1_790_000_000_500, 1_790_000_000_999]) {
    const head = { ...nextCount({ count: 1, ordinal: 1, longestSec: 100, endsAtSec: 0 }, { ttlSec: 2, value: 'x' }, 2, { wallMs: () => wallMs }), seals: [] }
    const copy = { head, headText: '', value: 'x', flags: 0 }
    const livesAt = (ms: number): boolean => contentOf(copy, { wallMs: () => wallMs + ms }).length > 0
    // As a store counts: in whole seconds of its clock.
    expect([livesAt(1000), livesAt(2000)]).toEqual([true, false])
  }
})
