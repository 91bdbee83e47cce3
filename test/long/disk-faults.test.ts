/** Real faults of a real directory: hook x fault, as on memcached. Writes its table to .cache/disk-faults.md. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HOOKS } from '../faults/all-hooks.js'
import { DISK_FAULTS } from '../faults/disk-faults.js'
import { DiskGround } from '../faults/disk-ground.js'
import { cellKey, Matrix } from '../faults/matrix.js'
import { tableOf } from '../faults/table.js'

// Without the right to mount a small disk none can be filled.
const faults = DISK_FAULTS.filter(({ isOnSmallDisk }) => !isOnSmallDisk || DiskGround.canMount())
const play = async (options: { ground: DiskGround; hooks: typeof HOOKS; faults: typeof faults }) => Matrix.play(options)

describe('hook x fault of a store on disk', () => {
  let matrix: Awaited<ReturnType<typeof play>>
  let ground: DiskGround
  const startMs = performance.now()
  beforeAll(async () => {
    ground = new DiskGround()
    matrix = await play({ ground, hooks: HOOKS, faults })
  }, 200_000)

  afterAll(() => {
    const tookSec = (performance.now() - startMs) / 1000
    const note = `${String(matrix.results.size)} cells in ${tookSec.toFixed(0)} s; ${String(matrix.replayed)} played again.`
    mkdirSync('.cache', { recursive: true })
    writeFileSync('.cache/disk-faults.md', `${tableOf(matrix, { ground, hooks: HOOKS, faults })}\n${note}\n\n${matrix.oddities.join('\n')}\n`)
  })

  it.each(HOOKS.map(({ name }) => name))('%s', (hook) => {
    const flaws = faults.flatMap((fault) => {
      const result = matrix.results.get(cellKey('file:', hook, fault.name))
      return [...(result?.wrong ?? []), ...(result?.odd ?? [])].map((flaw) => `${fault.name}: ${flaw}`)
    })
    expect(flaws).toEqual([])
  })

  it('no cell is empty', () => {
    expect([...matrix.results.keys()].sort()).toEqual([...matrix.cells].sort())
  })
})
