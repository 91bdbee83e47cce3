import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { World } from '../support/world.js'

describe('manager.locks()', () => {
  it('is what this process holds, longest first, with who waits and what is left of the lease', async () => {
    const world = new World()
    const { manager } = world.process({ leaseSec: 15 })
    const other = world.process()
    expect(manager.locks()).toEqual([])
    const first = await world.until(manager.start('first', { label: 'GET /a' }))
    const sinceMs = world.clock.wallMs()
    await world.until(world.pause(1000))
    const second = await world.until(manager.start('second'))
    const elsewhere = await world.until(other.manager.start('elsewhere'))
    const waiting = manager.start('first', { label: 'GET /b' })
    const session = expect.stringMatching(/^[0-9a-f]{12}$/) as string
    expect(manager.locks()).toEqual([
      { session, label: 'GET /a', sinceMs, heldMs: 1000, leaseLeftMs: 13_000, waiting: 1 },
      { session, label: undefined, sinceMs: sinceMs + 1000, heldMs: 0, leaseLeftMs: 14_000, waiting: 0 },
    ])
    expect(JSON.stringify(manager.locks())).not.toMatch(/first|second/)
    await world.until(first.release())
    const next = await world.until(waiting)
    expect(manager.locks()).toMatchObject([{ label: 'GET /b', heldMs: 0, waiting: 0 }, { label: undefined }])
    await world.until(Promise.all([next.release(), second.release(), elsewhere.release()]))
    expect(manager.locks()).toEqual([])
  })

  it('is renewed with the lease, and empty of what was lost', async () => {
    const world = new World()
    const { manager } = world.process({ leaseSec: 3, maxHoldMs: 10_000 })
    const session = await world.until(manager.start('id'))
    session.data['late'] = true
    await world.until(world.pause(9000))
    expect(manager.locks()).toMatchObject([{ heldMs: 9000 }])
    expect(manager.locks()[0]?.leaseLeftMs).toBeGreaterThan(0)
    await world.until(world.pause(2000))
    expect(manager.locks()).toEqual([])
    await expect(world.until(session.release())).rejects.toMatchObject({ code: 'LATCHKEY_HELD_TOO_LONG' })
  })

  it('is empty without locking', async () => {
    const manager = new SessionManager({ locking: false })
    await manager.start('id')
    expect(manager.locks()).toEqual([])
  })
})

it('peekText() and destroy() take no lock: a look shows what is stored, and whoever holds a destroyed session is fenced', async () => {
  const { manager } = new World().process()
  const held = await manager.lock('sid')
  await held.save('one')
  expect([await manager.peekText('sid'), await manager.peekText('none')]).toEqual(['one', ''])
  await manager.destroy('sid')
  await expect(held.commit('two')).rejects.toMatchObject({ code: 'LATCHKEY_SESSION_GONE' })
  await held.release()
  expect(await manager.peekText('sid')).toBe('')
  await expect(manager.destroy('not an id')).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_ID' })
})
