import { expect, it } from 'vitest'
import { World } from '../support/world.js'

it('a page of 150 pictures that a browser asks for at once: with the defaults nobody is refused', async () => {
  const world = new World()
  const { manager } = world.process()
  const asks = Array.from({ length: 151 }, () =>
    manager.run<{ n: number }>('sid', async ({ data }) => {
      await world.pause(20)
      data.n = (data.n ?? 0) + 1
    }),
  )
  await world.until(Promise.all(asks))
  expect(await manager.peek('sid')).toEqual({ n: 151 })
})
