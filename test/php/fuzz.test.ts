import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodePhpSession, encodePhpSession, type PhpHandler } from 'latchkey/php'

const HANDLERS: readonly PhpHandler[] = ['php', 'php_binary', 'php_serialize']
const corpus = new URL('./corpus/', import.meta.url)
const files = readdirSync(corpus).filter((name) => name.endsWith('.bin')).map((name) => readFileSync(new URL(name, corpus)))
const small = files.filter(({ length }) => length < 2000)

/** Whatever comes: a session, which is written and read again as the same; or the typed refusal. */
function isTotal(bytes: Buffer, handler: PhpHandler): void {
  let data: object
  try {
    data = decodePhpSession(bytes, handler)
  } catch (error) {
    expect(error).toMatchObject({ code: 'LATCHKEY_UNDECODABLE' })
    return
  }
  let again: Buffer
  try {
    again = encodePhpSession(data, handler)
  } catch (error) {
    // Read from bytes that PHP itself would not write: a number for a name, a value with several names inside itself.
    expect(error).toMatchObject({ code: 'LATCHKEY_UNSERIALIZABLE' })
    return
  }
  expect(encodePhpSession(decodePhpSession(again, handler), handler).equals(again)).toBe(true)
}

describe('garbage in the place of a session', () => {
  it('any bytes are read, or refused by the typed error', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...HANDLERS), (bytes, handler) => {
      isTotal(Buffer.from(bytes), handler)
    }), { numRuns: 3000 })
  })

  it('sessions of PHP with bytes changed, cut out and put in are read, or refused by the typed error', () => {
    const edit = fc.record({ at: fc.nat(), cut: fc.nat(4), put: fc.stringMatching(/^[\x20-\x7e]{0,3}$/) })
    fc.assert(fc.property(fc.constantFrom(...small), fc.array(edit, { minLength: 1, maxLength: 4 }), fc.constantFrom(...HANDLERS), (bytes, edits, handler) => {
      let changed = bytes
      for (const { at, cut, put } of edits) {
        const from = at % (changed.length + 1)
        changed = Buffer.concat([changed.subarray(0, from), Buffer.from(put), changed.subarray(Math.min(from + cut, changed.length))])
      }
      isTotal(changed, handler)
    }), { numRuns: 6000 })
  })

  it('a length that is not there costs nothing', () => {
    for (const text of ['a|s:999999999999:"x";', 'a|a:999999999:{}', 'a|O:1:"A":99999999:{}', `a|i:${'9'.repeat(10_000)};`]) {
      expect(() => decodePhpSession(Buffer.from(text), 'php')).toThrow(expect.objectContaining({ code: 'LATCHKEY_UNDECODABLE' }))
    }
  })
})

describe('values of JavaScript', () => {
  it('come back as they were', () => {
    const name = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((text) => /^[^|!\d-][^|]*$/.test(text) && Buffer.byteLength(text) < 128)
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constant(null),
        fc.boolean(),
        fc.integer(),
        fc.double({ noNaN: true }),
        fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
        fc.string({ unit: 'grapheme' }),
        fc.array(tie('value'), { minLength: 1, maxLength: 4 }),
        fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: false }).filter((fields) => Object.keys(fields).length > 0),
      ),
    })).value
    fc.assert(fc.property(fc.dictionary(name, value, { maxKeys: 5 }), fc.constantFrom(...HANDLERS), (data, handler) => {
      const again = decodePhpSession(encodePhpSession(data, handler), handler)
      expect(plain(again)).toEqual(plain(data))
    }), { numRuns: 2000 })
  })
})

/** Without prototypes, which a session of PHP has not; an integral float is an integer to PHP. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
}
