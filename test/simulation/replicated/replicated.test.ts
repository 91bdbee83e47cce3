import { expect, it } from 'vitest'
import { weaken } from '../bundle.js'
import { bundled, firstFlaw } from '../plays.js'
import { mutants } from './mutants.js'
import type * as Plays from './play.js'

const playsOf = bundled<typeof Plays>('replicated', new URL('./play.ts', import.meta.url))

it('sessions on three and five nodes under lost and late flights, pauses, partitions, and nodes that come back empty: nothing acknowledged is lost', async () => {
  const { play } = await playsOf()
  expect(await firstFlaw(play, { firstSeed: 1, runs: 20 })).toBeUndefined()
})

it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('the mutant %s still fits', async (_name, mutant) => {
  await expect(weaken(mutant)).resolves.toBeDefined()
})

/** Those that are seen soon; all of them are played by `npm run simulate -- --replicated`. */
const PLAIN = ['oneNameForAll', 'resolvedByReading']

it.each(mutants.filter(({ name }) => PLAIN.includes(name)).map((mutant) => [mutant.name, mutant] as const))('the mutant %s is caught', async (_name, mutant) => {
  const { play } = await playsOf(mutant)
  expect(await firstFlaw(play, { firstSeed: 1, runs: 400 })).toMatch(/^seed /)
})
