/** Lanes of sessions: who waited (hatched), who held (solid), in rows that never overlap. */
import { html, nothing, svg, type TemplateResult } from 'lit-html'
import type { Visit } from './store.js'
import { duration, inWords, isTrouble, plural } from './words.js'

export interface Span {
  readonly fromMs: number
  readonly toMs: number
  readonly widthPx: number
}

const ROW_PX = 19
const BAR_PX = 13
const CHAR_PX = 6.7
/** Room at the right of the last moment, for the words of what goes on. */
const afterPx = (widthPx: number): number => Math.min(170, Math.round(widthPx * 0.36))
const MOST_ROWS = 9
/** More would be a row of words and no picture. */
const MOST_WORDED = 16
const MOST_IN_LANE = 90

export interface Lane {
  readonly key: string
  readonly session: string
  readonly visits: readonly Visit[]
  readonly waiting: number
  /** Nobody waited, nothing failed. */
  readonly isCalm: boolean
}

const beginOf = (visit: Visit): number => visit.waitFromMs ?? visit.holdFromMs ?? visit.overMs

/** Jams first, then trouble, then the others; a lane that is there already keeps its place among its like. */
export function lanesOf(visits: readonly Visit[], { fromMs, toMs }: Span, most: number, before: readonly string[]): { lanes: Lane[]; more: number } {
  const bySession = new Map<string, Visit[]>()
  for (const visit of visits) {
    if (visit.overMs < fromMs || beginOf(visit) > toMs) continue
    const key = `${visit.source} ${visit.session}`
    const list = bySession.get(key) ?? []
    list.push(visit)
    bySession.set(key, list)
  }
  const ranked = [...bySession].map(([key, list]) => {
    const waiting = list.filter(({ isNow, holdFromMs }) => isNow && holdFromMs === undefined).length
    const waitedMs = list.reduce((sum, visit) => sum + (visit.waitFromMs === undefined ? 0 : (visit.holdFromMs ?? visit.overMs) - visit.waitFromMs), 0)
    const longestMs = Math.max(...list.map((visit) => visit.overMs - beginOf(visit)))
    const troubles = list.filter(({ outcome }) => isTrouble(outcome)).length
    const rank = waitedMs * 4 + troubles * 2000 + longestMs + waiting * 1e6
    const kind = waiting > 0 || waitedMs > 500 ? 0 : troubles > 0 ? 1 : 2
    const place = before.indexOf(key)
    return { kind, place: place < 0 ? before.length : place, lane: { key, session: list[0]?.session ?? '', visits: list.sort((one, other) => beginOf(one) - beginOf(other)).slice(-MOST_IN_LANE), waiting, isCalm: kind === 2 }, rank }
  })
  ranked.sort((one, other) => other.rank - one.rank)
  const chosen = ranked.slice(0, most).sort((one, other) => one.kind - other.kind || one.place - other.place || other.rank - one.rank)
  return { lanes: chosen.map(({ lane }) => lane), more: Math.max(0, ranked.length - most) }
}

const MOST_LABELS = 3

function labelsOf({ visits }: Lane): string {
  const labels = [...new Set(visits.map(({ label }) => label))]
  const more = labels.length - MOST_LABELS
  return `${labels.slice(0, MOST_LABELS).join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`
}

interface Placed {
  readonly visit: Visit
  readonly row: number
  readonly words: string
  readonly waitX: number
  readonly holdX: number
  readonly endX: number
}

/** Each visit in the first row where it has room. Words are left out where there are too many. */
function placed(lane: Lane, span: Span): { places: Placed[]; rows: number; hidden: number } {
  const isWorded = lane.visits.length <= MOST_WORDED
  for (const withWords of isWorded ? [true, false] : [false]) {
    const ends: number[] = []
    const places: Placed[] = []
    let hidden = 0
    for (const visit of lane.visits) {
      const x = (atMs: number): number => ((Math.max(atMs, span.fromMs - 1000) - span.fromMs) / (span.toMs - span.fromMs)) * (span.widthPx - afterPx(span.widthPx))
      const waitX = x(beginOf(visit))
      const endX = Math.max(x(visit.overMs), waitX + 3)
      const holdX = visit.holdFromMs === undefined ? endX : Math.min(Math.max(x(visit.holdFromMs), waitX), endX - 2)
      const said = wordsOf(visit)
      const isInside = endX - Math.max(visit.holdFromMs === undefined ? endX : holdX, 0) > said.length * CHAR_PX + 10
      // Beside what goes on there is room.
      const words = withWords || isInside || visit.isNow ? said : ''
      const rightX = isInside || words === '' ? endX + 1 : endX + words.length * CHAR_PX + 8
      let row = ends.findIndex((end) => end <= waitX)
      if (row < 0) row = ends.length
      if (row >= MOST_ROWS) {
        hidden++
        continue
      }
      ends[row] = rightX
      places.push({ visit, row, words, waitX, holdX, endX })
    }
    if (!withWords || (hidden === 0 && (!lane.isCalm || ends.length < 3))) return { places, rows: Math.max(ends.length, 1), hidden }
  }
  return { places: [], rows: 1, hidden: 0 }
}

function wordsOf(visit: Visit): string {
  const label = visit.label.length > 26 ? `${visit.label.slice(0, 25)}…` : visit.label
  if (visit.outcome === 'overwrote') return `${label} ✗ erases another`
  if (visit.isErased === true) return `${label} ✗ lost`
  return isTrouble(visit.outcome) ? `${label} ✗` : label
}

const classOf = (visit: Visit): string => {
  const kinds = [visit.isNow ? 'goes-on' : '', isTrouble(visit.outcome) || visit.isErased === true ? 'trouble' : '', visit.causedMs > Math.max(200, (visit.overMs - beginOf(visit)) / 2) || (visit.isNow && visit.waiting > 0) ? 'culprit' : '']
  return kinds.join(' ')
}

export function sentenceOf(visit: Visit): string {
  const waited = visit.waitFromMs === undefined ? '' : `waited ${duration((visit.holdFromMs ?? visit.overMs) - visit.waitFromMs)}`
  const held = visit.holdFromMs === undefined ? '' : `held ${duration(visit.overMs - visit.holdFromMs)}`
  const queue = visit.waiting > 0 ? `${plural(visit.waiting, 'request')} waiting` : ''
  return [visit.label, waited, held, queue, visit.outcome === 'ok' ? '' : inWords(visit.outcome)].filter((part) => part !== '').join(', ')
}

export interface LaneView {
  readonly span: Span
  readonly selected: string | undefined
  select(visit: Visit): void
}

/** By their places and not by keys: lit-html's `repeat` leaves a comment behind for each that goes, and the page would grow for ever. */
export function laneView(lane: Lane, { span, selected, select }: LaneView): TemplateResult {
  const { places, rows, hidden } = placed(lane, span)
  const height = rows * ROW_PX + 4
  const nowX = span.widthPx - afterPx(span.widthPx)
  return html`<li class="lane ${lane.waiting > 0 ? 'jam' : ''}">
    <div class="lane-name"><code>${lane.session}</code>${lane.waiting > 0 ? html`<b class="queue">${lane.waiting} waiting</b>` : nothing}<span class="dim labels">${labelsOf(lane)}</span>${hidden > 0 ? html`<span class="dim">+${hidden} not drawn</span>` : nothing}</div>
    <svg class="lane-picture" width=${span.widthPx} height=${height} viewBox="0 0 ${span.widthPx} ${height}" role="group" aria-label="Session ${lane.session}: ${plural(places.length, 'request')}">
      <line class="now" x1=${nowX} x2=${nowX} y1="0" y2=${height}></line>
      ${places.map((place) => visitView(place, selected === place.visit.key, select))}
    </svg>
  </li>`
}

function visitView({ visit, row, words, waitX, holdX, endX }: Placed, isSelected: boolean, select: (visit: Visit) => void): TemplateResult {
  const y = row * ROW_PX + 3
  const hasWait = visit.waitFromMs !== undefined && holdX > waitX
  const hasHold = visit.holdFromMs !== undefined
  const from = hasHold ? holdX : waitX
  const isInside = hasHold && endX - Math.max(from, 0) > words.length * CHAR_PX + 10
  const textX = isInside ? Math.max(from, 0) + 5 : endX + 5
  return svg`<g class="visit ${classOf(visit)} ${isSelected ? 'selected' : ''}" role="button" tabindex="-1" data-key=${visit.key} aria-label=${sentenceOf(visit)} @click=${() => select(visit)}>
    <title>${sentenceOf(visit)}</title>
    ${hasWait ? svg`<rect class="wait" fill="url(#hatch)" x=${waitX} y=${y + 3} width=${Math.max(holdX - waitX, 2)} height=${BAR_PX - 6}></rect>` : nothing}
    ${hasHold ? svg`<rect class="hold" x=${holdX} y=${y} width=${Math.max(endX - holdX, 3)} height=${BAR_PX} rx="2"></rect>` : nothing}
    ${visit.handedOn ? svg`<path class="hand-on" d="M${endX} ${y + BAR_PX} v5"></path>` : nothing}
    ${words === '' ? nothing : svg`<text class=${isInside && hasHold ? 'inside' : ''} x=${textX} y=${y + BAR_PX - 2.5}>${words}</text>`}
  </g>`
}

const STEPS_SEC = [1, 2, 5, 10, 30, 60]

export function axisView({ fromMs, toMs, widthPx }: Span): TemplateResult {
  const roomPx = widthPx - afterPx(widthPx)
  const stepSec = STEPS_SEC.find((sec) => (sec * 1000 * roomPx) / (toMs - fromMs) >= 70) ?? 60
  const ticks: { x: number; words: string }[] = []
  for (let sec = 0; sec * 1000 <= toMs - fromMs; sec += stepSec) {
    const x = roomPx - (sec * 1000 * roomPx) / (toMs - fromMs)
    if (x > 14) ticks.push({ x, words: sec === 0 ? 'now' : `−${String(sec)} s` })
  }
  return html`<svg class="axis" width=${widthPx} height="18" aria-hidden="true">
    ${ticks.map(({ x, words }) => svg`<text x=${x} y="12" text-anchor="middle">${words}</text><line x1=${x} x2=${x} y1="15" y2="18"></line>`)}
  </svg>`
}
