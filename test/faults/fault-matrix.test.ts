/** Every hook under one fault of each kind, over TCP. The whole product is in test/long/fault-matrix.test.ts. */
import { beforeAll, describe, expect, it } from 'vitest'
import { QUICK_FAULTS } from './fault-kinds.js'
import { HOOKS } from './all-hooks.js'
import { cellKey, Matrix } from './matrix.js'
import { ServerGround } from './server-ground.js'

describe('every hook settles in time, with the truth, under every kind of fault', () => {
  let matrix: Awaited<ReturnType<typeof play>>
  const play = async () => Matrix.play({ ground: await ServerGround.lay(['tcp text']), hooks: HOOKS, faults: QUICK_FAULTS })
  beforeAll(async () => {
    matrix = await play()
  }, 60_000)

  const cells = HOOKS.flatMap((hook) => QUICK_FAULTS.map((fault) => [hook.name, fault.name] as const))
  it.each(cells)('%s: %s', (hook, fault) => {
    const result = matrix.results.get(cellKey('tcp text', hook, fault))
    expect(result?.wrong).toEqual([])
    expect(result?.odd).toEqual([])
  })

  it('no cell is empty', () => {
    expect([...matrix.results.keys()].sort()).toEqual([...matrix.cells].sort())
  })
})
