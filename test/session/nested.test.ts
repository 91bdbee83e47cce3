import { expect, it } from 'vitest'
import { World } from '../support/world.js'

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : '')

it('a run() within a run() of the same id: the error says that this process waits for itself', async () => {
  const world = new World()
  const { manager } = world.process()
  const nested = manager.run('sid', () => manager.run('sid', () => undefined))
  const told = await world.until(nested.catch((error: unknown) => error))
  expect(told).toMatchObject({ code: 'LATCHKEY_LOCK_TIMEOUT' })
  expect(messageOf(told)).toContain('waits for itself')
})

it('a wait for another process says nothing of that', async () => {
  const world = new World()
  const session = await world.process().manager.start('sid')
  const told = await world.until(world.process({ waitMs: 100 }).manager.start('sid').catch((error: unknown) => error))
  expect(told).toMatchObject({ code: 'LATCHKEY_LOCK_TIMEOUT' })
  expect(messageOf(told)).not.toContain('waits for itself')
  await session.abort()
})
