/** The slowest routes, and the servers. */
import { html, nothing, type TemplateResult } from 'lit-html'
import type { LabelSum, Store } from './store.js'
import { count, duration } from './words.js'

const MOST_ROUTES = 12

export function routesView(routes: readonly LabelSum[], filter: string, setFilter: (text: string) => void): TemplateResult {
  const wanted = filter.trim().toLowerCase()
  const found = routes.filter(({ label }) => label.toLowerCase().includes(wanted))
  const shown = (found.length === 0 ? routes : found).slice(0, MOST_ROUTES)
  const most = Math.max(1, ...shown.map(({ causedMs }) => causedMs))
  return html`<section class="card" aria-label="Routes">
    <h2>Who makes others wait <span class="dim">the last five minutes</span></h2>
    ${shown.length === 0
      ? html`<p class="empty">No session was held yet.</p>`
      : html`<div class="scroll"><table>
      <thead><tr><th scope="col">route</th><th scope="col">others waited for it</th><th scope="col" class="n">longest hold</th><th scope="col" class="n">mean hold</th><th scope="col" class="n">holds</th><th scope="col" class="n">itself waited</th><th scope="col" class="n">failed</th></tr></thead>
      <tbody>${shown.map(({ label, causedMs, longestMs, heldMs, holds, waitedMs, failures }) => html`<tr>
        <th scope="row"><button class="link" @click=${() => setFilter(label)}>${label}</button></th>
        <td class="caused"><svg width="100%" height="16" aria-hidden="true"><rect height="16" rx="2" width="${(100 * causedMs) / most}%"></rect></svg><span>${causedMs < 1 ? '–' : duration(causedMs)}</span></td>
        <td class="n">${holds === 0 ? '–' : duration(longestMs)}</td><td class="n">${holds === 0 ? '–' : duration(heldMs / holds)}</td><td class="n">${count(holds)}</td><td class="n">${waitedMs < 1 ? '–' : duration(waitedMs)}</td><td class="n ${failures > 0 ? 'bad' : ''}">${failures}</td>
      </tr>`)}</tbody></table></div>`}
  </section>`
}

const COUNTERS = [['acquired', 'locked'], ['committed', 'stored'], ['handOffs', 'handed on here'], ['grants', 'granted elsewhere'], ['timeouts', 'timed out'], ['fenced', 'fenced'], ['lost', 'lost'], ['unknown', 'unknown'], ['held', 'held now'], ['waiting', 'waiting now'], ['flights', 'round trips']] as const
const BAD = new Set(['timeouts', 'lost', 'unknown'])

export function nodesView(store: Store): TemplateResult {
  const sources = [...store.sources.values()]
  const rows = sources.flatMap(({ info, nodes }) => nodes.map((node) => ({ node, name: info.name })))
  return html`<section class="card" aria-label="Servers and counters">
    <h2>Servers</h2>
    ${rows.length === 0
      ? html`<p class="empty">Not asked yet.</p>`
      : html`<div class="scroll"><table>
      <thead><tr><th scope="col">server</th><th scope="col">state</th><th scope="col" class="n">answers in</th><th scope="col" class="n">round trips</th><th scope="col" class="n">failed</th>${sources.length > 1 ? html`<th scope="col">seen by</th>` : nothing}</tr></thead>
      <tbody>${rows.map(({ node, name }) => html`<tr><th scope="row"><code>${node.name}</code></th>
        <td class=${node.isUp ? 'good' : 'bad'}>${node.isUp ? 'up' : `away${node.awaySinceMs === undefined ? '' : ` since ${new Date(node.awaySinceMs).toLocaleTimeString()}`}: ${node.reason ?? ''}`}</td>
        <td class="n">${node.latencyMs === undefined ? '–' : duration(node.latencyMs)}</td><td class="n">${node.flights === 0 ? '–' : count(node.flights)}</td><td class="n ${node.failed > 0 ? 'bad' : ''}">${node.failed}</td>${sources.length > 1 ? html`<td>${name}</td>` : nothing}</tr>`)}</tbody></table></div>`}
    <h2>Since the start</h2>
    <dl class="counters">${COUNTERS.map(([name, words]) => html`<div><dt>${words}</dt><dd class=${BAD.has(name) && store.total(name) > 0 ? 'bad' : ''}>${count(store.total(name))}</dd></div>`)}</dl>
  </section>`
}
