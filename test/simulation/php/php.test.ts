import { expect, it } from 'vitest'
import { playsAllRows, rowsOf } from '../../support/matrix.js'
import type { Mutant } from '../mutants.js'
import { bundled, firstFlaw } from '../plays.js'
import type * as Plays from './play.js'

const firstSeed = 20_261_128
const runs = playsAllRows ? 150 : 30
const playsOf = bundled<typeof Plays>('php', new URL('./play.ts', import.meta.url))

it('PHP and Node on two nodes, with lost, late and refused legs: what was acknowledged stays, once, and what was refused is not there', async () => {
  const { play } = await playsOf()
  expect(await firstFlaw(play, { firstSeed, runs })).toBeUndefined()
})

const MUTANTS: readonly Mutant[] = [
  {
    name: 'legsAtOnce',
    flaw: 'The record is read while the lock is asked for, and may be read before it was taken.',
    edits: [
      {
        find: `  const replies: Reply[] = []
  const sendFrom = (index: number): void => {
    const leg = legs[index]`,
        replace: `  const all = legs.map((): Reply[] => [])
  let due = legs.length
  let isOver = false
  legs.forEach((leg, index) => sendLeg(leg, {
    landed(more) {
      all[index] = more
      due--
      if (due === 0 && !isOver) receiver.landed(all.flat())
    },
    failed(error) {
      if (!isOver) receiver.failed(failureOf(error, legs.filter((other) => other !== leg)))
      isOver = true
    },
  }))
  const replies: Reply[] = []
  const sendFrom = (index: number): void => {
    if (all.length > 0) return
    const leg = legs[index]`,
      },
    ],
  },
  {
    name: 'secondLegForNo',
    flaw: 'A second leg that was not sent makes the flight one that was not sent, although the first leg was carried out.',
    edits: [
      {
        find: `if (!hasChanged || !(error instanceof FlightError) || error.outcome === 'unknown') return error`,
        replace: `if (!hasChanged || !(error instanceof FlightError)) return error\n  if (hasChanged) return new FlightError('not-sent', error.message)`,
      },
    ],
  },
  {
    name: 'blindDeletion',
    flaw: 'A session is deleted whatever its record is by then: carried out late, it deletes what has begun since.',
    edits: [
      {
        find: `if (change.kind === 'delete') return cas === undefined ? { op: 'get', key } : { op: 'cad', key, cas }`,
        replace: `if (change.kind === 'delete') return cas === undefined ? { op: 'get', key } : { op: 'delete', key }`,
      },
    ],
  },
]

const NO_STAND_BACK: Mutant = {
  name: 'noStandBack',
  flaw: 'A session that Node asks for all the time is never left to PHP.',
  edits: [
    {
      find: `  end(): TurnEnd | undefined {
    if (this.leftNowMs > 0) return undefined`,
      replace: `  end(): TurnEnd | undefined {
    if (this.turnMs > 0) return undefined`,
    },
  ],
}

const A_TURN_EACH: readonly Mutant[] = [
  {
    name: 'turnOfItsOwn',
    flaw: 'A process reads that a turn of ours goes on, and begins one of its own all the same.',
    edits: [{ find: 'this.leftMs = Math.min(word.leftMs, this.turnMs)', replace: 'if (word.leftMs > 0) return' }],
  },
  {
    name: 'forgottenTurn',
    flaw: 'What a process knows of the turn ends with its queue.',
    edits: [{ find: 'return this.nowMs - Math.max(this.metAtMs, this.restsUntilMs) < REMEMBERED_MS', replace: 'return false' }],
  },
]

it.each(rowsOf(MUTANTS).map((mutant) => [mutant.name, mutant] as const))('the mutant %s is caught', async (_name, mutant) => {
  const { play } = await playsOf(mutant)
  expect(await firstFlaw(play, { firstSeed, runs: 2000 })).toMatch(/^seed /)
})

it('PHP has its turns beside a crowd of Node; without standing back it has none', async () => {
  const [shipped, mutated] = await Promise.all([playsOf(), playsOf(NO_STAND_BACK)])
  expect(await firstFlaw(shipped.playCrowd, { firstSeed, runs: 5 })).toBeUndefined()
  expect(await mutated.playCrowd(firstSeed)).toMatch(/PHP had \d turns/)
})

it('Node and PHP have a share each, where no process of Node has more than one request', async () => {
  const { playShares } = await playsOf()
  expect(await firstFlaw(playShares, { firstSeed, runs: 5 })).toBeUndefined()
})

it.each(rowsOf(A_TURN_EACH).map((mutant) => [mutant.name, mutant] as const))('the mutant %s is caught', async (_name, mutant) => {
  const { playShares } = await playsOf(mutant)
  expect(await firstFlaw(playShares, { firstSeed, runs: 5 })).toMatch(/Node had \d+ turns, PHP \d+/)
})
