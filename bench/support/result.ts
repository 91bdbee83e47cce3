/** What a row comes to. */

export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** A distribution for each of several things, drawn as dots on one axis. */
export interface Chart {
  /** Name of the file in bench/results, without its ending. */
  readonly file: string
  readonly title: string
  readonly unit: string
  readonly logarithmic?: boolean
  readonly series: readonly { readonly label: string; readonly values: readonly number[] }[]
}

export interface RowResult {
  /** By the names of the issue: `cycle.ratioToFloor`. */
  readonly figures: Readonly<Record<string, number>>
  readonly tables: readonly Table[]
  readonly charts: readonly Chart[]
  /** What is missing, what must be known to read the figures. */
  readonly notes: readonly string[]
}

export interface RowContext {
  readonly quick: boolean
  /** A second build of latchkey to measure beside this one. */
  readonly against: string | undefined
  /** Says what is being done now; replaces what was said before. */
  progress(text: string): void
}

export interface Row {
  /** What it measures, for whoever waits for it. */
  readonly about: string
  run(context: RowContext): Promise<RowResult>
}

/** Three significant digits; whole numbers as they are from a thousand on. */
export function num(value: number): string {
  if (!Number.isFinite(value)) return '-'
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
}
