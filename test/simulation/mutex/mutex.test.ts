import { expect, it } from 'vitest'
import { playsAllRows, rowsOf } from '../../support/matrix.js'
import type { Mutant } from '../mutants.js'
import { bundled, firstFlaw } from '../plays.js'
import type * as Plays from './play.js'

const firstSeed = 1
const runs = playsAllRows ? 300 : 100
const playsOf = bundled<typeof Plays>('mutex', new URL('./play.ts', import.meta.url))

it('a named lock under lost and late flights, pauses, and a server that forgets: one holder, tokens that grow, nothing that is guarded is lost', async () => {
  const { play } = await playsOf()
  expect(await firstFlaw(play, { firstSeed, runs })).toBeUndefined()
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

it.each(rowsOf(MUTANTS, 2).map((mutant) => [mutant.name, mutant] as const))('the mutant %s is caught', async (_name, mutant) => {
  const { play } = await playsOf(mutant)
  expect(await firstFlaw(play, { firstSeed, runs: 2000 })).toMatch(/^seed /)
})
