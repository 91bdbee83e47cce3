/**
 * Real faults of one of three nodes, and of two: hook x fault, as on one memcached. Writes its tables to .cache/replicated-faults-*.md.
 *
 * One: whatever it does, everybody is served, and nothing is lost. Two: refused, or not known; what is acknowledged all the same is there.
 */
import { describe, expect, it } from 'vitest'
import { HOOKS } from '../faults/all-hooks.js'
import { type FaultKind, FAULTS } from '../faults/fault-kinds.js'
import type { HookKind } from '../faults/hooks.js'
import { playedMatrix } from '../faults/played-matrix.js'
import { onNodes, ReplicatedGround } from '../faults/replicated-ground.js'

const [OK, UNAVAILABLE, UNKNOWN, LOST, GONE] = ['ok', 'SERVER_UNAVAILABLE', 'OUTCOME_UNKNOWN', 'LOCK_LOST', 'SESSION_GONE'] as const

const served = (): readonly string[] => [OK]

/** While two of three do not answer nobody is served; else who comes again may be. */
const refused = ({ nature }: HookKind, { seen, lasts, empties }: FaultKind): readonly string[] => {
  if (seen === 'answer' || nature === 'lets go') return [OK]
  const changes = nature === 'acquires' || nature === 'looks' ? [UNAVAILABLE] : [UNAVAILABLE, UNKNOWN, LOST, GONE]
  return lasts && empties !== 'before' ? changes : [OK, ...changes]
}

describe.each([
  [1, 'one', served],
  [2, 'two', refused],
] as const)('hook x fault on %i of three nodes', (count, file, expected) => {
  const matrix = playedMatrix({
    lay: () => ({ ground: new ReplicatedGround(), hooks: HOOKS, faults: FAULTS.map((fault) => onNodes(count, fault, (hook) => expected(hook, fault))) }),
    file: `.cache/replicated-faults-${file}.md`,
  })

  it.each(HOOKS.map(({ name }) => name))('%s', (hook) => {
    expect(matrix.flawsOf('three nodes', hook)).toEqual([])
  })

  it('no cell is empty', () => {
    const { all, played } = matrix.keys
    expect(played).toEqual(all)
  })
})
