import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RecordFormat } from '../../../src/session/record-format.js'
import { Keyring } from '../../../src/session/records/keyring.js'
import { RecentRecords } from '../../../src/session/records/recent-records.js'
import { Seal } from '../../../src/session/records/seal.js'
import { SeededRandom } from '../../../src/testing/seeded-random.js'
import { valueBytes } from '../../../src/wire/wire.js'
import { codeThrownBy, failureOf, formatOf, NEW, OLD } from './kit.js'

const TEXT = '{"user":"ada","cart":[1,2,3]}'
const format = formatOf({ keys: [NEW] })
const sealed = (id = 'sid', text = TEXT): Buffer => valueBytes(format.pack(id, text))

/** What the errors of records may be; the test names which where it can. */
const REFUSALS = [
  ...['LATCHKEY_RECORD_TAMPERED', 'LATCHKEY_RECORD_TRUNCATED', 'LATCHKEY_UNKNOWN_KEY'],
  ...['LATCHKEY_RECORD_NOT_ENCRYPTED', 'LATCHKEY_UNDECODABLE'],
]

const text = fc.string({ unit: 'grapheme', maxLength: 600 })
const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code))
const sid = fc.string({ unit: visible, minLength: 1, maxLength: 250 })

describe('an encrypted record', () => {
  it('is read back, whatever the text, the id, the mark and the compression', () => {
    // Read by another format than wrote it: the writer remembers what it wrote.
    const pair = (options: Parameters<typeof formatOf>[0]): [RecordFormat, RecordFormat] => [formatOf(options), formatOf(options)]
    const compression = { aboveBytes: 0 }
    const pairs = [pair({ keys: [NEW] }), pair({ keys: [NEW], compression }), pair({ compression }), pair({})]
    fc.assert(
      fc.property(sid, text, fc.boolean(), fc.constantFrom(...pairs), (id, data, isRetired, [writer, reader]) => {
        const expected = { text: data, isRetired, isOutdated: false }
        const record = writer.pack(id, data, { isRetired })
        expect(reader.unpack(id, record)).toEqual(expected)
        expect([reader.unpack(id, record), writer.unpack(id, record)]).toEqual([expected, expected])
      }),
    )
  })

  it('shows nothing of the session, and is never the same twice', () => {
    const records = Array.from({ length: 50 }, () => sealed())
    expect(new Set(records.map(String)).size).toBe(50)
    for (const record of records) {
      expect(record.includes('ada')).toBe(false)
      expect(record.includes('cart')).toBe(false)
    }
    expect(records[0]?.subarray(2, 7)).toEqual(Buffer.from('\x042026'))
  })

  it('adds 52 bytes, the session id and the id of the key', () => {
    expect(sealed('sid').length - TEXT.length).toBe(52 + 'sid'.length + '2026'.length)
  })

  it('with any one bit flipped is an error, and never other data', () => {
    const record = sealed()
    for (let bit = 0; bit < record.length * 8; bit++) {
      const changed = Buffer.from(record)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(REFUSALS).toContain(codeThrownBy(() => format.unpack('sid', changed)))
    }
  })

  it('cut anywhere is TRUNCATED, lengthened it is TAMPERED', () => {
    const record = sealed()
    for (let length = 1; length < record.length; length++) {
      expect(codeThrownBy(() => format.unpack('sid', record.subarray(0, length)))).toBe('LATCHKEY_RECORD_TRUNCATED')
    }
    expect(codeThrownBy(() => format.unpack('sid', Buffer.concat([record, Buffer.of(0)])))).toBe('LATCHKEY_RECORD_TAMPERED')
  })

  it('of garbage behind a head is an error of its own, never a crash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, hasKeyId) => {
        const start = hasKeyId ? Buffer.from('\0\x04\x042026', 'latin1') : Buffer.of(0, 4)
        expect(REFUSALS).toContain(codeThrownBy(() => format.unpack('sid', Buffer.concat([start, noise]))))
      }),
    )
  })

  it('put in the place of another session is MOVED, also when the ids are not of one length', () => {
    for (const other of ['sie', 'sid2', 's', 'x'.repeat(250)]) {
      const error = failureOf(() => format.unpack(other, sealed('sid')))
      expect(error.code).toBe('LATCHKEY_RECORD_MOVED')
      expect(error.message).not.toContain('sid"')
    }
  })

  it('that was moved and then changed is TAMPERED: MOVED is said of authentic records only', () => {
    const record = sealed('sid')
    for (let at = 40; at < record.length; at++) {
      const changed = Buffer.from(record)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(codeThrownBy(() => format.unpack('other', changed))).toBe('LATCHKEY_RECORD_TAMPERED')
    }
  })

  it.each([
    ['the retired mark taken away', 1, 4],
    ['the compressed mark set', 1, 7],
  ])('with %s is TAMPERED', (_what, at, value) => {
    const record = valueBytes(format.pack('sid', TEXT, { isRetired: true }))
    expect(record[1]).toBe(5)
    record[at] = value
    expect(codeThrownBy(() => format.unpack('sid', record))).toBe('LATCHKEY_RECORD_TAMPERED')
  })

  it('whose head names another key of ours is TAMPERED', () => {
    const both = formatOf({ keys: [NEW, OLD] })
    const record = sealed()
    record.write(OLD.id, 3)
    expect(codeThrownBy(() => both.unpack('sid', record))).toBe('LATCHKEY_RECORD_TAMPERED')
  })

  it('of another secret under the same key id is TAMPERED', () => {
    const other = formatOf({ keys: [{ id: NEW.id, secret: 'another secret of 32 characters!!' }] })
    expect(codeThrownBy(() => other.unpack('sid', sealed()))).toBe('LATCHKEY_RECORD_TAMPERED')
  })

  it('of the empty text is no bytes: no session, whoever reads it', () => {
    expect(sealed('sid', '')).toHaveLength(0)
    expect(format.unpack('sid', Buffer.alloc(0))).toMatchObject({ text: '', isRetired: false })
    const retired = formatOf({ keys: [NEW] }).pack('sid', '', { isRetired: true })
    expect(format.unpack('sid', retired)).toMatchObject({ text: '', isRetired: true })
  })
})

describe('keys that change', () => {
  it('the first one encrypts, all of them decrypt', () => {
    const before = formatOf({ keys: [OLD] })
    const after = formatOf({ keys: [NEW, OLD] })
    expect(after.unpack('sid', before.pack('sid', TEXT)).text).toBe(TEXT)
    expect(valueBytes(after.pack('sid', TEXT)).subarray(3, 7).toString()).toBe(NEW.id)
    expect(after.unpack('sid', before.pack('sid', TEXT)).isOutdated).toBe(true)
    expect(after.unpack('sid', after.pack('sid', TEXT)).isOutdated).toBe(false)
    expect(formatOf({ keys: [OLD, NEW] }).unpack('sid', after.pack('sid', TEXT)).text).toBe(TEXT)
  })

  it('a key that was taken away too early is UNKNOWN_KEY, with its id', () => {
    const error = failureOf(() => formatOf({ keys: [OLD] }).unpack('sid', sealed()))
    expect(error).toMatchObject({ code: 'LATCHKEY_UNKNOWN_KEY', keyId: '2026' })
  })

  it('an encrypted record is UNKNOWN_KEY to a manager without keys', () => {
    expect(failureOf(() => new RecordFormat().unpack('sid', sealed()))).toMatchObject({ code: 'LATCHKEY_UNKNOWN_KEY', keyId: '2026' })
  })

  it('a key id that cannot be one is not repeated in the message', () => {
    const record = sealed()
    record.write('\x1b[2J', 3)
    const error = failureOf(() => new RecordFormat().unpack('sid', record))
    expect(error).toMatchObject({ code: 'LATCHKEY_UNKNOWN_KEY', keyId: undefined })
    expect(error.message).not.toContain('\x1b')
  })

  it('a record in clear is refused, and read with acceptPlain', () => {
    const accepting = formatOf({ keys: [NEW], acceptPlain: true })
    const clear = [formatOf({}).pack('sid', TEXT), formatOf({}).pack('sid', TEXT, { isRetired: true }), formatOf({}).pack('sid', '\0x')]
    for (const record of clear) {
      expect(codeThrownBy(() => format.unpack('sid', record))).toBe('LATCHKEY_RECORD_NOT_ENCRYPTED')
      expect(accepting.unpack('sid', record)).toEqual({ ...formatOf({}).unpack('sid', record), isOutdated: true })
    }
    expect(codeThrownBy(() => format.unpack('sid', valueBytes(accepting.pack('sid', TEXT)).subarray(1)))).toBe('LATCHKEY_RECORD_NOT_ENCRYPTED')
  })
})

describe('records that are remembered', () => {
  const content = { text: TEXT, isRetired: false, isOutdated: false }

  it('are recalled for the same id and the very same bytes only', () => {
    const recent = new RecentRecords()
    const record = sealed()
    recent.remember('sid', record, content)
    expect(recent.recall('sid', Buffer.from(record))).toBe(content)
    expect(recent.recall('other', record)).toBeUndefined()
    expect(recent.recall('sid', record.subarray(1))).toBeUndefined()
    for (let at = 0; at < record.length; at++) {
      const changed = Buffer.from(record)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(recent.recall('sid', changed)).toBeUndefined()
    }
    recent.remember('sid', sealed(), content)
    expect(recent.recall('sid', record)).toBeUndefined()
  })

  it('are the latest 1024, and no large ones', () => {
    const recent = new RecentRecords()
    const record = sealed()
    for (let n = 0; n < 1100; n++) recent.remember(`sid${String(n)}`, record, content)
    const kept = Array.from({ length: 1100 }, (_, n) => recent.recall(`sid${String(n)}`, record)).filter((one) => one !== undefined)
    expect(kept).toHaveLength(1024)
    expect(recent.recall('sid1099', record)).toBe(content)
    recent.remember('large', Buffer.alloc(5000), content)
    recent.remember('large', record, { ...content, text: 'x'.repeat(5000) })
    expect(recent.recall('large', Buffer.alloc(5000)) ?? recent.recall('large', record)).toBeUndefined()
  })
})

describe('keys that are derived', () => {
  const saltOf = (record: Buffer): string => record.subarray(7, 23).toString('hex')
  const ivOf = (record: Buffer): string => record.subarray(23, 35).toString('hex')

  it('one salt serves many records of a process, and no other process; no IV comes twice', () => {
    const other = formatOf({ keys: [NEW] })
    const records = Array.from({ length: 1000 }, () => sealed())
    expect(new Set(records.map(saltOf)).size).toBe(1)
    expect(saltOf(valueBytes(other.pack('sid', TEXT)))).not.toBe(saltOf(sealed()))
    expect(new Set(records.map(ivOf)).size).toBe(1000)
  })

  it('nor does one when the next cipher was made in advance', async () => {
    const records: Buffer[] = []
    for (let round = 0; round < 200; round++) {
      records.push(sealed(), sealed())
      if (round % 3 > 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(new Set(records.map(ivOf)).size).toBe(400)
    for (const record of records) expect(formatOf({ keys: [NEW] }).unpack('sid', record).text).toBe(TEXT)
  })

  it('a new salt is taken before the IVs of one may repeat', () => {
    const seal = new Seal(Keyring.of({ keys: [NEW] }), new SeededRandom(1), 3)
    const salts = Array.from({ length: 7 }, () => saltOf(seal.close('sid', [0, 4], Buffer.from(TEXT))))
    expect(salts.map((salt) => salts.indexOf(salt))).toEqual([0, 0, 0, 3, 3, 3, 6])
  })

  it('the keys for more salts than are remembered still open their records', () => {
    const records = Array.from({ length: 1100 }, () => formatOf({ keys: [NEW] }).pack('sid', TEXT))
    for (const record of [...records, ...records.slice(0, 5)]) expect(format.unpack('sid', record).text).toBe(TEXT)
  })
})
