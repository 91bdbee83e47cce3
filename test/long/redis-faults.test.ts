/** Real faults on a real Redis: hook x fault, as on memcached. Writes its table to .cache/redis-faults.md. */
import { describe, expect, it } from 'vitest'
import { HOOKS } from '../faults/all-hooks.js'
import { type FaultKind, FAULTS as ALL_FAULTS } from '../faults/fault-kinds.js'
import { playedMatrix } from '../faults/played-matrix.js'
import { ServerGround } from '../faults/server-ground.js'
import { hasRedis } from '../support/redis-server.js'

const ROADS = ['redis'] as const

/** Its replies do not say what they answer, so who hands out another's in their place is not found out. */
const UNSEEN = "another request's reply"

/** Versions never come twice, so they are sent after a restart as well, and find nothing: the session is gone. */
const onRedis = (fault: FaultKind): FaultKind =>
  fault.empties === 'before' ? { ...fault, expected: (hook) => [...fault.expected(hook), 'SESSION_GONE'] } : fault

const FAULTS = ALL_FAULTS.filter(({ name }) => name !== UNSEEN).map(onRedis)

describe.skipIf(!hasRedis)('hook x fault on Redis', () => {
  const matrix = playedMatrix({
    lay: async () => ({ ground: await ServerGround.lay(ROADS), hooks: HOOKS, faults: FAULTS }),
    file: '.cache/redis-faults.md',
  })

  it.each(HOOKS.map(({ name }) => name))('%s', (hook) => {
    expect(matrix.flawsOf('redis', hook)).toEqual([])
  })

  it('no cell is empty', () => {
    const { all, played } = matrix.keys
    expect(played).toEqual(all)
  })
})
