import { valueBytes } from '../../../src/wire/wire.js'
import { brotliCompressSync, constants } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { codeThrownBy, failureOf, formatOf, NEW } from './kit.js'

const COMPRESSED = 2
/** Megabytes of nothing become as small, in a thirtieth of the time. */
const QUICKLY = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }
const compressing = formatOf({ compression: { aboveBytes: 100, maxBytes: 100_000 } })
const words = (count: number): string => 'the same words again, '.repeat(Math.ceil(count / 22)).slice(0, count)

const compressedRecord = (text: string): Buffer => Buffer.concat([Buffer.of(0, COMPRESSED), brotliCompressSync(text)])

describe('compression', () => {
  it('begins above its size, and not at it', () => {
    expect(compressing.pack('sid', words(100)).toString()).toBe(words(100))
    const record = compressing.pack('sid', words(101))
    expect(record.length).toBeLessThan(60)
    expect(compressing.unpack('sid', record)).toMatchObject({ text: words(101), isRetired: false })
  })

  it('is off unless it is asked for, and what is compressed is read all the same', () => {
    const off = formatOf({})
    expect(off.pack('sid', words(50_000))).toHaveLength(50_000)
    expect(off.unpack('sid', compressing.pack('sid', words(50_000))).text).toBe(words(50_000))
  })

  it('is kept only where it makes the record smaller', () => {
    const eager = formatOf({ compression: { aboveBytes: 0 } })
    expect(eager.pack('sid', '{"a":1}').toString()).toBe('{"a":1}')
    expect(eager.pack('sid', words(100)).length).toBeLessThan(60)
  })

  it('goes with the retired mark', () => {
    const record = compressing.pack('sid', words(500), { isRetired: true })
    expect(record.length).toBeLessThan(60)
    expect(compressing.unpack('sid', record)).toMatchObject({ text: words(500), isRetired: true })
  })

  it('comes before encryption', () => {
    const both = formatOf({ keys: [NEW], compression: { aboveBytes: 100 } })
    const record = both.pack('sid', words(5000))
    expect(record.length).toBeLessThan(150)
    expect(formatOf({ keys: [NEW] }).unpack('sid', record).text).toBe(words(5000))
  })

  it('a small record that expands to a gigabyte is an error, and takes no gigabyte', () => {
    const bomb = Buffer.concat([Buffer.of(0, COMPRESSED), brotliCompressSync(Buffer.alloc(64 * 1024 * 1024), QUICKLY)])
    expect(bomb.length).toBeLessThan(200)
    for (const [format, limitBytes] of [[compressing, 100_000], [formatOf({}), 8 * 1024 * 1024]] as const) {
      const before = process.memoryUsage().arrayBuffers
      expect(failureOf(() => format.unpack('sid', bomb))).toMatchObject({ code: 'LATCHKEY_RECORD_INFLATES', limitBytes })
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024)
    }
  })

  it('reads what expands to its limit and not a byte more', () => {
    expect(compressing.unpack('sid', compressedRecord(words(100_000))).text).toBe(words(100_000))
    expect(codeThrownBy(() => compressing.unpack('sid', compressedRecord(words(100_001))))).toBe('LATCHKEY_RECORD_INFLATES')
  })

  it('never writes what it could not read again', () => {
    expect(compressing.unpack('sid', compressing.pack('sid', words(100_000))).text).toBe(words(100_000))
    const error = failureOf(() => compressing.pack('sid', words(100_001)))
    expect(error).toMatchObject({ code: 'LATCHKEY_RECORD_TOO_LARGE', sizeBytes: 100_001, limitBytes: 100_000 })
  })

  it('cut anywhere it is TRUNCATED', () => {
    const record = valueBytes(compressing.pack('sid', words(3000)))
    for (let length = 1; length < record.length; length++) {
      expect(codeThrownBy(() => compressing.unpack('sid', record.subarray(0, length)))).toBe('LATCHKEY_RECORD_TRUNCATED')
    }
  })

  it('garbage in its place is a typed error or text, never a crash', () => {
    const CODES = ['LATCHKEY_UNDECODABLE', 'LATCHKEY_RECORD_TRUNCATED', 'LATCHKEY_RECORD_INFLATES']
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        let code: string | undefined
        try {
          compressing.unpack('sid', Buffer.concat([Buffer.of(0, COMPRESSED), noise]))
        } catch (error) {
          code = error instanceof Error && 'code' in error ? String(error.code) : 'none'
        }
        if (code !== undefined) expect(CODES).toContain(code)
      }),
    )
  })

  it.each([
    [{ aboveBytes: -1 }, 'compression.aboveBytes is -1; it must be a whole number from 0 to 1073741824.'],
    [{ aboveBytes: 1.5 }, 'compression.aboveBytes is 1.5;'],
    [{ maxBytes: 1000 }, 'compression.maxBytes is 1000; it must be a whole number from 1024 to 1073741824.'],
    [{ aboveBytes: 5000, maxBytes: 4000 }, 'compression.maxBytes is 4000; it must be a whole number from 5000'],
    [{ maxBytes: Infinity }, 'compression.maxBytes is Infinity;'],
    [{ level: 3 }, 'There is no option "compression.level". The options are aboveBytes, maxBytes.'],
  ])('the options %j are refused', (compression, message) => {
    expect(() => new SessionManager(Object.assign<SessionManagerOptions, object>({}, { compression }))).toThrow(message)
  })
})
