/** Real faults on a real memcached: hook x fault x transport. Writes its table to .cache/fault-matrix.md. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FAULTS } from '../faults/fault-kinds.js'
import { HOOKS } from '../faults/all-hooks.js'
import { cellKey, Matrix } from '../faults/matrix.js'
import { ServerGround } from '../faults/server-ground.js'
import { tableOf } from '../faults/table.js'
import { TRANSPORTS } from '../faults/transports.js'

const optionsOf = async () => ({ ground: await ServerGround.lay(TRANSPORTS), hooks: HOOKS, faults: FAULTS })
const play = async (options: Awaited<ReturnType<typeof optionsOf>>) => Matrix.play(options)

describe('hook x fault x transport', () => {
  let matrix: Awaited<ReturnType<typeof play>>
  let options: Awaited<ReturnType<typeof optionsOf>>
  const startMs = performance.now()
  beforeAll(async () => {
    options = await optionsOf()
    matrix = await play(options)
  }, 400_000)

  afterAll(() => {
    const tookSec = (performance.now() - startMs) / 1000
    const note = `${String(matrix.results.size)} cells in ${tookSec.toFixed(0)} s; ${String(matrix.replayed)} played again.`
    mkdirSync('.cache', { recursive: true })
    writeFileSync('.cache/fault-matrix-odd.txt', matrix.oddities.join('\n'))
    writeFileSync('.cache/fault-matrix.md', `${tableOf(matrix, options)}\n${note}\n`)
  })

  it.each(TRANSPORTS.flatMap((transport) => HOOKS.map((hook) => [transport, hook.name] as const)))(
    '%s: %s',
    (transport, hook) => {
      const flaws = FAULTS.flatMap((fault) => {
        const result = matrix.results.get(cellKey(transport, hook, fault.name))
        return [...(result?.wrong ?? []), ...(result?.odd ?? [])].map((flaw) => `${fault.name}: ${flaw}`)
      })
      expect(flaws).toEqual([])
    },
  )

  it('no cell is empty', () => {
    expect([...matrix.results.keys()].sort()).toEqual([...matrix.cells].sort())
    expect(matrix.results.size).toBe(TRANSPORTS.length * HOOKS.length * FAULTS.length)
  })
})
