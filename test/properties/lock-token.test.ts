import fc from 'fast-check'
import { SeededRandom, VirtualClock } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { describeHolder, readToken, TokenMint } from '../../src/lock/protocol/lock-token.js'
import { anyText } from '../support/any-text.js'
import { runsOf } from '../support/matrix.js'

const text = anyText({ maxLength: 300 })
const mintOf = (seed: number, host = 'web1', pid = 1): TokenMint =>
  new TokenMint(new VirtualClock(), new SeededRandom(seed), { host, pid })

describe('a lock token', () => {
  it('says who minted it, whatever host and label', () => {
    fc.assert(
      fc.property(fc.integer(), text, fc.nat(), fc.option(text, { nil: undefined }), (seed, host, pid, label) => {
        const mint = mintOf(seed, host, pid)
        const author = mint.instance()
        const { instance, holder } = readToken(mint.mint(author, label))
        expect(instance).toBe(author)
        expect(holder.pid).toBe(pid)
        expect(holder.sinceMs).toBeTypeOf('number')
        expect(holder.label).toBe(label?.slice(0, 120))
        expect(holder.host).toBe(host)
      }),
      { numRuns: runsOf(1000) },
    )
  })

  it('is ASCII, a byte for each character, and read from its bytes as from its text', () => {
    fc.assert(
      fc.property(fc.integer(), text, text, (seed, host, label) => {
        const token = mintOf(seed, host).mint('me', label)
        expect(Buffer.byteLength(token)).toBe(token.length)
        expect(readToken(Buffer.from(token))).toEqual(readToken(token))
      }),
    )
  })

  it('is never the same twice', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const mint = mintOf(seed)
        const tokens = Array.from({ length: 50 }, (_, index) =>
          (index % 2 === 0 ? mint.mint('me', 'x') : mint.grantTo('me', 'me')).toString(),
        )
        expect(new Set(tokens).size).toBe(tokens.length)
      }),
    )
  })

  it('a grant is recognised by the one it is for, and by nobody else', () => {
    fc.assert(
      fc.property(fc.integer(), text, (seed, instance) => {
        const mint = mintOf(seed)
        expect(readToken(mint.grantTo(instance, 'me')).instance).toBe(instance)
      }),
    )
  })

  it('any bytes are read as some holder, and described', () => {
    const fields = fc.constantFrom('token', 'instance', 'host', 'pid', 'sinceMs', 'label', '__proto__', 'x')
    const json = fc.dictionary(fields, fc.oneof(fc.jsonValue(), fc.double())).map((value) => JSON.stringify(value))
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
      fc.oneof(json, fc.json(), text, fc.constantFrom('1', 'null', '[]', '{"sinceMs":1e400}')).map((any) => Buffer.from(any)),
    )
    fc.assert(
      fc.property(bytes, (value) => {
        const { instance, holder } = readToken(value)
        expect(['string', 'undefined']).toContain(typeof instance)
        for (const field of [holder.host, holder.label]) expect(['string', 'undefined']).toContain(typeof field)
        for (const field of [holder.pid, holder.sinceMs]) expect(['number', 'undefined']).toContain(typeof field)
        expect(describeHolder(holder)).toBeTypeOf('string')
      }),
      { numRuns: runsOf(3000) },
    )
  })
})
