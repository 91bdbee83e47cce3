import { InvalidOptionError, SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { codeOf, World } from '../support/world.js'

interface Data {
  n: number
  user: string
}

describe('a session of the application', () => {
  it('stores what changed at release, and nothing when nothing did', async () => {
    const { manager, wire } = new World().process()
    const session = await manager.start<Data>('sid')
    expect(session.isNew).toBe(true)
    session.data.n = 1
    await session.release()
    const again = await manager.start<Data>('sid')
    expect(again.data).toEqual({ n: 1 })
    expect(again.isNew).toBe(false)
    await again.release()
    expect(wire.flights.at(-1)?.map(wire.names.of)).toEqual(['touch', 'cad'])
  })

  it('a new session in which nothing changed is not stored', async () => {
    const world = new World()
    const { manager } = world.process()
    const session = await manager.start('sid')
    await session.release()
    expect(await world.get('sess:sid')).toBeUndefined()
    expect(await world.get('sess:sid-lck')).toBeUndefined()
  })

  it('is released at the end of its block', async () => {
    const world = new World()
    const { manager } = world.process()
    {
      await using session = await manager.start<Data>('sid')
      session.data.user = 'ada'
    }
    expect(await manager.peek('sid')).toEqual({ user: 'ada' })
    expect(await world.get('sess:sid-lck')).toBeUndefined()
  })

  it('run() stores on success, and nothing at all when the work throws', async () => {
    const world = new World()
    const { manager } = world.process()
    expect(await manager.run<Data, string>('sid', (session) => ((session.data.n = 1), 'done'))).toBe('done')
    const failing = manager.run<Data>('sid', (session) => {
      session.data.n = 2
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await manager.peek('sid')).toEqual({ n: 1 })
    expect(await world.get('sess:sid-lck')).toBeUndefined()
  })

  it('strict: an id that no session has is replaced, an existing one is kept', async () => {
    const { manager } = new World().process()
    const fixed = await manager.start<Data>('chosen-by-an-attacker', { strict: true })
    expect(fixed.id).not.toBe('chosen-by-an-attacker')
    fixed.data.n = 1
    await fixed.release()
    const known = await manager.start<Data>(fixed.id, { strict: true })
    expect(known.id).toBe(fixed.id)
    await known.release()
  })

  it('regenerate() moves the data to a new id and destroys the old session', async () => {
    const world = new World()
    const { manager } = world.process()
    await manager.run<Data>('old', (session) => void (session.data.user = 'ada'))
    const session = await manager.start<Data>('old')
    await session.regenerate()
    expect(session.id).not.toBe('old')
    await session.release()
    expect(await manager.peek('old')).toBeUndefined()
    expect(await manager.peek(session.id)).toEqual({ user: 'ada' })
    expect(await world.get(`sess:${session.id}-lck`)).toBeUndefined()
  })

  it('regenerate({keepOld}) stores the old one as it is', async () => {
    const { manager } = new World().process()
    const session = await manager.start<Data>('old')
    session.data.n = 1
    await session.regenerate({ keepOld: true })
    session.data.n = 2
    await session.release()
    expect(await manager.peek('old')).toEqual({ n: 1 })
    expect(await manager.peek(session.id)).toEqual({ n: 2 })
  })

  it('destroy() and abort() end it', async () => {
    const { manager } = new World().process()
    await manager.run<Data>('sid', (session) => void (session.data.n = 1))
    const aborted = await manager.start<Data>('sid')
    aborted.data.n = 2
    await aborted.abort()
    expect(await manager.peek('sid')).toEqual({ n: 1 })
    const session = await manager.start<Data>('sid')
    await session.destroy()
    expect(await codeOf(session.save())).toBe('LATCHKEY_READ_ONLY')
    expect(await manager.peek('sid')).toBeUndefined()
  })

  it('what cannot be written down is refused before anything is sent, and the lock can still be freed', async () => {
    const world = new World()
    const { manager } = world.process()
    const cyclic: Record<string, unknown> = {}
    cyclic['self'] = cyclic
    const values = [cyclic, { big: 1n }, JSON.parse('{"__proto__":{"admin":true}}') as object]
    for (const value of values) {
      const session = await manager.start('sid')
      session.data['value'] = value
      expect(await codeOf(session.release())).toBe('LATCHKEY_UNSERIALIZABLE')
      await session.abort()
    }
    expect(await world.get('sess:sid')).toBeUndefined()
    expect(await world.get('sess:sid-lck')).toBeUndefined()
  })

  it.each(['not json', '"text"', 'null', '{"__proto__":{"admin":true}}', '{"a":'])(
    'an undecodable record (%s) is an error, stays as it is, and is not locked',
    async (text) => {
      const world = new World()
      const { manager } = world.process()
      await world.server.flight('', [{ op: 'set', key: 'sess:sid', value: Buffer.from(text), ttlSec: 60 }])
      expect(await codeOf(manager.start('sid'))).toBe('LATCHKEY_UNDECODABLE')
      expect(await codeOf(manager.peek('sid'))).toBe('LATCHKEY_UNDECODABLE')
      expect(await world.get('sess:sid')).toBe(text)
      expect(await world.get('sess:sid-lck')).toBeUndefined()
    },
  )

  it('no error message holds the session id', async () => {
    const world = new World()
    const { manager } = world.process({ waitMs: 0 })
    const held = await manager.start('very-secret-id')
    const error: unknown = await world.until(manager.start('very-secret-id').catch((reason: unknown) => reason))
    expect(JSON.stringify(error) + String(error)).not.toContain('very-secret-id')
    await held.abort()
  })
})

describe('locking: false', () => {
  it('is the naive handler: of two that overlap the later save erases the earlier', async () => {
    const { manager } = new World().process({ locking: false })
    const login = await manager.start<Data>('sid')
    const slow = await manager.start<Data>('sid')
    login.data.user = 'ada'
    await login.release()
    slow.data.n = 1
    await slow.release()
    expect(await manager.peek('sid')).toEqual({ n: 1 })
  })
})

describe('options', () => {
  it.each([
    [{ leaseSec: 1 }, /leaseSec is 1; .* 2 to 3600/],
    [{ leaseSec: 2.5 }, /whole/],
    [{ waitMs: -1 }, /waitMs/],
    [{ waitMs: Number.NaN }, /waitMs is NaN/],
    [{ maxHoldMs: 1 }, /maxHoldMs/],
    [{ maxWaiters: 0 }, /maxWaiters/],
    [{ lifetimeSec: 0 }, /lifetimeSec/],
    [{ deadlineMs: 0 }, /deadlineMs/],
    [{ prefix: 'a b' }, /prefix/],
    [{ prefix: 'x'.repeat(101) }, /prefix/],
  ])('%j is refused, with the limit', (options, message) => {
    expect(() => new SessionManager(options)).toThrow(InvalidOptionError)
    expect(() => new SessionManager(options)).toThrow(message)
  })

  it('one that does not exist is refused, with the list', () => {
    expect(() => new SessionManager({ waitMs: 1, ...{ leaseMs: 1000 } })).toThrow(/no option "leaseMs".*leaseSec/)
  })
})
