/** Real faults on a real Redis: hook x fault, as on memcached. Writes its table to .cache/redis-faults.md. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HOOKS } from '../faults/all-hooks.js'
import { type FaultKind, FAULTS as ALL_FAULTS } from '../faults/fault-kinds.js'
import { cellKey, Matrix } from '../faults/matrix.js'
import { ServerGround } from '../faults/server-ground.js'
import { tableOf } from '../faults/table.js'
import { hasRedis } from '../support/redis-server.js'

const ROADS = ['redis'] as const

/** Its replies do not say what they answer, so who hands out another's in their place is not found out. */
const UNSEEN = "another request's reply"

/** Versions never come twice, so they are sent after a restart as well, and find nothing: the session is gone. */
const onRedis = (fault: FaultKind): FaultKind =>
  fault.empties === 'before' ? { ...fault, expected: (hook) => [...fault.expected(hook), 'SESSION_GONE'] } : fault

const FAULTS = ALL_FAULTS.filter(({ name }) => name !== UNSEEN).map(onRedis)

const optionsOf = async () => ({ ground: await ServerGround.lay(ROADS), hooks: HOOKS, faults: FAULTS })
const play = async (options: Awaited<ReturnType<typeof optionsOf>>) => Matrix.play(options)

describe.skipIf(!hasRedis)('hook x fault on Redis', () => {
  let matrix: Awaited<ReturnType<typeof play>>
  let options: Awaited<ReturnType<typeof optionsOf>>
  const startMs = performance.now()
  beforeAll(async () => {
    options = await optionsOf()
    matrix = await play(options)
  }, 300_000)

  afterAll(() => {
    const tookSec = (performance.now() - startMs) / 1000
    const note = `${String(matrix.results.size)} cells in ${tookSec.toFixed(0)} s; ${String(matrix.replayed)} played again.`
    mkdirSync('.cache', { recursive: true })
    writeFileSync('.cache/redis-faults.md', `${tableOf(matrix, options)}\n${note}\n\n${matrix.oddities.join('\n')}\n`)
  })

  it.each(HOOKS.map(({ name }) => name))('%s', (hook) => {
    const flaws = FAULTS.flatMap((fault) => {
      const result = matrix.results.get(cellKey('redis', hook, fault.name))
      return [...(result?.wrong ?? []), ...(result?.odd ?? [])].map((flaw) => `${fault.name}: ${flaw}`)
    })
    expect(flaws).toEqual([])
  })

  it('no cell is empty', () => {
    expect([...matrix.results.keys()].sort()).toEqual([...matrix.cells].sort())
  })
})
