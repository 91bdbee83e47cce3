import { expect, it } from 'vitest'
import { firstFlaw } from '../plays.js'
import { play } from './play.js'

it('sessions on three and five nodes under lost and late flights, pauses, partitions, and nodes that come back empty: nothing acknowledged is lost', async () => {
  expect(await firstFlaw(play, { firstSeed: 1, runs: 40 })).toBeUndefined()
})
