import fc from 'fast-check'
import * as devalue from 'devalue'
import { jsonSerializer, type Serializer, SessionManager } from 'latchkey'
import superjson from 'superjson'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { runsOf } from '../support/matrix.js'
import { codeOf } from '../support/world.js'

type Data = Record<string, unknown>

const managers: SessionManager[] = []
const managerWith = (serializer?: Serializer): SessionManager => {
  const manager = new SessionManager(serializer === undefined ? {} : { serializer })
  managers.push(manager)
  return manager
}

afterEach(async () => {
  await Promise.all(managers.splice(0).map((manager) => manager.close()))
})

/** Undefined where it is stored. */
const outcomeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => codeOf(Promise.reject(error as Error)),
  )

/** As JSON from a visitor is: as deep as they like. */
const nested = (levels: number): unknown => {
  let data: unknown = 1
  for (let level = 0; level < levels; level++) data = level % 2 === 0 ? [data] : { data }
  return data
}

const SERIALIZERS: Readonly<Record<string, Serializer>> = { JSON: jsonSerializer, 'JSON as it is': JSON, superjson, devalue }

describe.each(Object.entries(SERIALIZERS))('nesting, %s', (_, serializer) => {
  it('of 100 levels is kept, of one more refused with a code', async () => {
    const manager = managerWith(serializer)
    await manager.run('id', ({ data }) => void (data['deep'] = nested(99)))
    expect(await manager.peek('id')).toEqual({ deep: nested(99) })
    const outcome = manager.run('id', ({ data }) => void (data['deep'] = nested(100)))
    expect(await codeOf(outcome)).toBe('LATCHKEY_UNSERIALIZABLE')
    expect(await manager.peek('id')).toEqual({ deep: nested(99) })
  })

  it.each([3_500, 20_000])('of %d levels: release() is refused with a code, abort() lets go', async (levels) => {
    const manager = managerWith(serializer)
    const session = await manager.start<Data>('id')
    session.data['deep'] = nested(levels)
    expect(await codeOf(session.release())).toBe('LATCHKEY_UNSERIALIZABLE')
    await session.abort()
    expect(await manager.holder('id')).toBeUndefined()
    expect(() => (session.data['deep'] = 1)).toThrow('aborted')
  })

  it.runIf(serializer === jsonSerializer)('of a record that was there already is LATCHKEY_UNDECODABLE', async () => {
    const manager = managerWith(serializer)
    const store = manager.store()
    await store.read('id')
    await store.write('id', `{"deep":${'['.repeat(5_000)}${']'.repeat(5_000)}}`)
    expect(await codeOf(manager.run('id', () => undefined))).toBe('LATCHKEY_UNDECODABLE')
    expect(await codeOf(manager.peek('id'))).toBe('LATCHKEY_UNDECODABLE')
    expect(await manager.holder('id')).toBeUndefined()
  })
})

it('what a toJSON() returns counts as well', async () => {
  const manager = managerWith()
  const outcome = manager.run('id', ({ data }) => void (data['deep'] = { toJSON: () => nested(200) }))
  expect(await codeOf(outcome)).toBe('LATCHKEY_UNSERIALIZABLE')
})

describe('data that is no object', () => {
  it.each([null, undefined, 'x', 5, true, 5n, Symbol('x'), () => 1])('is refused where it is assigned: %s', async (data) => {
    const manager = managerWith()
    await manager.run<Data>('id', (session) => {
      expect(() => Reflect.set(session, 'data', data)).toThrow(expect.objectContaining({ code: 'LATCHKEY_UNSERIALIZABLE' }))
      session.data['n'] = 1
    })
    expect(await manager.peek('id')).toEqual({ n: 1 })
  })

  it.each(Object.entries(SERIALIZERS))('is refused where its toJSON() says so, %s', async (_, serializer) => {
    const manager = managerWith(serializer)
    const outcome = await outcomeOf(manager.run<Data>('id', (session) => void (session.data = { toJSON: () => 'x' })))
    expect(outcome).toBe(serializer === devalue || serializer === superjson ? outcome : 'LATCHKEY_UNSERIALIZABLE')
    expect(await outcomeOf(manager.peek('id'))).toBeUndefined()
  })

  it('is not made of an empty text', async () => {
    const manager = managerWith({ stringify: () => '', parse: () => ({}) })
    expect(await codeOf(manager.run('id', ({ data }) => void (data['n'] = 1)))).toBe('LATCHKEY_UNSERIALIZABLE')
  })
})

describe('property: what is stored can be read, and is what was stored', () => {
  it.each(Object.entries(SERIALIZERS))('%s', async (name, serializer) => {
    const manager = managerWith(serializer)
    const anything = fc.anything({ withDate: true, withBigInt: true, withMap: true, withSet: true, withSparseArray: true, maxDepth: 4 })
    await fc.assert(
      fc.asyncProperty(fc.oneof(anything, fc.integer({ min: 90, max: 110 }).map(nested)), async (value) => {
        const id = manager.createSid()
        const code = await outcomeOf(manager.run<Data>(id, (session) => void (session.data = value as Data)))
        if (code !== undefined) {
          expect(code).toBe('LATCHKEY_UNSERIALIZABLE')
          return
        }
        const read = await manager.peek(id)
        // A new session that stays empty is not stored.
        if (name.startsWith('JSON')) expect(read ?? {}).toEqual(JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: runsOf(200), seed: 7 },
    )
  })
})

describe('a change after the end of a session', () => {
  const ENDS = [
    ['released', (session) => session.release()],
    ['aborted', (session) => session.abort()],
    ['destroyed', (session) => session.destroy()],
  ] as const satisfies readonly (readonly [string, (session: Awaited<ReturnType<typeof started>>) => Promise<void>])[]

  const started = async (manager: SessionManager) => {
    await manager.run<{ cart: { n: number } }>('id', ({ data }) => void (data.cart = { n: 1 }))
    return manager.start<{ cart: { n: number } }>('id')
  }

  it.each(ENDS)('%s: refused at that moment, with its reason', async (reason, end) => {
    const session = await started(managerWith())
    const { data } = session
    const { cart } = data
    await end(session)
    const refusal: unknown = expect.objectContaining({ code: 'LATCHKEY_READ_ONLY', reason })
    expect(() => (session.data.cart = { n: 2 })).toThrow(refusal)
    expect(() => (session.data = {})).toThrow(refusal)
    expect(() => (data.cart = { n: 2 })).toThrow(refusal)
    expect(() => Object.assign(cart ?? {}, { n: 2 })).toThrow(refusal)
    await expect(session.save()).rejects.toThrow(refusal)
    await expect(session.regenerate()).rejects.toThrow(refusal)
    await expect(session.destroy()).rejects.toThrow(refusal)
    await session.release()
    await session.abort()
    expect(session.isReadOnly).toBe(true)
  })

  it.each(ENDS)('%s within run(): it rejects', async (reason, end) => {
    const manager = managerWith()
    await started(manager).then((session) => session.abort())
    const outcome = manager.run<{ cart: { n: number } }>('id', async (session) => {
      await end(session)
      session.data.cart = { n: 2 }
    })
    await expect(outcome).rejects.toThrow(expect.objectContaining({ code: 'LATCHKEY_READ_ONLY', reason }))
  })
})

it('a release() whose write fails and whose data cannot be protected is one rejection, and nobody else is told', async () => {
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  const manager = managerWith({ stringify: () => '{"n":1}', parse: () => ({}) })
  const session = await manager.start<Data>('id')
  session.data['it'] = new Proxy({}, { has: () => { throw new Error('no trap') } })
  await manager.store().destroy('id')
  await expect(session.release()).rejects.toThrow()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', unhandled)
  expect(unhandled).not.toHaveBeenCalled()
})
