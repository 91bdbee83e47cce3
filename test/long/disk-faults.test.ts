/** Real faults of a real directory: hook x fault, as on memcached. Writes its table to .cache/disk-faults.md. */
import { describe, expect, it } from 'vitest'
import { HOOKS } from '../faults/all-hooks.js'
import { DISK_FAULTS } from '../faults/disk-faults.js'
import { DiskGround } from '../faults/disk-ground.js'
import { playedMatrix } from '../faults/played-matrix.js'

// Without the right to mount a small disk none can be filled.
const faults = DISK_FAULTS.filter(({ isOnSmallDisk }) => !isOnSmallDisk || DiskGround.canMount())

describe('hook x fault of a store on disk', () => {
  const matrix = playedMatrix({ lay: () => ({ ground: new DiskGround(), hooks: HOOKS, faults }), file: '.cache/disk-faults.md' })

  it.each(HOOKS.map(({ name }) => name))('%s', (hook) => {
    expect(matrix.flawsOf('file:', hook)).toEqual([])
  })

  it('no cell is empty', () => {
    const { all, played } = matrix.keys
    expect(played).toEqual(all)
  })
})
