import { readFileSync } from 'node:fs'
import * as devalue from 'devalue'
import fc from 'fast-check'
import { jsonSerializer, type Serializer } from 'latchkey'
import superjson from 'superjson'
import { describe, expect, it } from 'vitest'
import { encode } from '../../../src/session/serializer.js'
import { World } from '../../support/world.js'
import { codeThrownBy, failureOf } from './kit.js'

class Point {
  x = 1
}
const cycle: Record<string, unknown> = {}
cycle['self'] = cycle
const shared = { n: 1 }

/** A row's value; what is asked of it stands beside it. */
const VALUES: Readonly<Record<string, unknown>> = {
  'a Date': new Date(0),
  'an invalid Date': new Date(NaN),
  'a Map': new Map([['a', 1]]),
  'a Set': new Set([1]),
  'a BigInt': 10n,
  '`undefined` in an object': { a: 1, b: undefined },
  '`undefined` in a list': [1, undefined],
  '`NaN`, `Infinity`': NaN,
  'a RegExp': /a/g,
  'an object of a class': new Point(),
  'an Error': new Error('x'),
  'a Uint8Array': new Uint8Array([1]),
  'a Buffer': Buffer.from('a'),
  'a URL': new URL('http://example.org/'),
  'a function': () => 1,
  'a symbol': Symbol('a'),
  'a cycle': cycle,
  'one object in two places': [shared, shared],
}

const SERIALIZERS: Readonly<Record<string, Serializer>> = { JSON: jsonSerializer, superjson, devalue }

/** What becomes of the value, in the words of the table. */
function fateOf(serializer: Serializer, value: unknown): string {
  let text: string
  try {
    text = encode(serializer, 'sid', { value })
  } catch {
    return 'error'
  }
  let back: unknown
  try {
    back = serializer.parse(text)
  } catch {
    return 'stored, and cannot be read'
  }
  if (typeof back !== 'object' || back === null) throw new Error('the data is no object')
  return wordFor(value, 'value' in back ? back.value : undefined, 'value' in back)
}

function wordFor(value: unknown, back: unknown, isThere: boolean): string {
  if (!isThere) return 'left out'
  if (back === null) return 'null'
  if (Array.isArray(value) && Array.isArray(back)) {
    if (value[0] === shared) return back[0] === back[1] ? 'kept' : 'two copies'
    return back[1] === null ? 'null' : 'kept'
  }
  if (value === cycle) return back === Object(back) && Reflect.get(Object(back), 'self') === back ? 'kept' : 'changed'
  if (typeof value === 'object' && value !== null && 'b' in value) return 'b' in Object(back) ? 'kept' : 'left out'
  if (typeof value === 'object' && value !== null) {
    if (Object.getPrototypeOf(back) === Object.getPrototypeOf(value)) return 'kept'
    if (typeof back === 'string') return value instanceof Date ? 'ISO string' : 'string'
    return back instanceof Uint8Array ? 'Uint8Array' : 'plain object'
  }
  return Object.is(back, value) ? 'kept' : 'changed'
}

describe('the table of docs/reference/records.md', () => {
  const page = readFileSync(new URL('../../../docs/reference/records.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, ...cells]) => cells.map((cell) => cell.trim()))
  const head = rows.findIndex(([first]) => first === 'value')
  const table = rows.slice(head + 1).filter(([what = '']) => what in VALUES)

  it('has a row for each value, and says what becomes of it', () => {
    expect(rows[head]).toEqual(['value', ...Object.keys(SERIALIZERS)])
    const found = Object.entries(VALUES).map(([what, value]) => [what, ...Object.values(SERIALIZERS).map((one) => fateOf(one, value))])
    expect(table).toEqual(found)
  })
})

describe('a value that JSON cannot keep', () => {
  const bad: readonly [string, unknown, string][] = [
    ['a BigInt', 1n, 'a BigInt'],
    ['a function', () => 1, 'a function'],
    ['a class', Point, 'a function'],
    ['a symbol', Symbol('x'), 'a symbol'],
    ['a cycle', cycle, 'an object that contains itself'],
    ['a Map', new Map(), 'a Map'],
    ['a Set', new Set(), 'a Set'],
    ['NaN', NaN, 'NaN'],
    ['-Infinity', -Infinity, '-Infinity'],
    ['a promise', Promise.resolve(), 'a Promise'],
    ['an Error', new RangeError('x'), 'an Error'],
    ['a typed array', new Float64Array(2), 'a Float64Array'],
    ['an invalid Date', new Date(NaN), 'an invalid Date'],
  ]

  it.each(bad)('%s is UNSERIALIZABLE, with its path', (_what, value, named) => {
    const data = { cart: { 'two words': [{ ok: 1 }, { ok: 2 }, null, { price: value }] } }
    const error = failureOf(() => encode(jsonSerializer, 'sid', data))
    expect(error).toMatchObject({
      code: 'LATCHKEY_UNSERIALIZABLE',
      path: named.includes('itself') ? 'cart["two words"][3].price.self' : 'cart["two words"][3].price',
    })
    expect(error.message).toContain(named)
    expect(error.message).toContain('at cart["two words"][3].price')
  })

  it('is the first one that is named, also beside a cycle', () => {
    const data: Record<string, unknown> = { a: 1, when: { m: new Map() } }
    data['me'] = data
    expect(failureOf(() => encode(jsonSerializer, 'sid', data))).toMatchObject({ path: 'when.m' })
  })

  it('is named in a list that is the data itself, and as the data itself', () => {
    expect(failureOf(() => encode(jsonSerializer, 'sid', [1, [2n]]))).toMatchObject({ path: '[1][0]' })
    expect(failureOf(() => encode(jsonSerializer, 'sid', new Map()))).toMatchObject({ path: '' })
  })

  it('that devalue cannot keep has its path as well', () => {
    const error = failureOf(() => encode(devalue, 'sid', { cart: { items: [{ price: () => 1 }] } }))
    expect(error).toMatchObject({ code: 'LATCHKEY_UNSERIALIZABLE', path: 'cart.items[0].price' })
  })

  it('is refused before anything is sent, and the session is as it was', async () => {
    const { manager, wire } = new World().process()
    await manager.run('sid', (session) => {
      session.data['n'] = 1
    })
    const session = await manager.start('sid')
    const before = wire.flights.length
    session.data['tags'] = new Set()
    await expect(session.save()).rejects.toMatchObject({ code: 'LATCHKEY_UNSERIALIZABLE', path: 'tags' })
    expect(wire.flights.length).toBe(before)
    delete session.data['tags']
    session.data['n'] = 2
    await session.release()
    expect(await manager.peek('sid')).toEqual({ n: 2 })
  })

  it('nested ten thousand deep is an error, not a crash', () => {
    let deep: object = {}
    for (let depth = 0; depth < 10_000; depth++) deep = { deep }
    const deepCycle = { deep, self: cycle }
    for (const data of [deep, deepCycle]) {
      let code = 'none'
      try {
        encode(jsonSerializer, 'sid', data)
      } catch (error) {
        code = error instanceof Error && 'code' in error ? String(error.code) : 'untyped'
      }
      expect(['none', 'LATCHKEY_UNSERIALIZABLE']).toContain(code)
    }
  })
})

describe('JSON', () => {
  it('keeps whatever JSON keeps: no good data is refused', () => {
    // Keys that could reach a prototype are refused, at any depth.
    const plain = fc.dictionary(fc.string(), fc.jsonValue()).filter((data) => !/"(?:__proto__|constructor)"/.test(JSON.stringify(data)))
    fc.assert(
      fc.property(plain, (data) => {
        expect(jsonSerializer.stringify(data)).toBe(JSON.stringify(data))
        expect(jsonSerializer.parse(JSON.stringify(data))).toEqual(JSON.parse(JSON.stringify(data)))
      }),
    )
  })

  it('a toJSON of its own is believed, on the object, in its class and on BigInt', () => {
    const money = { toJSON: () => '12.50', cents: 1250n, f: () => 1 }
    class Money {
      f = (): number => 1
      toJSON(): string {
        return '12.50'
      }
    }
    expect(jsonSerializer.stringify({ money, other: new Money() })).toBe('{"money":"12.50","other":"12.50"}')
    Object.defineProperty(BigInt.prototype, 'toJSON', { value: () => 'big', configurable: true })
    try {
      expect(jsonSerializer.stringify({ n: 1n })).toBe('{"n":"big"}')
    } finally {
      Reflect.deleteProperty(BigInt.prototype, 'toJSON')
    }
  })

  it('what is inherited, hidden or a method does not matter', () => {
    const data: object = Object.create({ inherited: () => 1 }, { hidden: { value: () => 1 }, n: { value: 1, enumerable: true } })
    expect(jsonSerializer.stringify({ data })).toBe('{"data":{"n":1}}')
  })

  it.each(Object.entries(SERIALIZERS))('%s: a record with __proto__ in it reaches no prototype', (_name, serializer) => {
    const planted = [
      '{"__proto__":{"planted":1}}',
      '{"json":{"__proto__":{"planted":1},"constructor":{"prototype":{"planted":1}}},"meta":{"values":{"__proto__.planted":["Date"]}}}',
      '[{"__proto__":1},{"planted":2},1]',
    ]
    for (const text of planted) {
      let data: unknown
      try {
        data = serializer.parse(text)
      } catch {
        continue
      }
      expect('planted' in {}).toBe(false)
      expect(data === null || typeof data !== 'object' || !('planted' in data)).toBe(true)
    }
  })

  it('refuses such a record, and such data', () => {
    const data: unknown = JSON.parse('{"a":{"__proto__":{"x":1}}}')
    expect(() => jsonSerializer.parse('{"a":{"__proto__":{"x":1}}}')).toThrow()
    expect(codeThrownBy(() => encode(jsonSerializer, 'sid', data))).toBe('LATCHKEY_UNSERIALIZABLE')
  })
})

describe.each([['superjson', superjson], ['devalue', devalue]] as const)('%s', (_name, serializer) => {
  it('keeps Dates, Maps, Sets and BigInt in a session, and finds out when nothing changed', async () => {
    const { manager, wire } = new World().process({ serializer })
    const data = { seen: new Date(0), roles: new Set(['admin']), prices: new Map([['a', 10n]]) }
    await manager.run('sid', (session) => {
      Object.assign(session.data, data)
    })
    await manager.run('sid', (session) => {
      expect(session.data).toEqual(data)
    })
    expect(wire.flights.at(-1)?.map(wire.names.of)).toEqual(['touch', 'cad'])
    expect(await manager.peek('sid')).toEqual(data)
  })
})
