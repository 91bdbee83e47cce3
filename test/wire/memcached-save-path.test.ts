import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidSavePathError } from '../../src/errors.js'
import { systemClock } from '../../src/system/clock.js'
import { MemcachedAddress } from '../../src/wire/memcached/memcached-scheme.js'
import { describeServer, nodeId } from '../../src/wire/memcached/save-path.js'
import { readSavePath } from '../../src/wire/open-wire.js'
import { anyText } from '../support/any-text.js'
import { serverOf, serversOf } from '../support/servers.js'

function errorOf(text: string): InvalidSavePathError {
  try {
    readSavePath(text)
  } catch (error) {
    if (error instanceof InvalidSavePathError) return error
    throw error
  }
  throw new Error(`${text} was accepted`)
}

const tcp = (host: string, port: number): object => ({ endpoint: { kind: 'tcp', host, port } })

describe('a save path', () => {
  it.each([
    ['tcp://10.0.0.1:11211', tcp('10.0.0.1', 11211)],
    ['10.0.0.1:11212', tcp('10.0.0.1', 11212)],
    ['cache.example', tcp('cache.example', 11211)],
    ['TCP://Cache.Example', tcp('cache.example', 11211)],
    ['tcp://[::1]:11213', tcp('::1', 11213)],
    ['[2001:db8::7]', tcp('2001:db8::7', 11211)],
    ['tcp://h?weight=3&protocol=binary', { ...tcp('h', 11211), weight: 3, protocol: 'binary' }],
    ['tcp://h?via=twemproxy', { ...tcp('h', 11211), via: 'twemproxy', protocol: undefined }],
    ['tls://h?via=proxy&servername=x', { via: 'proxy' }],
    ['tcp://me:p%40ss%3A%2C@h:1', { ...tcp('h', 1), credentials: { username: 'me', password: 'p@ss:,' } }],
    ['unix:///run/memcached.sock', { endpoint: { kind: 'unix', path: '/run/memcached.sock' } }],
    ['unix:///run/a%2Cb@c.sock?weight=2', { endpoint: { kind: 'unix', path: '/run/a,b@c.sock' }, weight: 2 }],
    [
      'unix://u:p@/run/x',
      { endpoint: { kind: 'unix', path: '/run/x' }, credentials: { username: 'u', password: 'p' } },
    ],
  ])('%s', (text, expected) => {
    expect(serverOf(text)).toMatchObject(expected)
  })

  it('has defaults', () => {
    expect(serverOf('h')).toEqual({
      endpoint: { kind: 'tcp', host: 'h', port: 11211 },
      spelledHost: 'h',
      tls: undefined,
      credentials: undefined,
      weight: 1,
      protocol: undefined,
      via: undefined,
      hasOwnVersions: false,
    })
  })

  it('lists servers, in their order', () => {
    const servers = serversOf('tcp://10.0.0.1:11211,tcp://10.0.0.2:11211?weight=2, 10.0.0.3')
    expect(servers.map(nodeId)).toEqual(['10.0.0.1:11211', '10.0.0.2:11211', '10.0.0.3:11211'])
    expect(servers.map((server) => server.weight)).toEqual([1, 2, 1])
  })

  it('reads TLS, which verifies unless told otherwise', () => {
    expect(serverOf('tls://h').tls).toEqual({
      ca: undefined,
      cert: undefined,
      key: undefined,
      servername: undefined,
      verify: true,
    })
    const all = serverOf('tls://h:1?ca=/a%2Cb.pem&cert=/c&key=/k&servername=x&verify=off').tls
    expect(all).toEqual({ ca: '/a,b.pem', cert: '/c', key: '/k', servername: 'x', verify: false })
  })

  it('names the embedded store', () => {
    for (const path of ['memory:', 'memory:tests']) {
      expect(readSavePath(path).open({ clock: systemClock, flightMs: 1000, connections: 1 }).store?.name).toBe('memory')
    }
  })

  it.each([
    ['', 'empty'],
    ['  ', 'empty'],
    [',', 'server 1'],
    ['h,', 'server 2'],
    ['http://h', 'scheme'],
    ['memory:a/b', 'name'],
    ['memory:,h', 'name'],
    ['h:0', 'port'],
    ['h:65536', 'port'],
    ['h:', 'port'],
    ['h:+1', 'port'],
    ['h:1e3', 'port'],
    ['a:b:c', 'port'],
    ['::1', 'IPv6'],
    ['[::1', 'IPv6'],
    ['[1.2.3.4]', 'host'],
    ['[fe80::1%25eth0]', 'host'],
    ['tcp://', 'host'],
    ['tcp://h/path', 'host'],
    ['a b', 'host'],
    ['h\n', ''],
    ['h?weight=0', 'weight'],
    ['h?weight=1.5', 'weight'],
    ['h?weight=-1', 'weight'],
    ['h?weight=', 'weight'],
    ['h?weight', 'weight'],
    ['h?weight=1&weight=2', 'twice'],
    ['h?wieght=1', 'wieght'],
    ['h?', 'parameter'],
    ['h?protocol=udp', 'protocol'],
    ['h?via=haproxy', 'twemproxy'],
    ['h?via=proxy&protocol=binary', 'text'],
    ['u:p@h?via=proxy', 'credentials'],
    ['a?via=proxy,b', 'server 2'],
    ['a?via=proxy,b?via=twemproxy', 'server 2'],
    ['h?ca=/x', 'tls'],
    ['tls://h?cert=/x', 'key'],
    ['tls://h?verify=no', 'verify'],
    ['tls://h?ca=%ZZ', 'ca'],
    ['unix://run/x', 'path'],
    ['unix://', 'path'],
    [`unix:///${'x'.repeat(107)}`, '107'],
    ['h,tcp://H:11211', 'server 1'],
    ['tcp://h,tls://h:11211', 'server 1'],
  ])('refuses %j', (text, named) => {
    if (text === 'h\n') {
      // White space around a server is no part of it.
      expect(serverOf(text)).toMatchObject(tcp('h', 11211))
      return
    }
    const error = errorOf(text)
    expect(error.code).toBe('LATCHKEY_INVALID_SAVE_PATH')
    expect(error.message).toContain(named)
    expect(error.message).toContain('tcp://host:port')
  })

  it.each([
    ['tpc://h', 'did you mean tcp://?'],
    ['unix:/run/m.sock', 'did you mean unix://?'],
    ['memroy:', 'did you mean memory:?'],
    ['sqlite:/var/x', 'unknown scheme ("sqlite")'],
    ['flie:/var/x', 'did you mean file:?'],
    ['postgresql:/var/x', 'unknown scheme ("postgresql")'],
    ['h:', 'a port is a number'],
    ['elephant://h', 'unknown scheme ("elephant")'],
    ['tcp://h,memory:', 'port'],
    ['tcp://h,redis://i', 'no scheme of memcached, which are tcp, tls, unix ("redis")'],
    ['h?wieght=1', 'did you mean weight?'],
    ['h?colour=red', 'known are weight, protocol'],
  ])('helps where %j may have been meant otherwise', (text, hint) => {
    expect(errorOf(text).message).toContain(hint)
  })

  it.each([
    'tcp://user:secret@',
    'tcp://user:secret@h:99999',
    'tcp://user:secret@h?weight=x',
    'tcp://user:sec,ret@h',
    'tcp://user:sec?ret@h',
    'tcp://user:sec/ret@h',
    'tcp://user:sec@ret@h',
    'tcp://user:sec:ret@h',
    'tcp://user:%secret@h',
    'tcp://secret@h',
    'tcp://:secret@h',
    'tcp://user:@h/secret',
    'tcp://user:secret@h,user:secret@h:11211',
    'ftp://user:secret@h',
  ])('never repeats a password: %s', (text) => {
    expect(errorOf(text).message).not.toMatch(/sec|ret/)
  })

  it('describes a server without its secrets', () => {
    expect(describeServer(serverOf('tls://u:secret@[::1]:1?key=/k&cert=/c'))).toBe('tls://[::1]:1')
    expect(describeServer(serverOf('unix://u:secret@/run/x'))).toBe('unix:///run/x')
    expect(describeServer(serverOf('h'))).toBe('tcp://h:11211')
  })

  it('is read or refused, whatever it is', () => {
    const pieces = fc.constantFrom(
      ...['tcp://', 'tls://', 'unix://', 'memory:', 'h', ':', '@', '?', '&', '=', ',', '%', '/', '[', ']', '::1', '1'],
      ...['weight=', 'ca=', 'verify=off', ' ', '\0', '%41', 'é', '\n'],
    )
    const text = fc.oneof(anyText(), fc.array(pieces).map((all) => all.join('')))
    fc.assert(
      fc.property(text, (any) => {
        try {
          const path = readSavePath(any)
          if (!(path instanceof MemcachedAddress)) return
          for (const { endpoint, weight } of path.servers) {
            expect(weight).toBeGreaterThanOrEqual(1)
            if (endpoint.kind === 'tcp') expect(endpoint.port).toSatisfy((port: number) => port >= 1 && port <= 65535)
            else expect(endpoint.path).toMatch(/^\//)
          }
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidSavePathError)
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('keeps credentials as they were encoded', () => {
    const part = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !text.includes('\0'))
    fc.assert(
      fc.property(part, part, (username, password) => {
        const encoded = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`
        expect(serverOf(`tcp://${encoded}@h`).credentials).toEqual({ username, password })
      }),
    )
  })
})
