import { cellKey, type Matrix, type MatrixOptions } from './matrix.js'

/** The matrix in markdown: a row for each fault, a column for each hook, a table for each transport. */
export function tableOf(matrix: Matrix, { transports, hooks, faults }: MatrixOptions): string {
  const lines: string[] = []
  for (const transport of transports) {
    lines.push(`### ${transport}`, '')
    lines.push(`| fault | ${hooks.map(({ name }) => name).join(' | ')} |`)
    lines.push(`|---|${'---|'.repeat(hooks.length)}`)
    for (const fault of faults) {
      const row = hooks.map((hook) => {
        const result = matrix.results.get(cellKey(transport, hook.name, fault.name))
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
