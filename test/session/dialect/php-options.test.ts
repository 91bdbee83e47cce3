import { describe, expect, it } from 'vitest'
import { createMemoryWire } from '../../../src/wire/memory/memory-wire.js'
import { InvalidOptionError, SessionManager, type SessionManagerOptions } from 'latchkey'

const MEMCACHED = { extension: 'memcached' } as const

function refusal(options: object): string {
  try {
    new SessionManager({ wire: createMemoryWire(), ...(options as SessionManagerOptions) })
  } catch (error) {
    if (error instanceof InvalidOptionError) return error.message
    throw error
  }
  return 'taken'
}

describe('the option php', () => {
  it('has the defaults of php.ini', () => {
    const { php } = new SessionManager({ php: MEMCACHED, wire: createMemoryWire() })
    expect(php).toEqual({
      extension: 'memcached',
      prefix: 'memc.sess.key.',
      serializeHandler: 'php',
      ring: 'ketama',
      standBackMs: 150,
      sidLength: 32,
      sidBitsPerCharacter: 5,
      cookieName: 'PHPSESSID',
      cookie: { lifetimeSec: 0, path: '/', secure: false, httpOnly: true },
    })
  })

  it.each([
    [{}, 'php.extension is missing; it must be memcached or memcache.'],
    [{ extension: 'memcacheed' }, 'Did you mean "memcached"?'],
    [{ ...MEMCACHED, prefx: 'a' }, 'Did you mean "php.prefix"?'],
    [{ ...MEMCACHED, serializeHandler: 'igbinary' }, 'session.serialize_handler=php'],
    [{ ...MEMCACHED, ring: 'ketema' }, 'Did you mean "ketama"?'],
    [{ ...MEMCACHED, prefix: 'a b' }, 'visible ASCII'],
    [{ ...MEMCACHED, standBackMs: -1 }, 'php.standBackMs is -1'],
    [{ ...MEMCACHED, sidLength: 22, sidBitsPerCharacter: 4 }, 'can be guessed'],
    [{ ...MEMCACHED, cookieName: 'a.b' }, 'session.name'],
    [{ ...MEMCACHED, cookieName: '12' }, 'session.name'],
    [{ ...MEMCACHED, cookie: { samesite: 'lax' } }, 'Did you mean "php.cookie.sameSite"?'],
    [{ ...MEMCACHED, cookie: { path: '/; secure' } }, 'php.cookie.path'],
    [{ ...MEMCACHED, cookie: { lifetimeSec: -1 } }, 'php.cookie.lifetimeSec is -1'],
    [{ extension: 'memcache', prefix: 'a' }, "PHP's extension memcache puts nothing before"],
    [{ extension: 'memcache', ring: 'modula' }, 'one server only'],
  ])('%j is refused, with what is meant', (php, reason) => {
    expect(refusal({ php })).toContain(reason)
  })

  it.each([
    [{ prefix: 'sess:' }, 'php.prefix'],
    [{ serializer: JSON }, 'php.serializeHandler'],
    [{ encryption: { keys: [] } }, 'would destroy it'],
    [{ compression: { aboveBytes: 1024 } }, 'would destroy it'],
    [{ retiredCopySec: 10 }, 'PHP would take the copy'],
    [{ wire: undefined, savePath: 'memory:' }, 'session.save_path'],
    [{ wire: undefined }, 'session.save_path'],
  ])('%j is refused beside it, with the reason', (options, reason) => {
    expect(refusal({ php: MEMCACHED, ...options })).toContain(reason)
  })

  it('makes ids as PHP does, and takes no other', () => {
    const manager = new SessionManager({ php: { ...MEMCACHED, sidLength: 26, sidBitsPerCharacter: 6 }, wire: createMemoryWire() })
    const ids = Array.from({ length: 50 }, () => manager.createSid())
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9,-]{26}$/)
    expect(new Set(ids).size).toBe(50)
    expect(ids.join('')).toMatch(/[,-]/)
    expect(manager.flawOf('lock.abc')).toContain('PHP takes')
    expect(manager.flawOf('abc<line')).toContain('PHP takes')
    expect(manager.flawOf('a-lck')).toBeUndefined()
  })
})
