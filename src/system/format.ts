/** Formats numbers and tables for people to read. */

export function duration(ms: number): string {
  if (ms < 1000) return `${String(Math.max(0, Math.round(ms)))} ms`
  const sec = ms / 1000
  if (sec < 120) return `${sec.toFixed(1)} s`
  if (sec < 7200) return `${String(Math.round(sec / 60))} min`
  return sec < 172_800 ? `${String(Math.round(sec / 3600))} h` : `${String(Math.round(sec / 86_400))} days`
}

export function bytes(count: number): string {
  if (count < 10_240) return `${String(count)} B`
  return count < 10_485_760 ? `${String(Math.round(count / 1024))} KiB` : `${String(Math.round(count / 1_048_576))} MiB`
}

/** Formats rows as columns two spaces apart, all aligned to the left. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, cell.length)))
  return rows.map((row) => row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ').trimEnd())
}
