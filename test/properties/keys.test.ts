import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidIdError } from '../../src/errors.js'
import { type KeyLayout, type SessionKeys, SuffixLayout } from '../../src/lock/protocol/key-layout.js'
import type { Via } from '../../src/wire/memcached/save-path.js'
import { traitsOf } from '../../src/wire/memcached/traits.js'
import { anyText } from '../support/any-text.js'
import { runsOf } from '../support/matrix.js'

const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code))
const prefix = fc.string({ unit: visible, maxLength: 100 })
const suffixed = fc
  .tuple(fc.string({ unit: visible, maxLength: 20 }), fc.constantFrom('-lck', '-line', '-lck-line', '-LCK', 'lck', '-'))
  .map(([stem, suffix]) => stem + suffix)
const id = fc.oneof(
  fc.string({ unit: visible, maxLength: 260 }),
  anyText({ maxLength: 260 }),
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
      { numRuns: runsOf(3000) },
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
      { numRuns: runsOf(3000) },
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
      { numRuns: runsOf(3000) },
    )
  })
})

/** The part of a key that a proxy hashes, as its source has it. */
const HASHED: Readonly<Record<Via, (key: string) => string>> = {
  twemproxy: withinBraces,
  proxy: withinBraces,
  mcrouter(key) {
    const route = key.startsWith('/') ? (/^\/[^/]*\/[^/]*\//.exec(key)?.[0] ?? '') : ''
    const [before = ''] = key.slice(route.length).split('|#|')
    return before
  },
}

function withinBraces(key: string): string {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open + 1)
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key
}

describe.each(['twemproxy', 'proxy', 'mcrouter'] as const)('through %s', (via) => {
  const marks = fc.constantFrom('{', '}', '|', '#', '|#|', '/', 'a', '-lck')
  const marked = fc.oneof(id, fc.array(marks, { maxLength: 8 }).map((parts) => parts.join('')))
  const layoutOf = (start: string): SuffixLayout | undefined => {
    try {
      return new SuffixLayout(start, traitsOf(via))
    } catch (error) {
      expect(error).toMatchObject({ code: 'LATCHKEY_INVALID_OPTION' })
      return undefined
    }
  }

  it('the keys of a session are hashed to one server, and those of two seldom by one part', () => {
    fc.assert(
      fc.property(fc.oneof(prefix, fc.constant('')), marked, (start, text) => {
        const layout = layoutOf(start)
        const keys = layout === undefined ? undefined : keysOf(layout, text)
        if (layout === undefined || keys === undefined) return
        for (const key of all(keys)) expect(key).toMatch(MEMCACHED_KEY)
        const [hashed, ...others] = all(keys).map(HASHED[via])
        expect(others).toEqual([hashed, hashed])
        if (/^[a-z0-9]+$/.test(text)) expect(hashed).toContain(text)
        expect(all(keys).map((key) => [layout.idOfRecord(key), layout.idOfLock(key)])).toEqual([[text, undefined], [undefined, text], [undefined, undefined]])
      }),
      { numRuns: runsOf(3000) },
    )
  })

  it('our own ids are good, and what the proxy would take for its mark is refused', () => {
    const layout = new SuffixLayout('sess:', traitsOf(via))
    expect(layout.flawOf('6q5n0v3f8o2k1s9d4h7a6q5n0v3f8o2k')).toBeUndefined()
    expect(layout.flawOf(via === 'mcrouter' ? 'a|#|b' : '}a')).toMatch(/proxy looks for/)
    expect(layoutOf(via === 'mcrouter' ? 'a|#|b' : '{a}:')).toBeUndefined()
  })
})
