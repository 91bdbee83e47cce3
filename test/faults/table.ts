import type { Trouble } from './cell.js'
import { cellKey, type Matrix, type MatrixOptions } from './matrix.js'
import type { Rig } from './rig.js'

/** The matrix in markdown: a row for each fault, a column for each hook, a table for each road. */
export function tableOf<R extends Rig, F extends Trouble<R>, Road extends string>(
  matrix: Matrix<R, F, Road>,
  { ground: { roads }, hooks, faults }: MatrixOptions<R, F, Road>,
): string {
  const lines: string[] = []
  for (const road of roads) {
    lines.push(`### ${road}`, '')
    lines.push(`| fault | ${hooks.map(({ name }) => name).join(' | ')} |`)
    lines.push(`|---|${'---|'.repeat(hooks.length)}`)
    for (const fault of faults) {
      const row = hooks.map((hook) => {
        const result = matrix.results.get(cellKey(road, hook.name, fault.name))
        if (result === undefined) return ''
        const flaw = result.wrong.length > 0 ? ' WRONG' : result.odd.length > 0 ? ' odd' : ''
        return `${wordOf(result.verdict)} ${result.tookMs.toFixed(0)}${flaw}`
      })
      lines.push(`| ${fault.name} | ${row.join(' | ')} |`)
    }
    lines.push('')
  }
  return lines.join('\n')
}

/** `OUTCOME_UNKNOWN` is `unknown`, `SERVER_UNAVAILABLE` `unavailable`, and so on. */
const wordOf = (verdict: string): string => (verdict.split('_').at(-1) ?? verdict).toLowerCase()
