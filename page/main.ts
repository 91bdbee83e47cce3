/** The inspector's page: what it is sent, drawn a few times a second. */
import { html, nothing, render, type TemplateResult } from 'lit-html'
import type { Frame, SourceInfo } from '../src/adapters/inspector/frame.js'
import { Charts } from './charts.js'
import { detailView } from './detail.js'
import { exported } from './export.js'
import { axisView, laneView, lanesOf, type Span } from './timeline.js'
import { nodesView, routesView } from './tables.js'
import { type SourceState, Store, type Visit } from './store.js'
import { verdictView } from './verdict.js'
import { plural } from './words.js'

const WINDOWS_SEC = [5, 15, 60, 240]
const MOST_LANES = 12
const MOST_LANES_ON_PHONE = 7
const DRAW_EVERY_MS = 200

const store = new Store()
const page = {
  windowSec: 15,
  filter: '',
  /** What is drawn while the page is paused: as it was then. */
  still: undefined as { readonly atMs: number; readonly visits: readonly Visit[] } | undefined,
  selected: undefined as Visit | undefined,
  connection: 'connecting' as 'connecting' | 'live' | 'lost',
  drawn: [] as Visit[][],
  /** The lanes, as they were drawn last. */
  order: [] as string[],
}

const root = document.querySelector<HTMLElement>('#page')
const live = document.createElement('div')
const chartsBox = document.createElement('section')
chartsBox.className = 'charts'
chartsBox.setAttribute('aria-label', 'The last minutes')
root?.append(live)
const charts = new Charts(chartsBox)

// Connection

let retry: number | undefined

function connect(): void {
  const events = new EventSource('events')
  events.addEventListener('hello', (event) => {
    const hello = JSON.parse(String(event.data)) as { sources: SourceInfo[]; replay?: string; version: string }
    if (hello.replay !== undefined && store.replay === undefined) page.windowSec = 5
    store.hello(hello)
    page.connection = 'live'
  })
  events.addEventListener('frames', (event) => {
    const { skipped, frames } = JSON.parse(String(event.data)) as { skipped: number; frames: Frame[] }
    page.connection = 'live'
    store.add(frames, skipped, Date.now())
  })
  events.onerror = () => {
    page.connection = 'lost'
    if (events.readyState !== EventSource.CLOSED) return
    // Refused: the browser does not ask again by itself.
    clearTimeout(retry)
    retry = setTimeout(connect, 3000)
  }
}

// What the visitor of the page does

function togglePause(): void {
  page.still = page.still === undefined ? { atMs: Date.now(), visits: [...store.visits, ...store.nowVisits()] } : undefined
  draw()
}

function select(visit: Visit | undefined): void {
  page.selected = visit
  draw()
}

function setFilter(text: string): void {
  page.filter = text
  draw()
}

function replay(): void {
  void fetch('replay', { method: 'POST', headers: { 'x-latchkey': 'replay' } })
}

function saveAs(): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([exported(store)], { type: 'application/json' }))
  link.download = `latchkey-${new Date().toISOString().replaceAll(':', '-').slice(0, 19)}.json`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

/** Arrows go from request to request: along a lane, and from lane to lane. */
function move(key: string): boolean {
  const lanes = page.drawn
  const at = lanes.findIndex((lane) => lane.some((visit) => visit.key === page.selected?.key))
  if (at < 0) {
    const first = lanes.find((lane) => lane.length > 0)?.at(-1)
    select(first)
    return first !== undefined
  }
  const lane = lanes[at] ?? []
  const index = lane.findIndex((visit) => visit.key === page.selected?.key)
  const step = key === 'ArrowLeft' ? -1 : key === 'ArrowRight' ? 1 : 0
  const other = step === 0 ? lanes[at + (key === 'ArrowUp' ? -1 : 1)]?.at(-1) : lane[index + step]
  if (other !== undefined) select(other)
  return true
}

document.addEventListener('keydown', (event) => {
  const target = event.target as HTMLElement
  if (event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key === 'Escape') {
    if (page.selected !== undefined) select(undefined)
    else if (page.filter !== '') setFilter('')
    return
  }
  if (target.matches('input, select, textarea')) return
  if (event.key === '/') document.querySelector<HTMLInputElement>('#filter')?.focus()
  else if (event.key === 'p') togglePause()
  else if (event.key === 'e') saveAs()
  else if (event.key === 'r' && store.replay !== undefined) replay()
  else if (!(event.key.startsWith('Arrow') && target.closest('.panels') !== null && move(event.key))) return
  event.preventDefault()
})

// Drawing

const matches = ({ label, session }: Visit): boolean => {
  const wanted = page.filter.trim().toLowerCase()
  return wanted === '' || label.toLowerCase().includes(wanted) || session.startsWith(wanted)
}

/** A session is shown with all of its requests if one of them is looked for. */
function filtered(visits: readonly Visit[]): readonly Visit[] {
  if (page.filter.trim() === '') return visits
  const sessions = new Set(visits.filter(matches).map(({ session }) => session))
  return visits.filter(({ session }) => sessions.has(session))
}

function panelView(source: SourceState, visits: readonly Visit[], span: Span): { view: TemplateResult; drawn: Visit[][]; keys: string[] } {
  const own = filtered(visits.filter((visit) => visit.source === source.info.source))
  const { lanes, more } = lanesOf(own, span, span.widthPx < 600 ? MOST_LANES_ON_PHONE : MOST_LANES, page.order)
  const erased = visits.filter((visit) => visit.source === source.info.source && visit.isErased === true).length
  const { name, host, pid, isLocking, problem } = source.info
  const view = html`<section class="panel" aria-label="Sessions of ${name}">
    <h2>${name} ${problem === undefined ? html`<span class="dim">${host} · pid ${pid}</span>` : html`<b class="tag bad">not seen: ${problem}</b>`}
      ${isLocking ? nothing : html`<b class="tag bad">not locked</b>`}
      ${erased > 0 ? html`<b class="tag bad">${plural(erased, 'change')} lost</b>` : isLocking && store.replay !== undefined ? html`<b class="tag good">none lost</b>` : nothing}
    </h2>
    ${lanes.length === 0
      ? html`<p class="empty">${page.filter === '' ? 'No session was held or waited for in this time.' : 'Nothing here has this route or session.'}</p>`
      : html`${axisView(span)}<ol class="lanes">${lanes.map((lane) => laneView(lane, { span, selected: page.selected?.key, select }))}</ol>`}
    ${more > 0 ? html`<p class="dim">${plural(more, 'more session')}: less to see. Filter to find one.</p>` : nothing}
  </section>`
  return { view, drawn: lanes.map((lane) => [...lane.visits]), keys: lanes.map(({ key }) => key) }
}

function widthOf(): number {
  const box = live.querySelector('.panel')
  const { paddingLeft = '0', paddingRight = '0' } = box === null ? {} : getComputedStyle(box)
  return Math.max(260, (box?.clientWidth ?? innerWidth - 48) - parseFloat(paddingLeft) - parseFloat(paddingRight))
}

function draw(): void {
  const toMs = page.still?.atMs ?? Date.now()
  const visits = page.still?.visits ?? [...store.visits, ...store.nowVisits()]
  const span: Span = { fromMs: toMs - page.windowSec * 1000, toMs, widthPx: widthOf() }
  const panels = [...store.sources.values()].map((source) => panelView(source, visits, span))
  page.drawn = panels.flatMap(({ drawn }) => drawn)
  page.order = panels.flatMap(({ keys }) => keys)
  // What goes on is another object at each look.
  const selected = page.selected === undefined ? undefined : visits.find(({ key }) => key === page.selected?.key) ?? page.selected
  const state = page.still === undefined ? page.connection : 'paused'
  render(html`
    <header>
      <h1><svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true"><path d="M6 9V6a4 4 0 0 1 8 0v3" fill="none" stroke="currentColor" stroke-width="2"></path><rect x="4" y="9" width="12" height="9" rx="2" fill="currentColor"></rect></svg> latchkey</h1>
      <span class="state ${state}" role="status">${{ connecting: 'connecting', live: 'live', lost: 'no connection', paused: 'paused' }[state]}</span>
      <div class="tools">
        <input id="filter" type="search" placeholder="Route or session  ( / )" aria-label="Filter by route or session" .value=${page.filter} @input=${(event: Event) => setFilter((event.target as HTMLInputElement).value)}>
        <select aria-label="How far back" @change=${(event: Event) => {
          page.windowSec = Number((event.target as HTMLSelectElement).value)
          draw()
        }}>${WINDOWS_SEC.map((sec) => html`<option value=${sec} ?selected=${sec === page.windowSec}>${sec < 60 ? `${String(sec)} s` : `${String(sec / 60)} min`}</option>`)}</select>
        ${store.replay === undefined ? nothing : html`<button class="main" @click=${replay} title="r">${store.replay}</button>`}
        <button @click=${togglePause} aria-pressed=${page.still !== undefined} title="p">${page.still === undefined ? 'Pause' : 'Go on'}</button>
        <button @click=${saveAs} title="e">Export</button>
      </div>
    </header>
    <main>
      ${store.replay === undefined ? verdictView(store, setFilter) : html`<p class="verdict calm">A log-in, then three requests at once, each of which changes the session. Hatched: it waits. Solid: it has the session. Red: its change was lost.</p>`}
      <div class="panels ${panels.length > 1 ? 'several' : ''}" tabindex="0" role="group" aria-label="Timeline: arrow keys go from request to request, Enter or a click shows one">${panels.map(({ view }) => view)}</div>
      ${selected === undefined ? nothing : detailView(store, selected, () => select(undefined))}
      ${chartsBox}
      ${routesView(store.routes(), page.filter, setFilter)}
      ${nodesView(store)}
      <footer class="dim">Solid: holds the session. Hatched: waits. Sessions are short hashes, never ids.
        ${store.dropped > 0 ? `${String(store.dropped)} short or old ones were counted, and not drawn.` : ''}
        ${store.skipped > 0 ? `This page was too slow for ${plural(store.skipped, 'update')}.` : ''}
        <kbd>p</kbd> pause <kbd>/</kbd> filter <kbd>e</kbd> export <kbd>Esc</kbd> close${store.version === '' ? '' : ` · latchkey ${store.version}`}</footer>
    </main>`, live)
  charts.draw(store.series)
}

connect()
draw()
setInterval(() => {
  // A page that nobody sees draws nothing.
  if (document.visibilityState === 'visible' && page.still === undefined) draw()
}, DRAW_EVERY_MS)
addEventListener('resize', draw)
