import type { AddressInfo } from 'node:net'
import { InvalidOptionError, SessionManager } from 'latchkey'
import { honoSession, withSession } from 'latchkey/fetch'
import { latchkey as express } from 'latchkey/express'
import { describe, expect, it } from 'vitest'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import { rowsOf } from '../support/matrix.js'
import { endPlacesAfterEach, type Place, PLACES, type Route } from './places.js'
import { count, login, logout } from './routes.js'

/** A session that is shared with PHP, with every framework: the cookie is PHP's, and so is the record. */

endPlacesAfterEach()

const PHP = { extension: 'memcached', sidLength: 26, sidBitsPerCharacter: 5, cookie: { path: '/', sameSite: 'strict' } } as const
const PREFIX = 'memc.sess.key.'

const look: Route = ({ data }) => Object.keys(data).length

interface Answer {
  readonly status: number
  readonly body: string
  /** The id in the cookie that is set, as it stands there; undefined: none is. */
  readonly id: string | undefined
  readonly attributes: readonly string[]
}

async function ask({ server }: Place, path: string, cookie?: string): Promise<Answer> {
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${String(port)}${path}`, { headers: cookie === undefined ? {} : { cookie: `a=1; PHPSESSID=${cookie}; b=2` } })
  const set = response.headers.getSetCookie()
  for (const one of set) expect(one).toMatch(/^PHPSESSID=/)
  const [pair = '', ...attributes] = set.at(-1)?.split(/; */) ?? []
  return { status: response.status, body: await response.text(), id: set.length === 0 ? undefined : pair.slice('PHPSESSID='.length), attributes: attributes.map((one) => one.toLowerCase()).sort() }
}

/** What PHP would read. */
async function recordOf({ wire }: Place, id: string): Promise<string | undefined> {
  const [reply] = (await wire?.inner.flight(id, [{ op: 'get', key: PREFIX + id }])) ?? []
  return reply?.value?.toString('latin1')
}

/** As PHP has written it. */
async function write({ wire }: Place, id: string, record: string): Promise<void> {
  await wire?.inner.flight(id, [{ op: 'set', key: PREFIX + id, value: Buffer.from(record, 'latin1'), flags: 0, ttlSec: 100 }])
}

const OF_PHP = 'user|s:3:"ada";price|d:5;_token|s:1:"t";cart|a:2:{i:0;s:4:"book";i:1;d:0.1;}raw|s:1:"\xff";map|a:2:{s:1:"b";d:1;i:7;a:1:{s:1:"x";N;}}'
const ID = '0123456789abcdefghijklmnop'

describe.each(rowsOf(PLACES, 2))('%s, shared with PHP', (_name, start) => {
  const place = (php: object = {}): Promise<Place> =>
    start({ '/count': count, '/look': look, '/login': login, '/logout': logout }, { managerOptions: { php: { ...PHP, ...php } } })

  it('a new session: PHP\'s cookie, not signed, and nothing in the record but what was put there', async () => {
    const here = await place()
    const { status, id = '', attributes } = await ask(here, '/count')
    expect([status, attributes]).toEqual([200, ['httponly', 'path=/', 'samesite=strict']])
    expect(id).toMatch(/^[0-9a-v]{26}$/)
    expect(await recordOf(here, id)).toBe('n|i:1;')
    expect((await ask(here, '/count', id)).body).toBe('2')
    expect(await recordOf(here, id)).toBe('n|i:2;')
  })

  it('the cookie\'s other name, time and place', async () => {
    const here = await place({ cookie: { lifetimeSec: 3600, path: '/', domain: 'example.com', httpOnly: false } })
    const { attributes } = await ask(here, '/count')
    const untimed = attributes.filter((one) => !/^expires=|^max-age=/.test(one))
    expect(untimed).toEqual(['domain=example.com', 'path=/'])
    expect(attributes.length).toBeGreaterThan(2)
  })

  it('of PHP\'s session what is not changed keeps its bytes: order, floats, other bytes than text, names with an underscore', async () => {
    const here = await place()
    await write(here, ID, OF_PHP)
    expect(await ask(here, '/look', ID)).toMatchObject({ status: 200 })
    expect(await recordOf(here, ID)).toBe(OF_PHP)
    expect((await ask(here, '/count', ID)).body).toBe('1')
    expect(await recordOf(here, ID)).toBe(`${OF_PHP}n|i:1;`)
  })

  it('a session that PHP has just begun is empty, and goes on under its id', async () => {
    const here = await place()
    await write(here, ID, '')
    const { status, id } = await ask(here, '/count', ID)
    expect([status, id ?? ID]).toEqual([200, ID])
    expect(await recordOf(here, ID)).toBe('n|i:1;')
  })

  it('an id that nobody has given out is replaced, whatever it looks like', async () => {
    const here = await place()
    for (const planted of [ID, 'lock.abc', 's%3Aabc.def', 'a b', '%', '%2e%2e', 'x'.repeat(300), `${ID}.aaaa`, 'abc%3Cline', '']) {
      const { status, id = '' } = await ask(here, '/count', planted)
      expect([status, planted]).toEqual([200, planted])
      expect(id).toMatch(/^[0-9a-v]{26}$/)
      expect(id).not.toBe(ID)
    }
    expect(await recordOf(here, ID)).toBeUndefined()
  })

  it('an id of PHP\'s with a comma, which PHP percent-encodes in the cookie', async () => {
    const here = await place({ sidLength: 32, sidBitsPerCharacter: 6 })
    const id = 'Ab,-0123456789abcdefghijklmnopqr'
    await write(here, id, 'n|i:5;')
    expect((await ask(here, '/count', encodeURIComponent(id))).body).toBe('6')
    expect((await ask(here, '/count', id)).body).toBe('7')
  })

  it('a login goes on under a new id, and a logout leaves nothing', async () => {
    const here = await place()
    await write(here, ID, 'n|i:5;')
    const { id = '' } = await ask(here, '/login', ID)
    expect(id).toMatch(/^[0-9a-v]{26}$/)
    expect(await recordOf(here, ID)).toBeUndefined()
    expect(await recordOf(here, id)).toContain('user|s:4:"root";')
    expect((await ask(here, '/logout', id)).status).toBe(200)
    expect(await recordOf(here, id)).toBeUndefined()
  })

  it('no variable of PHP\'s is lost: one whose name the framework has for itself is an error', async () => {
    const here = await place()
    const names = ['id', 'cookie', 'save', 'req', 'length', '_expire', '_maxAge', '_session', '_requireSave', 'isNew', 'sessionId', 'encryptedSessionId', 'maxAge', 'get']
    for (const name of [...names, 'reload', 'toJSON', 'toString', 'constructor', '__proto__', 'hasOwnProperty', 'release', 'regenerate', '_lifetimeSec', '_other']) {
      const record = `${name}|i:5;`
      await write(here, ID, record)
      const { status } = await ask(here, '/count', ID)
      expect([name, await recordOf(here, ID)]).toEqual([name, status === 200 ? `${record}n|i:1;` : record])
      if (status !== 200) expect(status).toBe(500)
      expect(await here.isFree(ID)).toBe(true)
    }
  })

  it('twenty requests at once on a session of PHP\'s', async () => {
    const here = await place()
    await write(here, ID, OF_PHP)
    await Promise.all(Array.from({ length: 20 }, () => ask(here, '/count', ID)))
    expect(await recordOf(here, ID)).toBe(`${OF_PHP}n|i:20;`)
  })
})

it('what is PHP\'s to say cannot be said twice', () => {
  const manager = new SessionManager({ wire: createMemoryWire(), php: PHP })
  const rest = { resave: false, saveUninitialized: false }
  for (const [name, given] of Object.entries({ secret: 'a', name: 'b', cookie: {}, ttl: 5 })) {
    expect(() => express({ manager, ...rest, secret: false, [name]: given })).toThrow(InvalidOptionError)
    expect(() => express({ manager, ...rest, secret: false, [name]: given })).toThrow(`${name} cannot be given together with the manager's php`)
  }
  for (const [name, given] of Object.entries({ secret: 'a', cookieName: 'b', cookie: {}, lifetimeSec: 5 })) {
    expect(() => withSession({ manager, secret: false, [name]: given }, () => new Response())).toThrow(`${name} cannot be given`)
    expect(() => honoSession({ manager, secret: false, [name]: given })).toThrow(`${name} cannot be given`)
  }
  const own = new SessionManager({ wire: createMemoryWire() })
  expect(() => withSession({ manager: own, secret: false }, () => new Response())).toThrow('secret must be a string')
})
