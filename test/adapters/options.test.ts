/** The options of all adapters: what is none, or would fail every request, is refused when the adapter is set up. */
import cookie from '@fastify/cookie'
import Fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { SessionManager } from 'latchkey'
import { latchkey as express } from 'latchkey/express'
import { latchkey as fastify } from 'latchkey/fastify'
import { honoSession, withSession } from 'latchkey/fetch'
import { latchkey as koa } from 'latchkey/koa'
import { afterAll, describe, expect, it } from 'vitest'

const manager = new SessionManager()
afterAll(() => manager.close())

const SECRET = 'a secret of at least thirty-two characters'

/** As plain JavaScript would call it. */
type SetUp = (options?: object) => Promise<unknown>
const registering = (base: object): SetUp => async (options) => {
  const app = Fastify()
  try {
    await app.register(cookie, { secret: SECRET })
    await app.register(fastify, Object.assign({ manager, secret: SECRET }, base, options))
  } finally {
    await app.close()
  }
}
const ADAPTERS: Readonly<Record<string, SetUp>> = {
  Express: async (options) => Reflect.apply(express, undefined, [{ manager, secret: SECRET, resave: false, saveUninitialized: false, ...options }]) as unknown,
  '@fastify/session': registering({}),
  "Fastify's own": registering({ fastifySession: false, secret: undefined }),
  Koa: async (options) => Reflect.apply(koa, undefined, [{ manager, ...options }, new Koa()]) as unknown,
  withSession: async (options) => Reflect.apply(withSession, undefined, [{ manager, secret: SECRET, ...options }, () => new Response()]) as unknown,
  honoSession: async (options) => new Hono().use(Reflect.apply(honoSession, undefined, [{ manager, secret: SECRET, ...options }])),
}
const ALL = Object.keys(ADAPTERS)
const [EXPRESS, WITH, OWN, KOA, ...FETCH] = ALL
const setUp = (adapter: string | undefined, options?: object): Promise<unknown> => ADAPTERS[adapter ?? '']?.(options) ?? Promise.reject(new Error('no adapter'))

describe.each(ALL)('%s', (adapter) => {
  it.each([
    ['readonly', 'readOnly'],
    ['lable', 'label'],
    ['mananger', 'manager'],
  ])('a name that is none, %s: refused, with the one that was meant', async (name, meant) => {
    await expect(setUp(adapter, { [name]: true })).rejects.toMatchObject({
      code: 'LATCHKEY_INVALID_OPTION',
      message: expect.stringContaining(`There is no option "${name}". Did you mean "${meant}"?`) as string,
    })
  })

  it('what is undefined was not given', async () => {
    await setUp(adapter, { readonly: undefined, store: undefined, label: undefined })
  })

  it('a label that is no function, and a manager that is none', async () => {
    for (const bad of [{ label: 'GET' }, { manager: {} }, { manager: undefined }]) {
      await expect(setUp(adapter, bad)).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_OPTION' })
    }
  })
})

const CASES: readonly [string | undefined, object, RegExp][] = [
  ...[EXPRESS, WITH, OWN, ...FETCH].flatMap((adapter): [string | undefined, object, RegExp][] => [
    [adapter, { cookie: { httponly: false } }, /no option "cookie\.httponly"\. Did you mean "cookie\.httpOnly"/],
    [adapter, { cookie: { maxAge: NaN } }, /cookie\.maxAge is NaN/],
    [adapter, { cookie: { maxAge: -1 } }, /cookie\.maxAge is -1/],
    [adapter, { cookie: { maxAge: Infinity } }, /cookie\.maxAge is Infinity/],
    [adapter, { cookie: { maxAge: '60' } }, /cookie\.maxAge is '60' \(a string\)/],
    [adapter, { cookie: { domain: 'a\nb' } }, /No cookie can be made/],
    [adapter, { cookie: { sameSite: 'sometimes' } }, /No cookie can be made/],
    [adapter, { cookie: 'secure' }, /cookie is 'secure' \(a string\); it must be an object/],
  ]),
  ...[EXPRESS, WITH, OWN, KOA].map((adapter): [string | undefined, object, RegExp] => [adapter, { readOnly: true }, /readOnly is true; it must be a function/]),
  ...ALL.map((adapter): [string | undefined, object, RegExp] => [adapter, { clientGoneMs: NaN }, /clientGoneMs is NaN/]),
  ...[EXPRESS, WITH].flatMap((adapter): [string | undefined, object, RegExp][] =>
    [NaN, Infinity, -Infinity, '60', null].map((ttl) => [adapter, { ttl }, /ttl is .*; it must be a function, or a number/]),
  ),
  ...[OWN, ...FETCH].flatMap((adapter): [string | undefined, object, RegExp][] => [
    ...[-5, 0, NaN, Infinity, '60', null].map((lifetimeSec): [string | undefined, object, RegExp] => [adapter, { lifetimeSec }, /lifetimeSec is/]),
    [adapter, { cookie: { maxAge: 0 } }, /cookie\.maxAge is 0; it must be a number of seconds from 1/],
    [adapter, { cookie: { maxAge: 365 * 86_400_000 } }, /cookie\.maxAge is 31536000000; it must be a number of seconds from 1 to 3153600000\./],
    [adapter, { ttl: 60 }, /no option "ttl"/],
    [adapter, { cookieName: 'a b' }, /No cookie can be made/],
  ]),
  ...FETCH.flatMap((adapter): [string | undefined, object, RegExp][] => [
    [adapter, { readOnly: 'yes' }, /readOnly is 'yes'/],
    [adapter, { cookie: { secure: 'yes' } }, /cookie\.secure is 'yes'/],
  ]),
  [EXPRESS, { lifetimeSec: 60 }, /no option "lifetimeSec"/],
  ...['', [], [SECRET, ''], undefined, null, false].map((secret): [string | undefined, object, RegExp] => [EXPRESS, { secret }, /^secret is .*; it must be a string that is not empty/]),
  [EXPRESS, { name: 'a b' }, /No cookie can be made/],
  [EXPRESS, { cookie: { expires: new Date(NaN) } }, /cookie\.expires is an invalid Date/],
  [WITH, { idGenerator: 'uuid' }, /idGenerator is 'uuid' \(a string\); it must be a function/],
  [WITH, { cookieName: 'a b' }, /No cookie can be made/],
  [OWN, { secret: SECRET }, /@fastify\/cookie signs/],
  [KOA, { ttl: 60 }, /ttl cannot be given: say maxAge, in milliseconds/],
  [KOA, { key: 'a=b;' }, /No cookie can be made/],
  [KOA, { domain: 'a\nb' }, /No cookie can be made/],
  [KOA, { maxAge: Infinity }, /maxAge is Infinity/],
  [KOA, { maxAge: -5 }, /maxAge is -5/],
  [KOA, { touchAfter: 5 }, /no option "touchAfter"/],
]

it.each(CASES)('%s refuses %o', async (adapter, options, message) => {
  await expect(setUp(adapter, options)).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_OPTION', message: expect.stringMatching(message) as string })
})

it.each<[string | undefined, object]>([
  [EXPRESS, { key: 'sid', proxy: true, rolling: true, unset: 'keep', cookie: { maxAge: null, path: '/shop', secure: 'auto', sameSite: 'auto', priority: 'high', partitioned: true } }],
  [EXPRESS, { cookie: () => ({ anything: 1 }) }],
  [EXPRESS, { ttl: -1, touchAfter: 5, disableTouch: true, readOnly: () => false }],
  [WITH, { prefix: '/shop', logLevel: 'warn', cookiePrefix: 's:', rolling: false, cookie: { maxAge: 60_000, secure: 'auto', sameSite: 'strict' } }],
  [WITH, { ttl: () => 5, idGenerator: () => 'id', algorithm: 'sha512' }],
  [OWN, { prefix: '/shop', cookie: { maxAge: 60, secure: 'auto' }, lifetimeSec: 120, cookieName: '__Host-id' }],
  [KOA, { maxAge: 'session', path: '/shop', domain: 'shop.example', sameSite: 'lax', secure: true, rolling: true, prefix: 'a:', partitioned: true }],
  [KOA, { maxAge: 0, key: 'sid', externalKey: { get: () => 'x', set: () => undefined } }],
  ...FETCH.map((adapter): [string | undefined, object] => [adapter, { readOnly: true, lifetimeSec: 5, cookieName: 'sid', cookie: { maxAge: 60, sameSite: 'none', partitioned: true } }]),
])('%s takes %o', async (adapter, options) => {
  await setUp(adapter, options)
})

it('called without options, each says what is missing', async () => {
  for (const make of [() => Reflect.apply(express, undefined, []), () => Reflect.apply(withSession, undefined, []), () => Reflect.apply(koa, undefined, [undefined, new Koa()])]) {
    expect(make).toThrow('manager is missing')
  }
})

it('withSession without a handler is refused', () => {
  for (const handler of [undefined, 'handler']) {
    expect(() => Reflect.apply(withSession, undefined, [{ manager, secret: SECRET }, handler]) as unknown).toThrow(/handler is .*; it must be a function/)
  }
})
