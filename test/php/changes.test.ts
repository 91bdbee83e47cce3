import { describe, expect, it } from 'vitest'
import { decodePhpSession, encodePhpSession, PhpEnum, type PhpHandler, PhpObject } from 'latchkey/php'

const decode = (text: string, handler: PhpHandler = 'php'): Record<string, unknown> =>
  decodePhpSession(Buffer.from(text, 'latin1'), handler)
const encode = (data: object, handler: PhpHandler = 'php'): string => encodePhpSession(data, handler).toString('latin1')

/** What is written after `change`. */
function changed(text: string, change: (data: Record<string, unknown>) => void, handler: PhpHandler = 'php'): string {
  const data = decode(text, handler)
  change(data)
  return encode(data, handler)
}

const refusal = (data: object, handler: PhpHandler = 'php'): unknown => {
  try {
    encodePhpSession(data, handler)
    return undefined
  } catch (error) {
    return error
  }
}
const unwritable = (path: string): unknown => expect.objectContaining({ code: 'LATCHKEY_UNSERIALIZABLE', path })

describe('a session of PHP that is changed', () => {
  it('keeps the order of its keys, numbers among them, and puts new ones behind', () => {
    const text = 'a|a:3:{i:7;i:1;s:1:"x";i:2;i:3;i:3;}'
    expect(changed(text, ({ a }) => ((a as Record<string, unknown>)['1'] = 4))).toBe('a|a:4:{i:7;i:1;s:1:"x";i:2;i:3;i:3;i:1;i:4;}')
    expect(changed(text, ({ a }) => delete (a as Record<string, unknown>)['x'])).toBe('a|a:2:{i:7;i:1;i:3;i:3;}')
  })

  it('a float stays a float, and an integer an integer, where they are changed', () => {
    expect(changed('price|d:5;n|i:5;', (data) => Object.assign(data, { price: 20, n: 6 }))).toBe('price|d:20;n|i:6;')
    expect(changed('n|i:5;', (data) => (data['n'] = 0.5))).toBe('n|d:0.5;')
  })

  it('what is not changed keeps its digits, whatever serialize_precision is', () => {
    expect(changed('a|d:0.10000000000000001;b|i:1;', (data) => (data['b'] = 2))).toBe('a|d:0.10000000000000001;b|i:2;')
    expect(changed('a|d:0.10000000000000001;', (data) => (data['a'] = 0.2))).toBe('a|d:0.2;')
  })

  it('a list is an array, with what is pushed', () => {
    expect(changed('l|a:1:{i:0;s:1:"x";}', ({ l }) => (l as unknown[]).push('ü', 1.5, null, true))).toBe(
      'l|a:5:{i:0;s:1:"x";i:1;s:2:"Ã¼";i:2;d:1.5;i:3;N;i:4;b:1;}',
    )
    expect(changed('l|a:0:{}', ({ l }) => Object.assign(l as unknown[], { sku: 1 }))).toBe('l|a:1:{s:3:"sku";i:1;}')
  })

  it('integers of 64 bits are BigInt, and bytes that are no text are a Buffer', () => {
    const text = 'big|i:9223372036854775807;raw|s:2:"\xff\xfe";'
    const data = decode(text)
    expect(data).toEqual(Object.assign(Object.create(null) as object, { big: 9223372036854775807n, raw: Buffer.from([0xff, 0xfe]) }))
    expect(encode(data)).toBe(text)
    expect(refusal({ big: 2n ** 63n })).toEqual(unwritable('big'))
  })

  it('a name that is no text comes back with the same bytes', () => {
    const text = 'a|a:2:{s:3:"k\xff\xc3";i:1;s:2:"\xc3\xbc";i:2;}'
    expect(changed(text, ({ a }) => ((a as Record<string, unknown>)['ü'] = 3))).toBe(text.replace('i:2;}', 'i:3;}'))
  })

  it('objects and enums are passed through, and what is there twice is one', () => {
    const text = 'o|O:4:"Cart":1:{s:7:"\0*\0rows";a:1:{i:0;i:1;}}again|r:1;suit|E:11:"Suit:Hearts";l|a:2:{i:0;r:5;i:1;r:1;}'
    const data = decode(text)
    expect(data['o']).toBeInstanceOf(PhpObject)
    expect(data['again']).toBe(data['o'])
    expect(data['suit']).toEqual(new PhpEnum('Suit', 'Hearts'))
    expect(encode(data)).toBe(text)
    data['first'] = 1
    expect(encode(data)).toBe(`${text}first|i:1;`)
    expect(encode({ x: 1, ...data })).toContain('again|r:2;')
  })

  it('two places with one array of JavaScript are two arrays, as in PHP', () => {
    const list = [1]
    expect(encode({ a: list, b: list })).toBe('a|a:1:{i:0;i:1;}b|a:1:{i:0;i:1;}')
  })

  it('a value that PHP shares by reference is not changed, at any depth, and may go', () => {
    const text = 'a|a:2:{s:1:"x";s:6:"shared";s:1:"y";R:2;}'
    type Pair = { a: { x: unknown; y: unknown } }
    expect(changed(text, (data) => (data['n'] = 1))).toBe(`${text}n|i:1;`)
    expect(changed(text, (data) => delete (data as Partial<Record<keyof Pair['a'], unknown>> & { a: Partial<Pair['a']> }).a.y)).toBe(
      'a|a:1:{s:1:"x";s:6:"shared";}',
    )
    const other = decode(text) as Pair
    other.a.y = 'changed'
    expect(refusal(other)).toEqual(unwritable('a.y'))
    const deep = decode('a|a:1:{s:1:"n";i:1;}b|R:1;') as { a: { n: number } }
    deep.a.n = 2
    expect(refusal(deep)).toEqual(unwritable('a'))
  })

  it('__proto__ and the like are names as any', () => {
    const text = '__proto__|a:1:{s:7:"isAdmin";b:1;}constructor|i:1;'
    const data = decode(text)
    expect(({} as Record<string, unknown>)['isAdmin']).toBeUndefined()
    expect(Object.getPrototypeOf(data)).toBeNull()
    expect(encode(data)).toBe(text)
  })

  it('an empty session is no bytes, or an empty array', () => {
    expect(decode('')).toEqual(Object.create(null))
    expect([encode({}), encode({}, 'php_binary'), encode({}, 'php_serialize')]).toEqual(['', '', 'a:0:{}'])
  })

  it.each([
    ['a date', { a: { b: [new Date(0)] } }, 'a.b[0]'],
    ['a Map', { a: new Map() }, 'a'],
    ['a function', { a: () => 1 }, 'a'],
    ['nothing in a list', { a: [1, undefined] }, 'a[1]'],
    ['half a character', { a: 'x\ud800' }, 'a'],
    ['half a character in a name', { 'x\ud800': 1 }, 'x\ud800'],
    ['half a character in a name, further down', { a: { '\udd00\udcff': 1 } }, 'a'],
  ])('%s is refused, with its path', (_what, data, path) => {
    expect(refusal(data)).toEqual(unwritable(path))
  })

  it('a reference to the session itself is refused: PHP stores nothing then', () => {
    expect(() => decode('a:1:{s:1:"v";R:1;}', 'php_serialize')).toThrow(expect.objectContaining({ code: 'LATCHKEY_UNDECODABLE' }))
    expect(encode(decode('a|a:1:{i:0;R:1;}'))).toBe('a|a:1:{i:0;R:1;}')
  })

  it('what contains itself, or is too deep, is refused in both directions', () => {
    const own: Record<string, unknown> = {}
    own['own'] = own
    expect(refusal(own)).toEqual(expect.objectContaining({ code: 'LATCHKEY_UNSERIALIZABLE' }))
    const deep = (levels: number): string => `a|${'a:1:{i:0;'.repeat(levels)}i:1;${'}'.repeat(levels)}`
    expect(encode(decode(deep(99)))).toBe(deep(99))
    expect(() => decode(deep(100))).toThrow(expect.objectContaining({ code: 'LATCHKEY_UNDECODABLE' }))
    expect(() => decode(deep(100_000))).toThrow(expect.objectContaining({ code: 'LATCHKEY_UNDECODABLE' }))
    let tooDeep: unknown = 1
    for (let level = 0; level < 100; level++) tooDeep = [tooDeep]
    expect(refusal({ a: tooDeep })).toEqual(expect.objectContaining({ code: 'LATCHKEY_UNSERIALIZABLE' }))
  })

  it.each<[PhpHandler, string]>([
    ['php', 'a|b'],
    ['php', '!a'],
    ['php', '7'],
    ['php', '-3'],
    ['php_binary', '7'],
    ['php_binary', 'k'.repeat(128)],
  ])('%s has no way to write the name %j', (handler, name) => {
    expect(refusal({ [name]: 1 }, handler)).toEqual(unwritable(name))
    expect(refusal({ [name]: 1 }, 'php_serialize')).toBeUndefined()
  })

  it('igbinary and msgpack are refused with what to set', () => {
    // What a caller in JavaScript may give.
    const handler = 'igbinary' as PhpHandler
    expect(() => decode('', handler)).toThrow('session.serialize_handler=php')
  })
})
