/** `ifExists`: only a session that is stored. What a worker does with an id whose session may have ended. */
import { SessionManager, type StartOptions } from 'latchkey'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { TapWire } from '../adapters/express/tap-wire.js'

let wire: TapWire
let manager: SessionManager
beforeEach(() => {
  wire = new TapWire()
  manager = new SessionManager({ wire })
})
afterEach(() => manager.close())

const GONE = { code: 'LATCHKEY_SESSION_GONE', session: expect.any(String) as string }
const changed = (options: StartOptions): Promise<void> =>
  manager.run('sid', ({ data }) => void (data['n'] = 1), options)

describe.each([false, true])('ifExists, readOnly: %s', (readOnly) => {
  const options = { ifExists: true, readOnly }

  it('takes the session that is stored, in as many flights as without', async () => {
    await changed({})
    wire.flights.splice(0)
    const session = await manager.start('sid', options)
    expect([session.id, session.isNew, session.data]).toEqual(['sid', false, { n: 1 }])
    expect(wire.flights).toHaveLength(1)
    await session.abort()
  })

  it.each([
    ['that never was', 'sid'],
    ['no key can be made of', 'with space'],
  ])('under an id %s: LATCHKEY_SESSION_GONE, the work is not called, nothing is held or stored', async (_what, id) => {
    const work = vi.fn()
    await expect(manager.run(id, work, options)).rejects.toMatchObject(GONE)
    await expect(manager.start(id, options)).rejects.toMatchObject(GONE)
    expect(work).not.toHaveBeenCalled()
    expect([await manager.peek('sid'), manager.stats().held, await manager.holder('sid')]).toEqual([undefined, 0, undefined])
  })

  it('after a destroy(), whose tombstone is still there', async () => {
    await changed({})
    await manager.store().destroy('sid')
    await expect(manager.start('sid', options)).rejects.toMatchObject(GONE)
  })
})

it('of a session that ends while the worker waits for it: the same code', async () => {
  await changed({})
  const holder = await manager.start('sid')
  const waiting = changed({ ifExists: true })
  waiting.catch(() => undefined)
  await expect.poll(() => manager.stats().waiting).toBe(1)
  await holder.destroy()
  await expect(waiting).rejects.toMatchObject({ code: 'LATCHKEY_SESSION_GONE' })
})

describe('what makes no sense is refused before anything is sent', () => {
  it.each([
    ['ifExists without an id', undefined, { ifExists: true }, /no id was given/],
    ['ifExists and strict', 'sid', { ifExists: true, strict: true }, /give one of them/],
    ['ifExists that is no boolean', 'sid', { ifExists: 'no' }, /ifExists is 'no' \(a string\); it must be true or false/],
    ['readOnly that is no boolean', 'sid', { readOnly: 1 }, /readOnly is 1; it must be true or false/],
    ['another name', 'sid', { ifexists: true }, /Did you mean "ifExists"/],
  ])('%s', async (_what, id, options, message) => {
    const starting: unknown = Reflect.apply(manager.start.bind(manager), undefined, [id, options])
    await expect(starting).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_OPTION', message: expect.stringMatching(message) as string })
    expect(wire.flights).toEqual([])
  })
})
