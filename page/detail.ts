/** The life of one request at its session. */
import { html, nothing, type TemplateResult } from 'lit-html'
import type { Store, Visit } from './store.js'
import { duration, inWords, isTrouble, plural } from './words.js'

const time = (atMs: number): string => {
  const date = new Date(atMs)
  return `${date.toLocaleTimeString()}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

interface Step {
  readonly atMs: number
  readonly words: string
  readonly isBad?: boolean
}

function stepsOf(store: Store, visit: Visit): Step[] {
  const { waitFromMs, holdFromMs, overMs, isNow, outcome } = visit
  const steps: Step[] = []
  if (waitFromMs !== undefined) steps.push({ atMs: waitFromMs, words: visit.stranger === undefined ? 'began to wait' : `began to wait for ${visit.stranger}` })
  if (holdFromMs !== undefined) steps.push({ atMs: holdFromMs, words: waitFromMs === undefined ? 'got the session' : `got the session, after ${duration(holdFromMs - waitFromMs)}` })
  for (const mark of store.marks) {
    if (mark.source !== visit.source || mark.session !== visit.session || holdFromMs === undefined || mark.atMs < holdFromMs || mark.atMs > overMs) continue
    const words = `${mark.kind === 'renewal' ? 'its lease was renewed' : 'saved, and kept the lock'}${mark.outcome === 'ok' ? '' : `: ${inWords(mark.outcome)}`}`
    steps.push({ atMs: mark.atMs, words, isBad: mark.outcome !== 'ok' })
  }
  if (!isNow) {
    const end = outcome === 'ok' ? (holdFromMs === undefined ? 'got the session' : visit.handedOn ? 'let go: the lock went to the next request in the same flight' : 'let go') : inWords(outcome)
    steps.push({ atMs: overMs, words: visit.over === undefined ? end : `${end}: ${visit.over}`, isBad: isTrouble(outcome) })
  }
  return steps.sort((one, other) => one.atMs - other.atMs)
}

export function detailView(store: Store, visit: Visit, close: () => void): TemplateResult {
  const { holdFromMs, waitFromMs, overMs } = visit
  const name = store.sources.get(visit.source)?.info.name ?? ''
  return html`<aside class="detail" aria-live="polite" aria-label="One request">
    <div class="detail-head"><h2>${visit.label}</h2><button @click=${close} aria-label="Close">✕</button></div>
    <dl>
      <div><dt>session</dt><dd><code>${visit.session}</code> <span class="dim">${name}</span></dd></div>
      ${waitFromMs === undefined ? nothing : html`<div><dt>waited</dt><dd>${duration((holdFromMs ?? overMs) - waitFromMs)}</dd></div>`}
      ${holdFromMs === undefined ? nothing : html`<div><dt>held</dt><dd>${duration(overMs - holdFromMs)}${visit.isNow ? ', and goes on' : ''}</dd></div>`}
      ${visit.causedMs > 0 ? html`<div><dt>made others wait</dt><dd class="bad">${duration(visit.causedMs)} in all</dd></div>` : nothing}
      ${visit.waiting > 0 ? html`<div><dt>behind it</dt><dd class="bad">${plural(visit.waiting, 'request')}</dd></div>` : nothing}
      ${visit.leaseLeftMs === undefined ? nothing : html`<div><dt>lease</dt><dd>${duration(visit.leaseLeftMs)} left, unless renewed</dd></div>`}
      ${visit.isErased === true ? html`<div><dt>its change</dt><dd class="bad">was lost: another request stored over it</dd></div>` : nothing}
      ${isTrouble(visit.outcome) && visit.outcome.startsWith('LATCHKEY') ? html`<div><dt>code</dt><dd><code>${visit.outcome}</code></dd></div>` : nothing}
    </dl>
    ${visit.reason === undefined ? nothing : html`<p class="reason">${visit.reason}</p>`}
    <ol class="steps">${stepsOf(store, visit).map(({ atMs, words, isBad }) => html`<li class=${isBad === true ? 'bad' : ''}><time>${time(atMs)}</time> ${words}</li>`)}</ol>
  </aside>`
}
