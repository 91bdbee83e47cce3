import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ownAll, protect } from '../../src/session/protect.js'

class Refused extends Error {}
const refused = (): Error => new Refused()
/** Of a session's own, as what was decoded for it. */
const locked = <T extends object>(data: T): T => protect(ownAll(data), refused)

/** Sloppy-mode code: no error of the language's own. */
const sloppily = (body: string, value: unknown): unknown => new Function('it', body)(value) as unknown

interface Shop {
  user: string
  cart: { items: { sku: string }[]; note?: string }
  seen: Map<string, { n: number }>
  tags: Set<string>
  since: Date
}

const shop = (): Shop => ({
  user: 'ada',
  cart: { items: [{ sku: 'a' }] },
  seen: new Map([['x', { n: 1 }]]),
  tags: new Set(['t']),
  since: new Date(0),
})

/** Every way to change it, each as code that runs on whatever it is given. */
const CHANGES: Readonly<Record<string, string>> = {
  'an assignment': 'it.user = "eve"',
  'a new property': 'it.role = "admin"',
  'a deep assignment': 'it.cart.items[0].sku = "b"',
  'a new deep property': 'it.cart.items[0].count = 2',
  'a new element': 'it.cart.items[5] = {}',
  push: 'it.cart.items.push({})',
  pop: 'it.cart.items.pop()',
  splice: 'it.cart.items.splice(0, 1)',
  fill: 'it.cart.items.fill(0)',
  'Map.set': 'it.seen.set("y", {})',
  'Map.delete': 'it.seen.delete("x")',
  'Map.clear': 'it.seen.clear()',
  'what a Map holds': 'it.seen.get("x").n = 2',
  'Set.add': 'it.tags.add("u")',
  'Set.delete': 'it.tags.delete("t")',
  'Date.setTime': 'it.since.setTime(1)',
  'Date.setFullYear': 'it.since.setFullYear(1)',
  '__proto__': 'it.cart.__proto__ = null',
  'Object.assign': 'Object.assign(it, { user: "eve" })',
}

/** What only a Proxy can tell sloppy code of. */
const THROUGH_THE_VIEW: Readonly<Record<string, string>> = {
  delete: 'delete it.user',
  'a deep delete': 'delete it.cart.items[0]',
  'a new length': 'it.cart.items.length = 0',
  'Object.defineProperty': 'Object.defineProperty(it, "user", { value: "eve" })',
  'Object.setPrototypeOf': 'Object.setPrototypeOf(it, null)',
  'Object.freeze': 'Object.freeze(it.cart)',
}

describe('protected data', () => {
  it.each(Object.entries({ ...CHANGES, ...THROUGH_THE_VIEW }))('refuses %s at once, in sloppy code as well', (_, change) => {
    const view = locked(shop())
    expect(() => sloppily(change, view)).toThrow(Refused)
    expect(() => sloppily(`'use strict'; ${change}`, view)).toThrow(Refused)
    expect(view).toEqual(shop())
  })

  it.each(Object.entries({ ...CHANGES, ...THROUGH_THE_VIEW }))('refuses %s where nobody has taken parts of it before', (_, change) => {
    const view = protect(ownAll(shop()), refused, false)
    expect(() => sloppily(change, view)).toThrow(Refused)
    expect(view).toEqual(shop())
  })

  it.each(Object.entries(CHANGES))('refuses %s through a reference that was taken before', (_, change) => {
    const data = shop()
    locked(data)
    expect(() => sloppily(change, data)).toThrow(Refused)
    expect(data).toEqual(shop())
  })

  it.each(['it.items.push(1)', 'it.items[0].sku = 1', 'it.items = []', 'it.note = "x"'])('refuses %s on a part that was taken before', (change) => {
    const data = shop()
    const { cart } = data
    locked(data)
    expect(() => sloppily(change, cart)).toThrow(Refused)
    expect(cart).toEqual(shop().cart)
  })

  it.each(Object.entries(THROUGH_THE_VIEW))('%s through a reference that was taken before changes nothing', (_, change) => {
    const data = shop()
    locked(data)
    expect(() => sloppily(`'use strict'; ${change}`, data)).toThrow()
    expect(data).toEqual(shop())
  })

  it('reads as before: JSON, spread, iteration, inspection, instanceof', () => {
    const view = locked(shop())
    expect(JSON.stringify(view)).toBe(JSON.stringify(shop()))
    expect({ ...view }).toEqual(shop())
    expect(Object.entries(view.cart)).toEqual([['items', [{ sku: 'a' }]]])
    expect([...view.cart.items]).toEqual([{ sku: 'a' }])
    expect(view.cart.items.map(({ sku }) => sku)).toEqual(['a'])
    expect(Array.isArray(view.cart.items)).toBe(true)
    expect([...view.seen.entries()]).toEqual([['x', { n: 1 }]])
    expect(view.seen.size + view.tags.size).toBe(2)
    expect(view.since.getTime()).toBe(0)
    expect(view.since).toBeInstanceOf(Date)
    expect(inspect(view, { depth: 5 })).toBe(inspect(shop(), { depth: 5 }))
  })

  it('a copy of it can be changed', () => {
    const copy = JSON.parse(JSON.stringify(locked(shop()))) as Shop
    copy.cart.items.push({ sku: 'b' })
    expect(copy.cart.items).toHaveLength(2)
    const top = { ...locked(shop()) }
    top.user = 'eve'
    expect(top.user).toBe('eve')
  })

  it('protected twice is protected once, and the first reason stays', () => {
    const data = shop()
    const view = locked(data)
    const again = () => protect(data, () => new Error('another'))
    expect(again()).toBe(view)
    expect(protect(view, () => new Error('another'))).toBe(view)
    expect(() => (view.user = 'eve')).toThrow(Refused)
  })

  it('knows its way out of a circle', () => {
    const data: { self?: object; n: number } = { n: 1 }
    data.self = data
    const view = locked(data)
    expect(view.self).toBe(view)
    expect(() => (data.n = 2)).toThrow(Refused)
  })

  it('leaves alone what the session does not hold: functions, bytes, and what writes itself down as something else', () => {
    const helper = Object.assign(() => 1, { calls: 0 })
    const model = { name: 'ada', toJSON: () => 'ada' }
    const bytes = new Uint8Array([1])
    locked({ helper, model, bytes })
    helper.calls++
    model.name = 'eve'
    bytes[0] = 2
    expect([helper.calls, model.name, bytes[0]]).toEqual([1, 'eve', 2])
  })

  it('takes what is frozen or sealed already, and an instance with its methods', () => {
    class Cart {
      readonly #secret = 1
      items = ['a']
      get count(): number {
        return this.items.length * this.#secret
      }
    }
    const data = { frozen: Object.freeze({ deep: { n: 1 } }), sealed: Object.seal({ n: 1 }), cart: new Cart() }
    const view = locked(data)
    expect(view.cart.count).toBe(1)
    expect(() => view.cart.items.push('b')).toThrow(Refused)
    expect(() => (view.frozen.deep.n = 2)).toThrow(Refused)
    expect(() => (view.sealed.n = 2)).toThrow()
    expect(view.sealed.n).toBe(1)
  })

  it('property: any JSON reads as before, and no place in it can be changed', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.boolean(), (value, isShared) => {
        const text = JSON.stringify({ value })
        const data = ownAll(JSON.parse(text) as object)
        const places = isShared ? objectsIn(data) : []
        const view = protect(data, refused, isShared)
        expect(JSON.stringify(view)).toBe(text)
        expect(JSON.stringify(data)).toBe(text)
        for (const place of [...places, ...objectsIn(view)]) {
          for (const key of [...Object.keys(place), 'never-seen']) {
            expect(() => sloppily(`it[${JSON.stringify(key)}] = 1`, place)).toThrow(Refused)
          }
        }
        expect(JSON.stringify(data)).toBe(text)
      }),
      { numRuns: 300 },
    )
  })
})

describe('what the application owns', () => {
  it.each(Object.entries({ ...CHANGES, ...THROUGH_THE_VIEW }))('%s is refused by the view', (_, change) => {
    const data = shop()
    const view = protect(data, refused)
    expect(() => sloppily(change, view)).toThrow(Refused)
    expect([view, data]).toEqual([shop(), shop()])
  })

  it.each(Object.entries(CHANGES))('allows %s', (_, change) => {
    const data = shop()
    const view = protect(Object.assign(ownAll({}), { user: data }), refused)
    sloppily(change, data)
    expect(view).toEqual({ user: shop() })
    expect(() => sloppily(change, view.user)).toThrow(Refused)
  })

  it('is whole in each of the sessions that hold it, as it was at the time of each', () => {
    const ada = { visits: 1, tags: ['a'], seen: new Map([[{ page: 1 }, new Set([1])]]) }
    const first = protect(Object.assign(ownAll({}), { ada }), refused)
    ada.visits++
    ada.tags.push('b')
    const second = protect(Object.assign(ownAll({}), { ada, again: ada }), refused)
    expect([first.ada.visits, second.ada.visits]).toEqual([1, 2])
    expect([first.ada.tags, second.ada.tags]).toEqual([['a'], ['a', 'b']])
    expect(second.again).toBe(second.ada)
    expect(() => (second.ada.visits = 5)).toThrow(Refused)
    expect(() => second.ada.tags.push('c')).toThrow(Refused)
    expect(() => [...second.ada.seen.keys()].forEach((page) => (page.page = 2))).toThrow(Refused)
  })

  it('may be frozen, sealed, without a prototype, and lead back to itself', () => {
    const constant: { self?: object; deep: { n: number } } = { deep: { n: 1 } }
    constant.self = constant
    Object.freeze(constant)
    const data = { constant, sealed: Object.seal({ n: 1 }), bare: Object.assign(Object.create(null) as object, { n: 1 }) }
    const view = protect(data, refused)
    expect(view.constant.self).toBe(view.constant)
    expect(() => (view.constant.deep.n = 2)).toThrow(Refused)
    expect(() => (view.sealed.n = 2)).toThrow(Refused)
    expect(() => Object.assign(view.bare, { m: 1 })).toThrow(Refused)
    constant.deep.n = 3
    data.sealed.n = 3
    expect([view.constant.deep.n, view.sealed.n]).toEqual([1, 1])
  })

  it('an instance keeps its methods and private members; what is assigned through the view is refused', () => {
    class Cart {
      readonly #limit = 2
      items = ['a']
      get isFull(): boolean {
        return this.items.length >= this.#limit
      }
      add(item: string): void {
        this.items.push(item)
      }
    }
    const cart = new Cart()
    const view = protect({ cart }, refused)
    expect(view.cart).toBeInstanceOf(Cart)
    expect(view.cart.isFull).toBe(false)
    expect(() => (view.cart.items = [])).toThrow(Refused)
    expect(() => view.cart.items.push('b')).toThrow(Refused)
    cart.add('b')
    expect(view.cart.isFull).toBe(true)
  })
})

it('twenty thousand levels are no deeper than one', () => {
  const nested = (): object => {
    let data = {}
    for (let level = 0; level < 20_000; level++) data = { data }
    return data
  }
  for (const data of [nested(), ownAll(nested())]) {
    const view = protect(data, refused) as { data: { data: object } }
    expect(() => (view.data.data = {})).toThrow(Refused)
  }
})

function objectsIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return []
  return [value, ...Object.values(value).flatMap(objectsIn)]
}
