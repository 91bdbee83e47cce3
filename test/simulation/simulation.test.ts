import { describe, expect, it } from 'vitest'
import { playsAllRows, rowsOf } from '../support/matrix.js'
import { weaken } from './bundle.js'
import { mutants } from './mutants.js'
import { freshSeed, simulate } from './pool.js'
import { describeFailure, isCrash } from './report.js'
import { run } from './run.js'

const WORKERS = 2
const RUNS = playsAllRows ? 2000 : 150

describe('the simulation', () => {
  // Known seeds show what a change has broken. Fresh seeds, different each time, show what nobody has seen yet.
  it.each([
    ['known', 1, RUNS],
    ['fresh', freshSeed(), RUNS],
  ])('finds nothing wrong with the shipped code, %s runs, from seed %i on', { timeout: 300_000 }, async (_which, firstSeed, runs) => {
    const { failures, operations, acknowledged } = await simulate({ firstSeed, runs, workers: WORKERS })
    expect(failures.map(describeFailure)).toEqual([])
    expect(acknowledged).toBeGreaterThan(operations / 2)
  })

  it('repeats a run from its seed, to the last line of the timeline', async () => {
    for (const seed of [2, 19, 108]) {
      const first = await run(seed, true)
      const second = await run(seed, true)
      expect(first.timeline.split('\n').length).toBeGreaterThan(50)
      expect(second.timeline).toBe(first.timeline)
    }
  })

  it.each(rowsOf(['writeWithoutCas', 'blindDeleteOnRelease', 'ttlOffByOne']))('catches %s', { timeout: 300_000 }, async (name) => {
    const mutant = mutants.find((one) => one.name === name)
    expect(mutant).toBeDefined()
    const { failures } = await simulate({ firstSeed: 1, runs: 2000, workers: WORKERS, mutant })
    expect(failures.flatMap(({ rules }) => rules).filter((rule) => !isCrash(rule))).not.toEqual([])
  })

  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s still fits the code', async (_name, mutant) => {
    expect((await weaken(mutant)).size).toBeGreaterThan(0)
  })

  it('refuses a mutant whose text no longer stands in the code', async () => {
    const mutant = { name: 'outdated', flaw: '', edits: [{ find: 'no such text', replace: '' }] }
    await expect(simulate({ firstSeed: 1, runs: 1, workers: 1, mutant })).rejects.toThrow('its text stands 0 times')
  })
})
