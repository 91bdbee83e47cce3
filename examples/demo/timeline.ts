/** One page view as a picture: a lane for each request, a row of time below, all in 78 columns. */
import type { Beat } from './bystander.js'
import type { Paint } from './paint.js'
import type { PageView, Visit } from './play.js'

const LABEL_COLUMNS = 22
const CHART_COLUMNS = 56
const TICK_COLUMNS = 8
/** Room for the word at the end of a lane. */
const NOTE_COLUMNS = 8
const COLUMN_MS = [12.5, 25, 50, 125, 250, 500, 1250]
/** The second browser's slowest request in a column: the sign for "less than". */
const HEIGHTS = [[5, '▁'], [10, '▂'], [25, '▃'], [100, '▅'], [Infinity, '▇']] as const

export function drawTimeline(view: PageView, beats: readonly Beat[], locking: boolean, paint: Paint): string[] {
  const lastMs = Math.max(...view.visits.map(({ answeredAtMs }) => answeredAtMs)) - view.startedAtMs
  const columnMs = COLUMN_MS.find((ms) => lastMs / ms <= CHART_COLUMNS - NOTE_COLUMNS) ?? lastMs / CHART_COLUMNS
  const columnOf: ColumnOf = (atMs) => Math.floor((atMs - view.startedAtMs) / columnMs)
  // Without a lock nothing waits for the session; what is left is the way to the handler.
  const before = locking ? paint.yellow('░') : paint.dim('·')
  const lines = view.visits.map((visit) => drawLane(visit, view.kept.includes(visit.writes), before, columnOf, paint))
  return [
    drawAxis(columnMs, paint),
    ...lines,
    label('second browser', paint.dim) + drawBeats(beats, columnOf, Math.ceil(lastMs / columnMs), paint),
  ]
}

/** What the store held after each request, in the order of their storing, and what went missing. */
export function drawWrites(view: PageView, paint: Paint): string[] {
  const inOrder = [...view.visits].sort((a, b) => a.answeredAtMs - b.answeredAtMs)
  let before: readonly string[] = []
  return inOrder.map(({ answeredAtMs, session, writes }) => {
    const erased = before.filter((name) => !session.includes(name))
    before = session
    const at = `${String(Math.round(answeredAtMs - view.startedAtMs)).padStart(6)} ms  `
    const held = session.map((name) => (name === writes ? paint.bold(name) : name)).join(', ')
    return `  ${at}${held}${erased.length === 0 ? '' : paint.red(`   ✗ erases ${erased.join(', ')}`)}`
  })
}

function drawAxis(columnMs: number, paint: Paint): string {
  let axis = ''
  for (let column = 0; column < CHART_COLUMNS; column += TICK_COLUMNS) {
    const tick = `╷${String(Math.round(column * columnMs))}`
    axis += (column === 0 ? `${tick} ms` : tick).padEnd(TICK_COLUMNS)
  }
  return ' '.repeat(LABEL_COLUMNS) + paint.dim(axis.trimEnd())
}

type ColumnOf = (atMs: number) => number

function drawLane(visit: Visit, isKept: boolean, before: string, columnOf: ColumnOf, paint: Paint): string {
  const sent = columnOf(visit.sentAtMs)
  const loaded = columnOf(visit.loadedAtMs)
  const answered = Math.max(columnOf(visit.answeredAtMs), loaded + 1)
  const shade = isKept ? paint.green : paint.red
  return (
    label(`${visit.method.padEnd(4)} ${visit.path}`, (text) => text) +
    ' '.repeat(sent) +
    before.repeat(loaded - sent) +
    shade('█'.repeat(answered - loaded)) +
    shade(isKept ? ' ✓ kept' : ' ✗ lost')
  )
}

function drawBeats(beats: readonly Beat[], columnOf: ColumnOf, columns: number, paint: Paint): string {
  const slowest = new Array<number | undefined>(columns).fill(undefined)
  for (const { sentAtMs, tookMs } of beats) {
    const column = columnOf(sentAtMs)
    if (column >= 0 && column < columns) slowest[column] = Math.max(slowest[column] ?? 0, tookMs)
  }
  return paint.cyan(slowest.map((ms) => (ms === undefined ? ' ' : signOf(ms))).join(''))
}

const signOf = (ms: number): string => HEIGHTS.find(([limitMs]) => ms < limitMs)?.[1] ?? '▇'

const label = (text: string, shade: (text: string) => string): string => shade(`  ${text}`.padEnd(LABEL_COLUMNS))
