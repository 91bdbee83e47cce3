/** Real faults on a real memcached: hook x fault x transport. Writes its table to .cache/fault-matrix.md. */
import { describe, expect, it } from 'vitest'
import { FAULTS } from '../faults/fault-kinds.js'
import { HOOKS } from '../faults/all-hooks.js'
import { playedMatrix } from '../faults/played-matrix.js'
import { ServerGround } from '../faults/server-ground.js'
import { TRANSPORTS } from '../faults/transports.js'

describe('hook x fault x transport', () => {
  const matrix = playedMatrix({
    lay: async () => ({ ground: await ServerGround.lay(TRANSPORTS), hooks: HOOKS, faults: FAULTS }),
    file: '.cache/fault-matrix.md',
  })

  it.each(TRANSPORTS.flatMap((transport) => HOOKS.map((hook) => [transport, hook.name] as const)))(
    '%s: %s',
    (transport, hook) => {
      expect(matrix.flawsOf(transport, hook)).toEqual([])
    },
  )

  it('no cell is empty', () => {
    const { all, played } = matrix.keys
    expect(played).toEqual(all)
    expect(played.length).toBe(TRANSPORTS.length * HOOKS.length * FAULTS.length)
  })
})
