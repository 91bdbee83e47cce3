import { AsyncResource } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { collectGarbage } from '../support/garbage.js'
import { carriedStorages } from '../support/storages.js'
import { World } from '../support/world.js'

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : '')

it.each(['run', 'start', 'lock'] as const)('a %s() within a run() of the same id is told at once', async (how) => {
  const world = new World()
  const { manager } = world.process()
  const startedMs = world.clock.nowMs()
  const again = (): Promise<unknown> => (how === 'run' ? manager.run('sid', () => undefined) : manager[how]('sid'))
  const nested = manager.run('sid', () => manager.run('another', again))
  expect(await nested.catch((error: unknown) => error)).toMatchObject({ code: 'LATCHKEY_MISUSE' })
  expect(world.clock.nowMs()).toBe(startedMs)
})

it('within a run() another session, a released one, a look, and what begins after it are as ever', async () => {
  const { manager } = new World().process()
  let later: () => Promise<void> = () => Promise.resolve()
  await manager.run('sid', async (session) => {
    session.data['n'] = 1
    await manager.run('another', () => undefined)
    await manager.start('sid', { readOnly: true })
    await session.release()
    await manager.run('sid', (again) => {
      expect(again.data['n']).toBe(1)
    })
    later = () => manager.run('sid', () => undefined)
  })
  await later()
})

it('start() within start(): the error says, when the wait is over, that this process waits for itself', async () => {
  const world = new World()
  const { manager } = world.process()
  const session = await manager.start('sid')
  const told = await world.until(manager.start('sid').catch((error: unknown) => error))
  expect(told).toMatchObject({ code: 'LATCHKEY_LOCK_TIMEOUT' })
  expect(messageOf(told)).toContain('waits for itself')
  await session.abort()
})

it('a wait for another process says nothing of that', async () => {
  const world = new World()
  const session = await world.process().manager.start('sid')
  const told = await world.until(world.process({ waitMs: 100 }).manager.start('sid').catch((error: unknown) => error))
  expect(told).toMatchObject({ code: 'LATCHKEY_LOCK_TIMEOUT' })
  expect(messageOf(told)).not.toContain('waits for itself')
  await session.abort()
})

it('managers that have called run() cost the promises of the process nothing', async () => {
  const world = new World()
  const runOfOne = (): Promise<void> => world.process().manager.run('sid', () => undefined)
  await runOfOne()
  const before = carriedStorages()
  for (let manager = 0; manager < 20; manager++) await runOfOne()
  expect(carriedStorages()).toBe(before)
})

it('of runs that set each other off, those that have ended are not kept', async () => {
  const { manager } = new World().process()
  const sessions: WeakRef<object>[] = []
  const begin = (): Promise<void> =>
    manager.run(undefined, (session) => {
      sessions.push(new WeakRef(session))
      goOn = AsyncResource.bind(begin)
    })
  let goOn = begin
  for (let turn = 0; turn < 20; turn++) await goOn()
  await setImmediate()
  collectGarbage()
  expect(sessions.filter((session) => session.deref() !== undefined).length).toBeLessThan(5)
})
