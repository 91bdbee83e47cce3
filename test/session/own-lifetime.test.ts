/** `session.lifetimeSec`: a lifetime that is kept with the session, whoever stores it next. */
import { SessionManager } from 'latchkey'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { TapWire } from '../adapters/express/tap-wire.js'

let wire: TapWire
let manager: SessionManager
beforeEach(() => {
  wire = new TapWire()
  manager = new SessionManager({ wire, lifetimeSec: 100 })
})
afterEach(() => manager.close())

const ttls = (): number[] =>
  wire.flights.splice(0).flatMap((commands) => commands.flatMap((one) => ('ttlSec' in one && !one.key.endsWith('-lck') ? [one.ttlSec] : [])))

it('is kept with the session, goes before the option, and is no part of its data', async () => {
  await manager.run('sid', (session) => {
    session.data['user'] = 'ada'
    session.lifetimeSec = 5000
  })
  expect(ttls()).toEqual([5000])
  // Unchanged: only prolonged.
  await manager.run('sid', ({ data, lifetimeSec }) => void expect([data, lifetimeSec]).toEqual([{ user: 'ada' }, 5000]), { lifetimeSec: 60 })
  const [, last] = wire.flights
  expect([last?.map(wire.names.of), ttls()]).toEqual([['touch', 'cad'], [5000]])
  const session = await manager.start('sid')
  await session.save()
  await session.regenerate()
  session.lifetimeSec = undefined
  ttls()
  await session.release()
  expect(ttls()).toEqual([100])
  expect(() => (session.lifetimeSec = 5)).toThrow(expect.objectContaining({ code: 'LATCHKEY_READ_ONLY' }) as Error)
  expect(await manager.peek(session.id)).toEqual({ user: 'ada' })
})

it('is found by who only reads', async () => {
  await manager.run('sid', (session) => void (session.lifetimeSec = 5000))
  const session = await manager.start('sid', { readOnly: true })
  expect([session.lifetimeSec, session.data, await manager.peek('sid')]).toEqual([5000, {}, {}])
})

it.each([NaN, 0, -1, Infinity, '60', null])('%s is refused at once', async (wrong) => {
  await manager.run('sid', (session) => {
    expect(() => Object.assign(session, { lifetimeSec: wrong })).toThrow(expect.objectContaining({ code: 'LATCHKEY_INVALID_OPTION' }) as Error)
  })
})

it('data that has no place for it is refused, and a name that looks like it is data', async () => {
  await expect(
    manager.run('sid', (session) => {
      session.lifetimeSec = 5
      Object.assign(session, { data: ['a list'] })
    }),
  ).rejects.toMatchObject({ code: 'LATCHKEY_UNSERIALIZABLE' })
  await manager.run('other', ({ data }) => void (data['_lifetimeSec'] = 'long'))
  expect(await manager.peek('other')).toEqual({ _lifetimeSec: 'long' })
})
