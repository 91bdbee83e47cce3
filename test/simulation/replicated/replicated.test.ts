import { expect, it } from 'vitest'
import { weaken } from '../bundle.js'
import { firstFlaw, mutantsOf } from '../plays.js'
import { mutants } from './mutants.js'
import * as shipped from './play.js'

const mutated = mutantsOf<typeof shipped>('replicated', new URL('./play.ts', import.meta.url))

it('sessions on three and five nodes under lost and late flights, pauses, partitions, and nodes that come back empty: nothing acknowledged is lost', async () => {
  expect(await firstFlaw(shipped.play, { firstSeed: 1, runs: 20 })).toBeUndefined()
})

it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('the mutant %s still fits', async (_name, mutant) => {
  await expect(weaken(mutant)).resolves.toBeDefined()
})

/** Those that are seen soon; all of them are played by `npm run simulate -- --replicated`. */
const PLAIN = ['oneNameForAll']

it.each(mutants.filter(({ name }) => PLAIN.includes(name)).map((mutant) => [mutant.name, mutant] as const))('the mutant %s is caught', async (_name, mutant) => {
  const { play } = await mutated(mutant)
  expect(await firstFlaw(play, { firstSeed: 1, runs: 400 })).toMatch(/^seed /)
})
