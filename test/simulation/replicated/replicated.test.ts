import { expect, it } from 'vitest'
import { playsAllRows, rowsOf } from '../../support/matrix.js'
import { weaken } from '../bundle.js'
import { bundled, firstFlaw } from '../plays.js'
import { mutants } from './mutants.js'
import type * as Plays from './play.js'
import type * as Stories from './stories.js'
import { stories } from './stories.js'

const playsOf = bundled<typeof Plays>('replicated', new URL('./play.ts', import.meta.url))

it('sessions on three and five nodes under lost and late flights, pauses, partitions, and nodes that come back empty: nothing acknowledged is lost', async () => {
  const { play } = await playsOf()
  expect(await firstFlaw(play, { firstSeed: 1, runs: playsAllRows ? 20 : 10 })).toBeUndefined()
})

it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('the mutant %s still fits', async (_name, mutant) => {
  await expect(weaken(mutant)).resolves.toBeDefined()
})

/** Those that are seen soon; all of them are played by `npm run simulate -- --replicated`. */
const PLAIN = ['resolvedByReading']
/** The first run that shows them. A change of the code may shift it: then a later one does. */
const SHOWS = 18

it.each(rowsOf(mutants.filter(({ name }) => PLAIN.includes(name))).map((mutant) => [mutant.name, mutant] as const))('the mutant %s is caught', async (_name, mutant) => {
  const { play } = await playsOf(mutant)
  expect(await firstFlaw(play, { firstSeed: SHOWS, runs: 400 })).toMatch(/^seed /)
})

const storiesOf = bundled<typeof Stories>('stories', new URL('./stories.ts', import.meta.url))

it.each(Object.entries(stories))('the story of %s ends well', async (_name, tell) => {
  expect(await tell()).toBeUndefined()
})

it.each(rowsOf(Object.keys(stories), 3))('in its story the mutant %s loses something', async (name) => {
  const weak = await storiesOf(mutants.find((mutant) => mutant.name === name))
  expect(await weak.stories[name]?.()).toMatch(/^\w+ acknowledged, and found \[|^destroyed, and found \[|^the session could not be had/)
})
