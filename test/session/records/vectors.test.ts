/** Records as they are stored today: whoever changes the format must still read them. */
import { createDecipheriv, hkdfSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Random } from '../../../src/system/random.js'
import { Keyring } from '../../../src/session/records/keyring.js'
import { Seal } from '../../../src/session/records/seal.js'
import { valueBytes } from '../../../src/wire/wire.js'
import { formatOf } from './kit.js'

const KEY = { id: 'k1', secret: 'correct horse battery staple, and then some' }
const TEXT = '{"user":"ada","theme":"dark"}'
const LONG = JSON.stringify({ list: Array.from({ length: 20 }, (_, at) => `item ${String(at)}`) })

const VECTORS = [
  {
    what: 'text',
    text: TEXT,
    isRetired: false,
    hex: ['7b2275736572223a22616461222c227468656d65223a226461726b227d'],
  },
  {
    what: 'a retired copy',
    text: TEXT,
    isRetired: true,
    hex: ['00017b2275736572223a22616461222c227468656d65223a226461726b227d'],
  },
  {
    what: 'text that begins with a zero',
    text: '\0x',
    isRetired: false,
    hex: ['00000078'],
  },
  {
    what: 'compressed',
    text: LONG,
    isRetired: false,
    hex: [
      '00028b63000080aaaaaaeaff7455e0b31e9454cd4c55ed7455d0a31e04c0f4647233302aec4c9abd02eb0f3e28168bb2b185',
      'ae88fff1e9b1d7750f99af1d92e2f040b21439e4944baa34e9c2fbf7fc47609772bb934063880c957dd11465be76a06bfe03',
    ],
  },
  {
    what: 'encrypted',
    text: TEXT,
    isRetired: false,
    hex: [
      '0004026b31000102030405060708090a0b0c0d0e0f101112131415161718191a1b00000021fe23b884cdf8f4702c8968f2bc',
      '426945acb90bcc7ad9d7acb83353ff186344427ce2906441067c71338d308213e7e4a498',
    ],
  },
  {
    what: 'encrypted, a retired copy',
    text: TEXT,
    isRetired: true,
    hex: [
      '0005026b31000102030405060708090a0b0c0d0e0f101112131415161718191a1b00000021fe23b884cdf8f4702c8968f2bc',
      '426945acb90bcc7ad9d7acb83353ff186344427c6b28ecb442d6f0b1ec8dd39a0fc897f7',
    ],
  },
  {
    what: 'compressed and encrypted',
    text: LONG,
    isRetired: false,
    hex: [
      '0006026b31000102030405060708090a0b0c0d0e0f101112131415161718191a1b00000066fe23b8843db98103c951e06274',
      'dc79716e26372c4671f69c777d244bda0f2ba0f51dc533155de7b87d9869aa763f37caf389edb9a4d6d14954052479a23314',
      '148afb4bda71754cd239e10dd98cbad53381aaeb1a283a70302922afe1a0405c7f3928e381c587e4641cdb1d824882d9958a',
      'f09a16b08f',
    ],
  },
].map(({ hex, ...vector }) => ({ ...vector, record: Buffer.from(hex.join(''), 'hex') }))

const encrypted = VECTORS.filter(({ what }) => what.includes('encrypted'))

/** 00 01 02 ... as salt and IV. */
function counting(): Random {
  let next = 0
  return { bytes: (count) => Uint8Array.from({ length: count }, () => next++), fraction: () => 0 }
}

describe('records that were stored', () => {
  it.each(VECTORS)('$what is read', ({ record, text, isRetired }) => {
    const format = formatOf({ keys: [KEY], acceptPlain: true })
    expect(format.unpack('sid', record)).toMatchObject({ text, isRetired })
  })

  it.each(VECTORS.slice(0, 3))('$what is written so', ({ record, text, isRetired }) => {
    expect(valueBytes(formatOf({}).pack('sid', text, { isRetired }))).toEqual(record)
  })

  it.each(encrypted.slice(0, 2))('$what is written so', ({ record, text }) => {
    const seal = new Seal(Keyring.of({ keys: [KEY] }), counting())
    expect(seal.close('sid', [0, record[1] ?? 0], Buffer.from(text))).toEqual(record)
  })

  it.each(encrypted.slice(0, 2))('$what is read by what docs/reference/records.md says, and nothing else', ({ record, text }) => {
    const [salt, iv, tag] = [record.subarray(5, 21), record.subarray(21, 33), record.subarray(-16)]
    const key = Buffer.from(hkdfSync('sha256', KEY.secret, salt, 'latchkey record v1 aes-256-gcm', 32))
    const decipher = createDecipheriv('aes-256-gcm', key, iv)
    decipher.setAAD(Buffer.concat([record.subarray(0, 37), Buffer.from('sid')]))
    decipher.setAuthTag(tag)
    const content = Buffer.concat([decipher.update(record.subarray(37, -16)), decipher.final()])
    expect(record.readUInt32BE(33)).toBe(content.length)
    expect(content.toString()).toBe(`\x03sid${text}`)
  })
})
