import { describe, expect, it } from 'vitest'
import type { SessionManager } from 'latchkey'
import { type FaultyWire, World } from '../support/world.js'

interface Data {
  user: string
}

/** A session that is held, and about to go on under another id. */
async function held(retiredCopySec = 0): Promise<{ world: World; manager: SessionManager; wire: FaultyWire }> {
  const world = new World()
  const { manager, wire } = world.process({ retiredCopySec })
  await manager.run<Data>('old', ({ data }) => void (data.user = 'ada'))
  return { world, manager, wire }
}

/** The next flight that ends the old session is carried out or not; its reply is lost, and the look after it as well. */
function loseEnd(wire: FaultyWire, kind: 'lost-reply' | 'lost-request', looks = 1): void {
  wire.failNext({ kind }, 'cas', 'old')
  for (let i = 0; i < looks; i++) wire.failNext({ kind: 'lost-request' }, 'get', 'old')
}

it('regenerate() whose new session cannot be locked, when the old lock is gone: the session is over', async () => {
  const { world, manager, wire } = await held()
  const session = await manager.start<Data>('old')
  await world.evict('sess:old-lck')
  await world.clock.advance(6000)
  expect(session.isHeld).toBe(false)
  for (let tries = 0; tries < 2; tries++) wire.failNext({ kind: 'not-sent' }, 'add')
  await expect(session.regenerate()).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_UNAVAILABLE' })
  expect(session.isReadOnly).toBe(true)
})

describe('regenerate() whose end of the old session is not answered', () => {
  it.each(['lost-reply', 'lost-request'] as const)('%s: the session goes on under the new id', async (kind) => {
    const { world, manager, wire } = await held()
    const session = await manager.start<Data>('old')
    session.data.user = 'eve'
    loseEnd(wire, kind)
    await session.regenerate()
    expect(session.id).not.toBe('old')
    expect(await manager.peek(session.id)).toEqual({ user: 'eve' })
    session.data.user = 'root'
    await session.release()
    expect(await manager.peek(session.id)).toEqual({ user: 'root' })
    await world.clock.advance(20_000)
    expect(await manager.peek('old')).toBeUndefined()
    await world.until(manager.close())
  })

  it('the old one is ended when the server answers again, however often it did not', async () => {
    const { world, manager, wire } = await held(60)
    const session = await manager.start<Data>('old')
    loseEnd(wire, 'lost-request', 3)
    await session.regenerate()
    await session.release()
    await world.clock.advance(30_000)
    const copy = await manager.start<Data>('old')
    expect(copy.isReadOnly).toBe(true)
    expect(copy.data).toEqual({ user: 'ada' })
    await world.until(manager.close())
  })

  it('what another has stored under the old id in the meantime is left alone', async () => {
    const { world, manager, wire } = await held()
    const session = await manager.start<Data>('old')
    loseEnd(wire, 'lost-request')
    await session.regenerate()
    await session.release()
    await world.evict('sess:old-lck')
    const other = world.process()
    await other.manager.run<Data>('old', ({ data }) => void (data.user = 'bob'))
    await world.clock.advance(60_000)
    expect(await manager.peek('old')).toEqual({ user: 'bob' })
    await world.until(manager.close())
  })

  it('keepOld: goes on under the new id as well', async () => {
    const { world, manager, wire } = await held()
    const session = await manager.start<Data>('old')
    loseEnd(wire, 'lost-reply')
    await session.regenerate({ keepOld: true })
    await session.release()
    expect(session.id).not.toBe('old')
    await world.clock.advance(60_000)
    expect(await manager.peek('old')).toEqual({ user: 'ada' })
    expect(await manager.peek(session.id)).toEqual({ user: 'ada' })
  })

  it('after close() nothing more is tried, and no timer is left', async () => {
    const { world, manager, wire } = await held()
    const session = await manager.start<Data>('old')
    loseEnd(wire, 'lost-request')
    await session.regenerate()
    await session.release()
    await world.until(manager.close())
    const { length } = wire.flights
    await world.clock.advance(120_000)
    expect(wire.flights).toHaveLength(length)
  })
})
