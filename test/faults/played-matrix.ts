import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import type { Trouble } from './cell.js'
import { cellKey, Matrix, type MatrixOptions } from './matrix.js'
import type { Rig } from './rig.js'
import { tableOf } from './table.js'

/** Against what hangs: a matrix takes one minute or two, and several times as long beside other work. */
const WITHIN_MS = 1_200_000

interface PlayedOptions<R extends Rig, F extends Trouble<R>, Road extends string> {
  readonly lay: () => MatrixOptions<R, F, Road> | Promise<MatrixOptions<R, F, Road>>
  /** Where its table is written to. */
  readonly file: string
}

/** A matrix that is played before the tests of a file, and what they ask of it. */
export interface Played {
  /** What was wrong or odd at a hook, whatever the fault. */
  flawsOf(road: string, hook: string): string[]
  /** The keys of all cells that there are, and of those that were played. */
  readonly keys: { readonly all: string[]; readonly played: string[] }
}

export function playedMatrix<R extends Rig, F extends Trouble<R>, Road extends string>({ lay, file }: PlayedOptions<R, F, Road>): Played {
  let options: MatrixOptions<R, F, Road>
  let matrix: Matrix<R, F, Road>
  const startMs = performance.now()
  beforeAll(async () => {
    options = await lay()
    matrix = await Matrix.play(options)
  }, WITHIN_MS)

  afterAll(() => {
    const tookSec = (performance.now() - startMs) / 1000
    const note = `${String(matrix.results.size)} cells in ${tookSec.toFixed(0)} s; ${String(matrix.replayed)} played again.`
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, `${tableOf(matrix, options)}\n${note}\n\n${matrix.oddities.join('\n')}\n`)
  })

  return {
    flawsOf: (road, hook) =>
      options.faults.flatMap((fault) => {
        const result = matrix.results.get(cellKey(road, hook, fault.name))
        return [...(result?.wrong ?? []), ...(result?.odd ?? [])].map((flaw) => `${fault.name}: ${flaw}`)
      }),
    get keys() {
      return { all: [...matrix.cells].sort(), played: [...matrix.results.keys()].sort() }
    },
  }
}
