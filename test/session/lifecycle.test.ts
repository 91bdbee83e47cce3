import { ReadOnlyError, type ReadOnlyReason } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { codeOf, World } from '../support/world.js'

/** Sessions that are only read; sessions that go on under another id. */

interface Data {
  n: number
  user: string
  cart: string[]
}

/** Why a change was refused. */
function refusal(change: () => unknown): ReadOnlyReason | undefined {
  try {
    change()
    return undefined
  } catch (error) {
    if (error instanceof ReadOnlyError) return error.reason
    throw error
  }
}

/** A process, and a session `sid` of user ada in the store. */
async function begun(retiredCopySec = 0): Promise<World & ReturnType<World['process']>> {
  const world = new World()
  const process = world.process({ retiredCopySec })
  await process.manager.run<Data>('sid', (session) => void Object.assign(session.data, { user: 'ada', cart: ['a'] }))
  process.wire.flights.splice(0)
  return Object.assign(world, process)
}

const opsOf = ({ wire }: ReturnType<World['process']>): string[][] => wire.flights.map((commands) => commands.map(({ op }) => op))

describe('a session that is started to be read only', () => {
  it('reads in one flight, while another holds the session, and leaves nothing to let go of', async () => {
    const one = await begun()
    const holder = await one.manager.start<Data>('sid')
    one.wire.flights.splice(0)
    const session = await one.manager.start<Data>('sid', { readOnly: true })
    expect(session.data).toEqual({ user: 'ada', cart: ['a'] })
    expect([session.isReadOnly, session.isHeld, session.isNew, session.id]).toEqual([true, false, false, 'sid'])
    await session.release()
    await session[Symbol.asyncDispose]()
    await session.abort()
    expect(opsOf(one)).toEqual([['get']])
    expect(holder.isHeld).toBe(true)
    await holder.release()
  })

  it('refuses every change at that moment, and sends nothing', async () => {
    const one = await begun()
    const session = await one.manager.start<Data>('sid', { readOnly: true })
    expect(refusal(() => (session.data.n = 1))).toBe('readOnly')
    expect(refusal(() => session.data.cart?.push('b'))).toBe('readOnly')
    expect(refusal(() => delete session.data.user)).toBe('readOnly')
    expect(refusal(() => (session.data = {}))).toBe('readOnly')
    for (const call of [() => session.save(), () => session.destroy(), () => session.regenerate()]) {
      expect(await codeOf(call())).toBe('LATCHKEY_READ_ONLY')
    }
    expect(opsOf(one)).toEqual([['get']])
  })

  it('is a new one where there is none, and stays under its id unless that is strict', async () => {
    const { manager } = await begun()
    const session = await manager.start<Data>('other', { readOnly: true })
    expect([session.isNew, session.id]).toEqual([true, 'other'])
    expect(refusal(() => (session.data.n = 1))).toBe('readOnly')
    expect((await manager.start('other', { readOnly: true, strict: true })).id).not.toBe('other')
    expect((await manager.start('sid', { readOnly: true, strict: true })).id).toBe('sid')
    expect((await manager.start('no id', { readOnly: true, strict: true })).isNew).toBe(true)
    expect(await codeOf(manager.start('no id', { readOnly: true }))).toBe('LATCHKEY_INVALID_ID')
    expect((await manager.start(undefined, { readOnly: true })).isNew).toBe(true)
  })

  it('is not started on a signal that has aborted', async () => {
    const one = await begun()
    const reason = new Error('stop')
    await expect(one.manager.start('sid', { readOnly: true, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(opsOf(one)).toEqual([])
  })

  it('run(): what its work changes is an error', async () => {
    const one = await begun()
    const work = one.manager.run<Data>('sid', ({ data }) => void (data.n = 1), { readOnly: true })
    expect(await codeOf(work)).toBe('LATCHKEY_READ_ONLY')
    expect(await one.manager.run<Data, string>('sid', ({ data }) => data.user ?? '', { readOnly: true })).toBe('ada')
  })
})

describe('a session that was released', () => {
  it('is stored as it was at that moment, and refuses changes from then on', async () => {
    const one = await begun()
    const session = await one.manager.start<Data>('sid')
    const { data } = session
    const cart = (data.cart ??= [])
    cart.push('b')
    const releasing = session.release()
    expect(refusal(() => cart.push('c'))).toBe('released')
    await releasing
    expect(refusal(() => cart.push('c'))).toBe('released')
    expect(refusal(() => (data.n = 1))).toBe('released')
    expect(refusal(() => (session.data.n = 1))).toBe('released')
    expect(refusal(() => (session.data = {}))).toBe('released')
    for (const call of [() => session.save(), () => session.destroy(), () => session.regenerate()]) {
      expect(await codeOf(call())).toBe('LATCHKEY_READ_ONLY')
    }
    expect(await one.manager.peek('sid')).toEqual({ user: 'ada', cart: ['a', 'b'] })
    expect(session.data).toEqual({ user: 'ada', cart: ['a', 'b'] })
    expect(session.isReadOnly).toBe(true)
  })

  it('after its block: session.data refuses changes', async () => {
    const { manager } = await begun()
    const left = await manager.run<Data, { data: Partial<Data> }>('sid', (session) => session)
    expect(refusal(() => (left.data.n = 1))).toBe('released')
  })

  it('that could not be written down is still there to be changed', async () => {
    const { manager } = await begun()
    const session = await manager.start<{ n?: unknown }>('sid')
    session.data.n = 1n
    expect(await codeOf(session.release())).toBe('LATCHKEY_UNSERIALIZABLE')
    session.data.n = 1
    await session.release()
    expect(await manager.peek('sid')).toMatchObject({ n: 1 })
  })

  it('that could not be written down when its block ended is not held any longer', async () => {
    const { manager } = await begun()
    const unwritable = (session: { data: { n?: unknown } }): void => void (session.data.n = 1n)
    expect(await codeOf(manager.run('sid', unwritable))).toBe('LATCHKEY_UNSERIALIZABLE')
    expect(manager.stats().held).toBe(0)
    const session = await manager.start('sid')
    unwritable(session)
    expect(await codeOf(session[Symbol.asyncDispose]())).toBe('LATCHKEY_UNSERIALIZABLE')
    expect(manager.stats().held).toBe(0)
    expect(await manager.holder('sid')).toBeUndefined()
  })
})

describe('a regenerated session', () => {
  it('is stored under its new id before the old one ends: three flights, and one to release it', async () => {
    const one = await begun()
    const session = await one.manager.start<Data>('sid')
    await session.regenerate()
    expect(opsOf(one)).toEqual([['add', 'get'], ['add', 'get'], ['add', 'cas'], ['cas', 'cad']])
    expect(await one.manager.peek(session.id)).toEqual({ user: 'ada', cart: ['a'] })
    session.data.n = 1
    await session.release()
    expect(await one.manager.peek(session.id)).toMatchObject({ n: 1 })
    expect(await one.manager.peek('sid')).toBeUndefined()
  })

  it('leaves a copy for retiredCopySec: read as it was last stored, and holding nothing of the new one', async () => {
    const one = await begun(5)
    const session = await one.manager.start<Data>('sid')
    session.data.n = 1
    await session.regenerate()
    session.data.user = 'root'
    await session.release()
    expect(await one.manager.peek('sid')).toEqual({ user: 'ada', cart: ['a'] })
    expect(await one.get('sess:sid')).not.toContain(session.id)
    await one.until(one.pause(5001))
    expect(await one.manager.peek('sid')).toBeUndefined()
    expect(await one.manager.peek(session.id)).toMatchObject({ user: 'root', n: 1 })
  })

  it.each(['start', 'strict', 'readOnly'])('its copy is only read, holds no lock, and is not prolonged: %s', async (how) => {
    const one = await begun(5)
    await one.manager.run<Data>('sid', (session) => session.regenerate())
    const copy = await one.manager.start<Data>('sid', { strict: how === 'strict', readOnly: how === 'readOnly' })
    expect([copy.id, copy.isReadOnly, copy.isHeld, copy.data.user]).toEqual(['sid', true, false, 'ada'])
    expect(await one.get('sess:sid-lck')).toBeUndefined()
    expect(refusal(() => (copy.data.n = 1))).toBe(how === 'readOnly' ? 'readOnly' : 'retired')
    expect(await codeOf(copy.save())).toBe('LATCHKEY_READ_ONLY')
    expect(await codeOf(copy.regenerate())).toBe('LATCHKEY_READ_ONLY')
    await one.until(one.pause(4000))
    await copy.release()
    await one.until(one.pause(1001))
    expect(await one.manager.peek('sid')).toBeUndefined()
  })

  it('its copy may be destroyed', async () => {
    const one = await begun(5)
    await one.manager.run<Data>('sid', (session) => session.regenerate())
    const copy = await one.manager.start<Data>('sid')
    await copy.destroy()
    expect(await one.manager.peek('sid')).toBeUndefined()
    expect(await codeOf(copy.destroy())).toBe('LATCHKEY_READ_ONLY')
  })

  it('retiredCopySec of the call comes before the manager\'s, and is checked before anything is sent', async () => {
    const one = await begun(5)
    const session = await one.manager.start<Data>('sid')
    for (const retiredCopySec of [-1, 0.5, 3601, NaN]) {
      expect(await codeOf(session.regenerate({ retiredCopySec }))).toBe('LATCHKEY_INVALID_OPTION')
    }
    await session.regenerate({ retiredCopySec: 0 })
    expect(await one.manager.peek('sid')).toBeUndefined()
    await session.release()
  })

  it.each([0, 5])('who waited for it finds it gone, or its copy: retiredCopySec %i', async (retiredCopySec) => {
    const one = await begun(retiredCopySec)
    const session = await one.manager.start<Data>('sid')
    const elsewhere = one.process()
    const waiting = [one, elsewhere].map(({ manager }) => manager.start<Data>('sid').catch((error: unknown) => error))
    await one.until(one.pause(50))
    await session.regenerate()
    for (const found of await one.until(Promise.all(waiting))) {
      if (retiredCopySec === 0) expect(found).toMatchObject({ code: 'LATCHKEY_SESSION_GONE' })
      else expect(found).toMatchObject({ id: 'sid', isReadOnly: true, data: { user: 'ada' } })
    }
    await session.release()
    expect(await one.manager.peek(session.id)).toEqual({ user: 'ada', cart: ['a'] })
  })

  it.each([
    ['was destroyed', 'LATCHKEY_SESSION_GONE', (one: World) => one.process().manager.store().destroy('sid')],
    ['lost its lock, and was changed', 'LATCHKEY_LOCK_LOST', overtake],
  ])('of which the old one %s in the meantime: that has won, and there is no new one', async (_what, code, meanwhile) => {
    for (const retiredCopySec of [0, 5]) {
      const one = await begun(retiredCopySec)
      const session = await one.manager.start<Data>('sid')
      await meanwhile(one)
      const before = await one.manager.peek('sid')
      one.wire.flights.splice(0)
      const error = await codeOf(session.regenerate())
      expect(['LATCHKEY_FENCED', code]).toContain(error)
      expect(await one.manager.peek('sid')).toEqual(before)
      const created = one.wire.flights.flat().find(({ op, key }) => op === 'add' && !key.endsWith('-lck'))
      expect(await one.get(created?.key ?? '')).toBe('')
      expect(await one.get(`${created?.key ?? ''}-lck`)).toBeUndefined()
      expect(await codeOf(session.save())).toBe('LATCHKEY_READ_ONLY')
      expect(one.manager.stats().held).toBe(0)
    }
  })

  it('when no server answers as the new one is stored: the old session goes on, and it can be tried again', async () => {
    const one = await begun(5)
    const session = await one.manager.start<Data>('sid')
    session.data.n = 1
    // The flight that stores and keeps the lock.
    one.wire.failNext({ kind: 'not-sent' }, 'cas', '-lck')
    expect(await one.until(codeOf(session.regenerate()))).toBe('LATCHKEY_SERVER_UNAVAILABLE')
    expect([session.id, session.isHeld, session.isReadOnly]).toEqual(['sid', true, false])
    await session.regenerate()
    await session.release()
    expect(await one.manager.peek(session.id)).toMatchObject({ n: 1 })
    expect(one.manager.stats().held).toBe(0)
  })

  it('when no server can be reached as the old one ends: it is as it was, and there is no new one', async () => {
    for (const retiredCopySec of [0, 5]) {
      const one = await begun(retiredCopySec)
      const session = await one.manager.start<Data>('sid')
      one.wire.failNext({ kind: 'not-sent' }, 'cad', 'sid-lck')
      one.wire.flights.splice(0)
      expect(await one.until(codeOf(session.regenerate()))).toBe('LATCHKEY_SERVER_UNAVAILABLE')
      expect(await one.manager.peek('sid')).toEqual({ user: 'ada', cart: ['a'] })
      const created = one.wire.flights.flat().find(({ op, key }) => op === 'add' && !key.endsWith('-lck'))
      expect(await one.get(created?.key ?? '')).toBe('')
      expect(await codeOf(session.save())).toBe('LATCHKEY_READ_ONLY')
    }
  })

  it('when no server answers as the old one ends, and it may have ended: it goes on under the new id', async () => {
    for (const retiredCopySec of [0, 5]) {
      const one = await begun(retiredCopySec)
      const session = await one.manager.start<Data>('sid')
      for (let times = 0; times < 3; times++) one.wire.failNext({ kind: 'lost-request' }, 'cad', 'sid-lck')
      await one.until(session.regenerate())
      expect(session.id).not.toBe('sid')
      expect(await one.manager.peek(session.id)).toEqual({ user: 'ada', cart: ['a'] })
      await session.release()
    }
  })

  it('when the answer is lost, and it had ended: that is found out, and it goes on', async () => {
    const one = await begun(5)
    const session = await one.manager.start<Data>('sid')
    one.wire.failNext({ kind: 'lost-reply' }, 'cad', 'sid-lck')
    await one.until(session.regenerate())
    await session.release()
    expect(await one.manager.peek(session.id)).toEqual({ user: 'ada', cart: ['a'] })
    expect((await one.manager.start('sid')).isReadOnly).toBe(true)
  })

  it('twice at once: the second finds the copy and may not', async () => {
    const one = await begun(5)
    const login = async (): Promise<string> => {
      const session = await one.manager.start<Data>('sid')
      await session.regenerate()
      await session.release()
      return session.id
    }
    const [first, second] = await one.until(Promise.allSettled([login(), login()]))
    expect(first).toMatchObject({ status: 'fulfilled' })
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'LATCHKEY_READ_ONLY', reason: 'retired' } })
  })
})

/** Another process takes the session, as after a lease that ran out while this one was stopped. */
async function overtake(one: World): Promise<void> {
  await one.evict('sess:sid-lck')
  await one.process().manager.run<Data>('sid', ({ data }) => void (data.n = 99))
}

describe('SessionStore.retire()', () => {
  it('is one flight, after it only close() is legal; a copy refuses everything but destroy()', async () => {
    const one = await begun()
    const store = one.manager.store()
    const text = await store.read('sid')
    expect(store.isRetired).toBe(false)
    one.wire.flights.splice(0)
    await store.retire('sid', 5)
    expect(opsOf(one)).toEqual([['cas', 'cad']])
    expect(await codeOf(store.write('sid', text))).toBe('LATCHKEY_MISUSE')
    await store.close()

    const late = one.manager.store()
    expect(await late.validateId('sid')).toBe(true)
    expect(await late.read('sid')).toBe(text)
    expect([late.isRetired, late.isHeld]).toEqual([true, false])
    expect(await one.get('sess:sid-lck')).toBeUndefined()
    const refused = [() => late.write('sid', ''), () => late.save('sid', ''), () => late.updateTimestamp('sid', text), () => late.retire('sid', 5)]
    for (const call of refused) expect(await codeOf(call())).toBe('LATCHKEY_READ_ONLY')
    await late.destroy('sid')
    expect(await late.peek('sid')).toBe('')
    await late.close()
  })

  it('of a session that was never stored leaves nothing', async () => {
    const one = await begun()
    const store = one.manager.store()
    await store.read('new')
    await store.retire('new', 5)
    await store.close()
    expect(await one.manager.peek('new')).toBeUndefined()
    expect(await codeOf(one.manager.store().retire('other', 5))).toBe('LATCHKEY_MISUSE')
  })
})
