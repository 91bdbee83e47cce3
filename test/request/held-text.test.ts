import { SessionManager } from 'latchkey'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FencedError } from '../../src/errors.js'
import { HeldText } from '../../src/request/held-text.js'

/** What one request holds of its session: no framework, no cookie, no serializer. */

let manager = new SessionManager({ waitMs: 50 })
beforeEach(() => {
  manager = new SessionManager({ waitMs: 50 })
})
afterEach(() => manager.close({ graceMs: 0 }))

interface Read {
  readonly text: string
}

const FORM = {
  decode: (_sid: string, text: string): Read => ({ text }),
  assertFollows(_sid: string, read: string, stored: string): void {
    if (read !== stored) throw new FencedError('changed')
  },
}
const requestOf = (): HeldText<Read> => new HeldText<Read>(manager, undefined, FORM, undefined, (error) => error)

const stored = (sid: string): Promise<string> => manager.store().peek(sid)
const isFree = async (sid: string): Promise<boolean> => (await manager.holder(sid)) === undefined

async function put(sid: string, text: string): Promise<void> {
  const held = requestOf()
  await held.write(sid, text, 60, true)
}

describe('a session that is there', () => {
  beforeEach(() => put('a', 'one'))

  it('is locked from the read to the last write', async () => {
    const held = requestOf()
    expect(await held.read('a')).toEqual({ text: 'one' })
    expect([held.sid, held.isRead('a'), await isFree('a')]).toEqual(['a', true, false])
    await held.write('a', 'two', 60, false)
    expect([await stored('a'), await isFree('a')]).toEqual(['two', false])
    await held.write('a', 'three', 60, true)
    expect([held.sid, await stored('a'), await isFree('a')]).toEqual([undefined, 'three', true])
  })

  it('that another ends meanwhile is gone when it is read again, and so it is to a look', async () => {
    const held = requestOf()
    await held.read('a')
    await manager.store().destroy('a')
    expect(await held.read('a')).toBeNull()
    expect([held.sid, held.isGone('a')]).toEqual([undefined, true])
    await put('a', 'of another visitor')
    expect(await held.look('a')).toBe('of another visitor')
    expect(held.isGone('a')).toBe(false)
  })

  it('that was let go of is stored again only if it is still what was read', async () => {
    const [first, second] = [requestOf(), requestOf()]
    for (const held of [first, second]) {
      await held.read('a')
      await held.letGo()
    }
    await first.write('a', 'two', 60, true)
    await expect(second.write('a', 'three', 60, true)).rejects.toMatchObject({ code: 'LATCHKEY_FENCED' })
    expect([await stored('a'), second.textOf('a'), await isFree('a')]).toEqual(['two', 'one', true])
  })

  it('goes on under another id: locked and as it was until that one is stored, then ended', async () => {
    const held = requestOf()
    await held.read('a')
    await held.setAside('a')
    expect([held.replacedSid, await stored('a'), await isFree('a')]).toEqual(['a', 'one', false])
    await held.write('b', 'two', 60, true)
    expect([await stored('a'), await stored('b'), await isFree('a'), await isFree('b')]).toEqual(['', 'two', true, true])
  })

  it('does not go on under another id where it was ended meanwhile: nothing begins then', async () => {
    const held = requestOf()
    await held.read('a')
    await held.setAside('a')
    await manager.store().destroy('a')
    await expect(held.write('b', 'two', 60, false)).rejects.toMatchObject({ code: 'LATCHKEY_SESSION_GONE' })
    await expect(held.write('c', 'three', 60, true)).rejects.toMatchObject({ code: 'LATCHKEY_SESSION_GONE' })
    await held.finish()
    expect([await stored('b'), await stored('c'), await isFree('b')]).toEqual(['', '', true])
  })

  it('ends with what it was to go on as', async () => {
    const held = requestOf()
    await held.read('a')
    await held.setAside('a')
    await held.destroy('b')
    expect([await stored('a'), await isFree('a'), held.replacedSid]).toEqual(['', true, undefined])
  })

  it('that was set aside ends with the response, though nothing came in its place', async () => {
    const held = requestOf()
    await held.read('a')
    await held.setAside('a')
    await held.complete()
    expect([await stored('a'), await isFree('a'), held.isOver]).toEqual(['', true, true])
  })
})

it('a session that is not there keeps no lock until it is written', async () => {
  const held = requestOf()
  expect(await held.read('new')).toBeNull()
  expect([held.sid, await isFree('new')]).toEqual([undefined, true])
  await held.write('new', 'one', 60, false)
  expect([held.sid, await isFree('new')]).toEqual(['new', false])
  await held.finish()
  expect([await stored('new'), await isFree('new')]).toEqual(['one', true])
})

it('who has gone waits no longer, and takes no lock that comes', async () => {
  await put('a', 'one')
  const [holder, waiter] = [requestOf(), requestOf()]
  await holder.read('a')
  const waiting = waiter.read('a')
  waiter.giveUpWaiting()
  await expect(waiting).rejects.toMatchObject({ name: 'ClientGoneError' })
  await holder.finish()
  expect(await isFree('a')).toBe(true)
})

it('finish() comes after what is under way', async () => {
  const held = requestOf()
  const writing = held.calls.inTurn(() => held.write('a', 'one', 60, false), 'a')
  await held.finish()
  await writing
  expect([await stored('a'), await isFree('a'), held.isOver]).toEqual(['one', true, true])
})
