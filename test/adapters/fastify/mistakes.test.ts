import cookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/fastify'
import { describe, expect, it } from 'vitest'
import { codeOf } from '../../support/world.js'
import { dataOf, endSitesAfterEach, KINDS, SECRET, Site, visit } from './site.js'

/** What an application may get wrong, and what a visitor may send. */

endSitesAfterEach()

const manager = new SessionManager()
const registered = async (options: object, cookieOptions: object = { secret: SECRET }): Promise<void> => {
  const app = Fastify()
  try {
    await app.register(cookie, cookieOptions)
    await app.register(latchkey, Object.assign({ manager, secret: SECRET }, options))
  } finally {
    await app.close()
  }
}

const BAD: readonly [string, object][] = [
  ['no manager', { manager: undefined }],
  ['another manager', { manager: {} }],
  ['a store', { store: {} }],
  ['clientGoneMs below 0', { clientGoneMs: -1 }],
  ['clientGoneMs that is no number', { clientGoneMs: '1' }],
  ['clientGoneMs over an hour', { clientGoneMs: 3_600_001 }],
  ['ttl that is none', { ttl: NaN }],
  ['ttl that is too long', { ttl: 100 * 366 * 86_400 }],
  ['label that is no function', { label: 'x' }],
  ['readOnly that is no function', { readOnly: true }],
  ['touchAfter below 0', { touchAfter: -1 }],
  ['disableTouch that is no boolean', { disableTouch: 1 }],
  ['fastifySession that is no boolean', { fastifySession: 0 }],
]

describe('options', () => {
  it.each(BAD)('%s: LATCHKEY_INVALID_OPTION', async (_name, options) => {
    expect(await codeOf(registered(options))).toBe('LATCHKEY_INVALID_OPTION')
  })

  it.each([
    [{ secret: undefined }, 'the secret option is required, and must be a String, Array of Strings, or a signer object with .sign and .unsign methods'],
    [{ secret: 'short' }, 'the secret must have length 32 or greater'],
    [{ secret: [] }, 'at least one secret is required'],
    [{ secret: SECRET, algorithm: 'none' }, 'Algorithm none not supported.'],
  ])("@fastify/session's own: %o", async (options, message) => {
    await expect(registered(options)).rejects.toThrow(message)
  })

  it('another session plugin before it, and @fastify/cookie without a secret', async () => {
    const app = Fastify()
    await app.register(cookie)
    await app.register(fastifySession, { secret: SECRET })
    expect(await codeOf(Promise.resolve(app.register(latchkey, { manager, secret: SECRET })))).toBe('LATCHKEY_INVALID_OPTION')
    await expect(registered({ fastifySession: false, secret: undefined }, {})).rejects.toMatchObject({
      code: 'LATCHKEY_INVALID_OPTION',
      message: expect.stringContaining('no secret to sign with') as string,
    })
  })

  it('without @fastify/cookie: fastify-plugin says what is missing', async () => {
    const app = Fastify()
    await expect(Promise.resolve(app.register(latchkey, { manager, secret: SECRET }))).rejects.toThrow('@fastify/cookie')
  })

  it('it stands in for @fastify/session: plugins that depend on that find it', async () => {
    const app = Fastify()
    await app.register(cookie)
    await app.register(latchkey, { manager, secret: SECRET })
    await app.register(fp(async () => undefined, { name: 'other', dependencies: ['@fastify/session'] }))
    await app.ready()
    expect([app.hasPlugin('latchkey'), app.hasDecorator('decryptSession'), app.hasRequestDecorator('sessionStore')]).toEqual([true, true, true])
    await app.close()
  })

  it('two parts of an application with sessions of their own', async () => {
    const app = Fastify()
    await app.register(cookie, { secret: SECRET })
    for (const name of ['a', 'b'] as const) {
      await app.register(async (part) => {
        await part.register(latchkey, { manager, secret: SECRET, cookieName: name, cookie: { secure: false } })
        part.get(`/${name}`, async (request) => {
          visit(request).user = name
          return {}
        })
      })
    }
    for (const name of ['a', 'b']) expect((await app.inject(`/${name}`)).cookies.map((one) => one.name)).toEqual([name])
    await app.close()
  })
})

describe.each(KINDS)('%s', (kind) => {
  const ofKind: object = kind === 'without @fastify/session' ? { fastifySession: false, secret: undefined } : {}
  const misspelt = Object.fromEntries([['session', 'readonly']])
  const MESSAGE = "config.session is 'readonly' (a string); it must be 'readOnly', or left out."

  it('a route that is to be read-only, misspelt: refused when it is added', async () => {
    const app = Fastify()
    await app.register(cookie, { secret: SECRET })
    await app.register(latchkey, Object.assign({ manager, secret: SECRET }, ofKind))
    expect(() => app.get('/it', { config: misspelt }, () => 'answered')).toThrow(MESSAGE)
    await app.close()
  })

  it('the same route where it was added before the plugin was loaded: its requests are refused', async () => {
    const app = Fastify()
    void app.register(cookie, { secret: SECRET })
    void app.register(latchkey, Object.assign({ manager, secret: SECRET }, ofKind))
    app.get('/it', { config: misspelt }, () => 'answered')
    const { statusCode, body } = await app.inject('/it')
    expect([statusCode, JSON.parse(body)]).toMatchObject([500, { code: 'LATCHKEY_INVALID_OPTION', message: MESSAGE }])
    await app.close()
  })

  it.each([
    ['text that is no cookie value', 'sessionId=%ff%zz'],
    ['an empty one', 'sessionId='],
    ['no signature', 'sessionId=abc'],
    ['a very long one', `sessionId=${'x'.repeat(4000)}`],
    ['two', 'sessionId=a; sessionId=b'],
    ['a prototype', '__proto__=x; constructor=y'],
  ])('a cookie from outside, %s: as no session', async (_what, header) => {
    const site = await Site.start(kind, () => undefined)
    const browser = site.browser()
    browser.cookie = header
    const { status, body } = await browser.get('/show')
    browser.cookie = undefined
    expect([status, body, site.ops]).toEqual([200, '{}', []])
  })

  it('an id that no key can be made of, with a good signature: as no session', async () => {
    const site = await Site.start(kind, () => undefined)
    const signer = Fastify()
    await signer.register(cookie, { secret: SECRET })
    await signer.ready()
    for (const id of ['a b', 'x-lck', 'x'.repeat(260), 'a\r\nflush_all']) {
      const browser = site.browser()
      browser.cookie = `sessionId=${encodeURIComponent(signer.signCookie(id))}`
      expect((await browser.get('/show')).status).toBe(200)
      await browser.get('/set/user/ada')
      expect(browser.sid).not.toBe(id)
      expect(await site.stored(browser.sid)).toEqual({ user: 'ada' })
      browser.cookie = undefined
    }
    await signer.close()
  })

  it('a record that cannot be read: 500, and it stays as it is', async () => {
    const site = await Site.start(kind, () => undefined)
    const visitor = await site.visitor()
    const store = site.manager.store()
    await store.read(visitor.sid)
    await store.write(visitor.sid, 'no JSON')
    await store.close()
    const { status, body, setCookies } = await visitor.get('/set/n/1')
    expect([status, setCookies]).toEqual([500, []])
    expect(body).toContain('LATCHKEY_UNDECODABLE')
    expect(await site.manager.store().peek(visitor.sid)).toBe('no JSON')
  })

  it.each([
    ['a circle', circle],
    ['a BigInt', () => 1n],
  ])('data that cannot be written down (%s): 500, nothing is stored', async (_what, make) => {
    const site = await Site.start(kind, (app) => {
      app.get('/bad', async (request) => {
        visit(request).big = make()
        return {}
      })
    })
    const visitor = await site.visitor()
    const { status, setCookies } = await visitor.get('/bad')
    expect([status, setCookies]).toEqual([500, []])
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('a session that is too large: 500, the old record stays', async () => {
    const site = await Site.start(kind, (app) => {
      app.get('/big', async (request) => {
        visit(request).big = 'x'.repeat(2_000_000)
        return {}
      })
    })
    const visitor = await site.visitor()
    const { status, body } = await visitor.get('/big')
    expect(status).toBe(500)
    expect(body).toContain('LATCHKEY_RECORD_TOO_LARGE')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  it('an error in label() or readOnly(): 500, and nothing is held', async () => {
    const fail = (): never => {
      throw new Error('planned')
    }
    for (const options of [{ label: fail }, { readOnly: fail }]) {
      const site = await Site.start(kind, () => undefined, options)
      expect((await site.browser().get('/show')).status).toBe(500)
    }
  })

  it('a hook before it answers: it never begins', async () => {
    const site = await Site.start(kind, () => undefined, {
      before: (app) => {
        app.addHook('onRequest', (request, reply, done) => {
          if (request.url === '/early') void reply.send('early')
          else done()
        })
      },
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/early')).body).toBe('early')
    expect(site.ops).toEqual([])
  })

  it('request.session can be replaced by other data', async () => {
    if (kind === 'with @fastify/session') return
    const site = await Site.start(kind, (app) => {
      app.get('/replace', async (request) => {
        Object.assign(request, { session: { user: 'eve' } })
        return dataOf(request)
      })
      app.get('/taken', async (request) => {
        Object.assign(request, { session: { save: 'x' } })
        return {}
      })
      app.get('/overwrite', async (request) => Object.assign(visit(request), { save: 'x' }))
    })
    const visitor = await site.visitor()
    expect((await visitor.get('/replace')).body).toBe('{"user":"eve"}')
    expect(await site.stored(visitor.sid)).toEqual({ user: 'eve' })
    expect((await visitor.get('/taken')).body).toContain('LATCHKEY_MISUSE')
    expect((await visitor.get('/overwrite')).status).toBe(500)
    expect(await site.stored(visitor.sid)).toEqual({ user: 'eve' })
  })
})

function circle(): unknown {
  const one: { self?: unknown } = {}
  one.self = one
  return one
}

it('without @fastify/session, a record with data of a reserved name: an error, and it is not held any longer', async () => {
  const site = await Site.start('without @fastify/session', () => undefined)
  const visitor = await site.visitor()
  await site.manager.run(visitor.sid, (session) => void (session.data['id'] = 5))
  expect(await visitor.get('/show')).toMatchObject({ status: 500 })
  expect(site.manager.stats().held).toBe(0)
})
