/** Runs the rows one after the other, prints what they come to, and writes figures and charts. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Options, ROW_NAMES, type RowName } from './options.js'
import { cluster } from './rows/cluster.js'
import { cost } from './rows/cost.js'
import { cycle } from './rows/cycle.js'
import { engines } from './rows/engines.js'
import { file } from './rows/file.js'
import { growth } from './rows/growth.js'
import { handoff } from './rows/handoff.js'
import { herd } from './rows/herd.js'
import { http } from './rows/http.js'
import { isolation } from './rows/isolation.js'
import { mutex } from './rows/mutex.js'
import { observe } from './rows/observe.js'
import { php } from './rows/php.js'
import { records } from './rows/records.js'
import { scale } from './rows/scale.js'
import { shapes } from './rows/shapes.js'
import { size } from './rows/size.js'
import { waiters } from './rows/waiters.js'
import { DIST, measureBuild } from './support/latchkey.js'
import { Progress } from './support/progress.js'
import { num, type Row, type RowContext, type RowResult } from './support/result.js'
import { median } from './support/statistics.js'
import { drawn } from './support/svg.js'
import { printed } from './support/table.js'
import { targetsTable } from './targets.js'

const ROWS: Readonly<Record<RowName, Row>> = {
  cycle, cost, http, size, herd, handoff, isolation, waiters, scale, growth, records, observe, shapes, file, php, engines, mutex, cluster,
}
/** Not of `--quick`, which has to be done in two minutes, unless asked for by `--only`. */
const NOT_QUICK: readonly RowName[] = ['scale', 'size', 'growth', 'records', 'observe', 'shapes', 'file', 'php', 'engines', 'mutex', 'cluster']
/** These measure a second build beside this one themselves, slice by slice. */
const BESIDE: readonly RowName[] = ['cycle', 'cost', 'observe']
/** How often each of two builds has its turn, in the other rows. */
const TURNS = 3
const RESULTS = fileURLToPath(new URL('results', import.meta.url))

/** False when a row failed; the others' results are shown all the same. */
export async function runRows(options: Options): Promise<boolean> {
  const progress = new Progress()
  const results = new Map<string, RowResult>()
  const startMs = performance.now()
  console.log(`latchkey of ${DIST}; Node ${process.version}, ${String(cpus().length)} cores\n`)
  let isComplete = true
  for (const name of chosen(options)) {
    const row = ROWS[name]
    console.log(`${name}: ${row.about}\n`)
    const rowStartMs = performance.now()
    try {
      const against = BESIDE.includes(name) ? undefined : options.against
      const context: RowContext = {
        quick: options.quick,
        against: options.against,
        progress: (text) => progress.show(`${name}: ${text}`),
      }
      const result = against === undefined ? await row.run(context) : await byTurns(row, context, against)
      progress.clear()
      results.set(name, result)
      show(result)
      console.log(`  (${name} took ${String(Math.round((performance.now() - rowStartMs) / 1000))} s)\n`)
    } catch (error) {
      progress.clear()
      isComplete = false
      console.error(`${name} failed:`, error)
    }
  }
  const figures = Object.assign({}, ...[...results.values()].map((result) => result.figures))
  console.log(printed(targetsTable(figures)))
  const seconds = Math.round((performance.now() - startMs) / 1000)
  console.log(`${String(seconds)} s; the distributions are drawn in ${RESULTS}`)
  if (options.json !== undefined) writeFileSync(options.json, jsonOf(figures, results, options.quick))
  return isComplete
}

/** The row of this build, and a table of its figures beside those of the other one: medians of a few turns of each. */
async function byTurns(row: Row, context: RowContext, against: string): Promise<RowResult> {
  const own = DIST
  const results: RowResult[] = []
  const others: RowResult[] = []
  try {
    for (let turn = 0; turn < TURNS; turn++) {
      measureBuild(own)
      results.push(await row.run(context))
      measureBuild(against)
      others.push(await row.run(context))
    }
  } finally {
    measureBuild(own)
  }
  const [first] = results
  if (first === undefined) throw new TypeError('no turn was played')
  const of = (all: readonly RowResult[], figure: string): number => median(all.map(({ figures }) => figures[figure] ?? NaN))
  const figures = Object.fromEntries(Object.keys(first.figures).map((figure) => [figure, of(results, figure)]))
  const rows = Object.entries(figures).map(([figure, value]) => [figure, num(value), num(of(others, figure)), num(value / of(others, figure))])
  const table = { title: `by turns with ${against}, medians of ${String(TURNS)}`, head: ['figure', 'this build', 'the other', 'ratio'], rows }
  return { ...first, figures, tables: [...first.tables, table] }
}

function chosen({ only, quick }: Options): readonly RowName[] {
  return only ?? ROW_NAMES.filter((name) => !quick || !NOT_QUICK.includes(name))
}

function show(result: RowResult): void {
  for (const table of result.tables) console.log(printed(table))
  for (const note of result.notes) console.log(`  ${note}\n`)
  mkdirSync(RESULTS, { recursive: true })
  for (const chart of result.charts) writeFileSync(join(RESULTS, `${chart.file}.svg`), drawn(chart))
}

/** The figures by their names, and under `details` everything that was printed. */
function jsonOf(figures: Record<string, number>, results: ReadonlyMap<string, RowResult>, quick: boolean): string {
  const details = Object.fromEntries([...results].map(([name, { tables, notes }]) => [name, { tables, notes }]))
  const machine = { node: process.version, cores: cpus().length, model: cpus()[0]?.model ?? 'unknown' }
  return `${JSON.stringify({ ...figures, quick, machine, details }, undefined, 2)}\n`
}
