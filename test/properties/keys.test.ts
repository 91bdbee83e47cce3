import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidIdError } from '../../src/errors.js'
import { type KeyLayout, type SessionKeys, SuffixLayout } from '../../src/lock/protocol/key-layout.js'

const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code))
const prefix = fc.string({ unit: visible, maxLength: 100 })
const suffixed = fc
  .tuple(fc.string({ unit: visible, maxLength: 20 }), fc.constantFrom('-lck', '-line', '-lck-line', '-LCK', 'lck', '-'))
  .map(([stem, suffix]) => stem + suffix)
const id = fc.oneof(
  fc.string({ unit: visible, maxLength: 260 }),
  fc.string({ unit: 'binary', maxLength: 260 }),
  suffixed,
)
const MEMCACHED_KEY = /^[\x21-\x7e]{1,250}$/

const all = (keys: SessionKeys): string[] => [keys.record, keys.lock, keys.line]

function keysOf(layout: KeyLayout, text: string): SessionKeys | undefined {
  try {
    return layout.keysOf(text)
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidIdError)
    expect(layout.flawOf(text)).toBeTypeOf('string')
    return undefined
  }
}

describe('the keys of a session', () => {
  it('whatever comes as an id is judged, and nothing is thrown', () => {
    const layout = new SuffixLayout('sess:')
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true }), (value) => {
        const flaw = layout.flawOf(value)
        if (typeof value !== 'string') expect(flaw).toBe('it is not a string')
        else expect(flaw === undefined || flaw.length > 0).toBe(true)
      }),
    )
  })

  it('an id that is accepted makes keys that memcached takes, whatever the prefix', () => {
    fc.assert(
      fc.property(prefix, id, (start, text) => {
        const keys = keysOf(new SuffixLayout(start), text)
        if (keys === undefined) return
        for (const key of all(keys)) expect(key).toMatch(MEMCACHED_KEY)
        expect(keys.record).toBe(start + text)
        expect(new Set(all(keys)).size).toBe(3)
      }),
      { numRuns: 3000 },
    )
  })

  it('no id reaches a key of another session', () => {
    fc.assert(
      fc.property(prefix, id, id, (start, one, other) => {
        const layout = new SuffixLayout(start)
        const [mine, theirs] = [keysOf(layout, one), keysOf(layout, other)]
        if (mine === undefined || theirs === undefined || one === other) return
        expect(all(mine).filter((key) => all(theirs).includes(key))).toEqual([])
      }),
      { numRuns: 3000 },
    )
  })

  it('not even one that is made of the keys of another', () => {
    fc.assert(
      fc.property(fc.string({ unit: visible, minLength: 1, maxLength: 40 }), (text) => {
        const layout = new SuffixLayout('')
        const keys = keysOf(layout, text)
        if (keys === undefined) return
        for (const key of [keys.lock, keys.line]) expect(keysOf(layout, key)).toBeUndefined()
      }),
    )
  })

  it('every id of the right form and length is accepted', () => {
    const plain = fc.string({ unit: visible, minLength: 1, maxLength: 240 })
    fc.assert(
      fc.property(plain, (text) => {
        const fits = text.length + '-line'.length <= 250
        const reserved = text.endsWith('-lck') || text.endsWith('-line')
        expect(new SuffixLayout('').flawOf(text) === undefined).toBe(fits && !reserved)
      }),
    )
  })

  it('each key of a session leads back to it by one road, and a stranger\'s key by none', () => {
    fc.assert(
      fc.property(prefix, id, (start, text) => {
        const layout = new SuffixLayout(start)
        const keys = keysOf(layout, text)
        if (keys === undefined) return
        expect(all(keys).map((key) => [layout.idOfRecord(key), layout.idOfLock(key)])).toEqual([[text, undefined], [undefined, text], [undefined, undefined]])
        const stranger = new SuffixLayout(`${start}:`)
        const led = all(keys).flatMap((key) => [stranger.idOfRecord(key), stranger.idOfLock(key)])
        expect(led.every((found) => found === undefined || text.startsWith(':'))).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })
})
