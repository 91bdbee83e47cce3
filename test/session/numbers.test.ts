/** Numbers and names that come with a call are checked before the work, and before anything is sent. */
import { SessionManager } from 'latchkey'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { World } from '../support/world.js'

const manager = new SessionManager()
afterAll(() => manager.close())

/** As plain JavaScript would call it. */
const call = (method: 'run' | 'start' | 'close', ...args: unknown[]): Promise<unknown> =>
  Promise.resolve(Reflect.apply(manager[method], manager, args))

describe('the lifetime of a call', () => {
  it('a lifetime is refused when a session is read again, too', async () => {
    const store = new World().process().manager.store()
    await store.read('sid')
    await expect(store.read('sid', { lifetimeSec: 0 })).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_OPTION' })
    await store.close()
  })

  it.each([0, -5, Number.NaN, Infinity, '60', null, 4e9])('%j is refused before the work', async (lifetimeSec) => {
    const work = vi.fn()
    await expect(call('run', 'sid', work, { lifetimeSec })).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_OPTION' })
    await expect(call('start', 'sid', { lifetimeSec })).rejects.toThrow(/lifetimeSec is/)
    expect(work).not.toHaveBeenCalled()
    expect(manager.stats().flights).toBe(0)
  })
})

describe('the name of an option', () => {
  it.each([
    ['readonly', 'readOnly'],
    ['lifetime', 'lifetimeSec'],
    ['labels', 'label'],
  ])('%s is refused, and %s is what was meant', async (name, meant) => {
    await expect(call('start', 'sid', { [name]: true })).rejects.toThrow(`There is no option "${name}". Did you mean "${meant}"?`)
  })

  it('is refused by the manager as well', () => {
    const make = (): unknown => Reflect.construct(SessionManager, [{ lifeTimeSecs: 5 }])
    expect(make).toThrow('There is no option "lifeTimeSecs". Did you mean "lifetimeSec"?')
  })
})

describe('close({ graceMs })', () => {
  it.each([Infinity, Number.NaN, -1, '5000', 2 ** 31])('%j is refused, and the manager stays open', async (graceMs) => {
    await expect(call('close', { graceMs })).rejects.toMatchObject({ code: 'LATCHKEY_INVALID_OPTION' })
    await manager.run('sid', () => undefined)
  })
})

it('a timer over the limit of setTimeout does not fire at once', () => {
  vi.useFakeTimers()
  const fire = vi.fn()
  const timer = systemClock.setTimer(fire, 2 ** 40)
  vi.advanceTimersByTime(1000)
  expect(fire).not.toHaveBeenCalled()
  timer.cancel()
  vi.useRealTimers()
})
