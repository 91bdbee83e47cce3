import { rmSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { bundleOf } from '../bundle.js'
import type { Mutant } from '../mutants.js'
import * as shipped from './play.js'

const FIRST_SEED = 1
const RUNS = 300
const PLAY = fileURLToPath(new URL('./play.ts', import.meta.url))
const BUNDLES = fileURLToPath(new URL(`../../../.cache/simulation-mutex-${String(process.pid)}/`, import.meta.url))

afterAll(() => {
  rmSync(BUNDLES, { recursive: true, force: true })
})

/** The first thing that is wrong in so many runs. */
async function firstFlaw(play: typeof shipped.play, runs: number): Promise<string | undefined> {
  for (let run = 0; run < runs; run++) {
    const flaw = await play(FIRST_SEED + run)
    if (flaw !== undefined) return flaw
  }
  return undefined
}

it('a named lock under lost and late flights, pauses, and a server that forgets: one holder, tokens that grow, nothing that is guarded is lost', async () => {
  expect(await firstFlaw(shipped.play, RUNS)).toBeUndefined()
})

const one = (name: string, flaw: string, find: string, replace: string): Mutant => ({ name, flaw, edits: [{ find, replace }] })

const MUTANTS: readonly Mutant[] = [
  one('tokenNotStored', 'A token is given before the server counts it.', `await this.handle.save(String(number), COUNTED_SEC)`, ``),
  one(
    'tokenOfTheClock',
    'Tokens are of the clock alone, and the clocks of two hosts differ.',
    `Math.max(numberIn(this.handle.record) + 1, this.room.clock.wallMs())`,
    `this.room.clock.wallMs()`,
  ),
  one(
    'tokenOfTheCount',
    'Tokens are counted alone, and begin again when the server has lost the count.',
    `Math.max(numberIn(this.handle.record) + 1, this.room.clock.wallMs())`,
    `numberIn(this.handle.record) + 1`,
  ),
  one('triesWait', 'tryLock() waits.', `if (waiter.triesOnce) return this.refuse(waiter, this.timeoutOf(waiter, this.context.clock.nowMs()))`, ``),
  one(
    'goneWithItsCount',
    'Whoever waits for a lock whose count is evicted is refused, as for a session that is gone.',
    `this.context.dialect.isBoundToRecord && !lock.hasRecord`,
    `!lock.hasRecord`,
  ),
  one('lossUntold', 'run() says nothing of a lock that was lost while the work ran.', `if (hold.isLost) throw lost(name)`, ``),
]

it.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('the mutant %s is caught', async (_name, mutant) => {
  const outfile = `${BUNDLES}${mutant.name}.mjs`
  await bundleOf(PLAY, outfile, mutant)
  const { play } = (await import(pathToFileURL(outfile).href)) as typeof shipped
  expect(await firstFlaw(play, 2000)).toMatch(/^seed /)
})
