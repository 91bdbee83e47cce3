import { expect, it } from 'vitest'
import { playsAllRows, rowsOf } from '../../support/matrix.js'
import { weaken } from '../bundle.js'
import { bundled, firstFlaw } from '../plays.js'
import type * as LateWrite from './late-write.js'
import { addsRecords, mutants } from './mutants.js'
import type * as Plays from './play.js'

const playsOf = bundled<typeof Plays>('replicated', new URL('./play.ts', import.meta.url))

it('sessions on three and five nodes under lost and late flights, pauses, partitions, and nodes that come back empty: nothing acknowledged is lost', async () => {
  const { play } = await playsOf()
  expect(await firstFlaw(play, { firstSeed: 1, runs: playsAllRows ? 20 : 10 })).toBeUndefined()
})

it.each([...mutants, addsRecords].map((mutant) => [mutant.name, mutant] as const))('the mutant %s still fits', async (_name, mutant) => {
  await expect(weaken(mutant)).resolves.toBeDefined()
})

/** Those that are seen soon; all of them are played by `npm run simulate -- --replicated`. */
const PLAIN = ['oneNameForAll', 'resolvedByReading']

it.each(rowsOf(mutants.filter(({ name }) => PLAIN.includes(name))).map((mutant) => [mutant.name, mutant] as const))('the mutant %s is caught', async (_name, mutant) => {
  const { play } = await playsOf(mutant)
  expect(await firstFlaw(play, { firstSeed: 1, runs: 400 })).toMatch(/^seed /)
})

it('a write that is carried out late, where the session was evicted meanwhile, does not pass for the session; the mutant addsRecords is caught', async () => {
  const storyOf = bundled<typeof LateWrite>('late-write', new URL('./late-write.ts', import.meta.url))
  expect(await (await storyOf()).playLateWrite()).toBeUndefined()
  expect(await (await storyOf(addsRecords)).playLateWrite()).toBe('the session was read as it was before: {"version":1}')
})
