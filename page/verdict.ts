/** One sentence: whether there is a traffic jam, and who is its culprit. */
import { html, type TemplateResult } from 'lit-html'
import { NO_LABEL, type Store } from './store.js'
import { duration, plural } from './words.js'

/** So much wait of the last minutes is worth a word. */
const TOLD_MS = 1000

export function verdictView(store: Store, filter: (text: string) => void): TemplateResult {
  const sources = [...store.sources.values()]
  const away = sources.flatMap(({ nodes }) => nodes.filter(({ isUp }) => !isUp))
  if (away[0] !== undefined) return html`<p class="verdict bad" role="status"><b>${away[0].name}</b> is away: ${away[0].reason ?? 'no answer'}.</p>`
  const queues = sources.flatMap(({ now }) => now.filter(({ waiting }) => waiting > 0))
  const waiting = queues.reduce((sum, session) => sum + session.waiting, 0)
  if (queues.length === 0) {
    const [slowest] = sources.flatMap(({ now }) => now.filter(({ isHeld }) => isHeld)).sort((one, other) => other.heldMs - one.heldMs)
    const holds = slowest === undefined ? '' : ` The longest hold: ${slowest.label ?? NO_LABEL}, for ${duration(slowest.heldMs)}.`
    const [worst] = store.routes()
    if (worst === undefined || worst.causedMs < TOLD_MS) return html`<p class="verdict calm" role="status">Nobody waits for a session.${holds}</p>`
    return html`<p class="verdict calm" role="status">Nobody waits just now. Most was waited for
      <button class="link" @click=${() => filter(worst.label)}>${worst.label}</button>: ${duration(worst.causedMs)} in five minutes.</p>`
  }
  // Whom most wait for, over all sessions.
  const blame = new Map<string, { waiting: number; heldMs: number; sessions: number }>()
  for (const session of queues) {
    const label = session.label ?? session.stranger ?? NO_LABEL
    const known = blame.get(label) ?? { waiting: 0, heldMs: 0, sessions: 0 }
    blame.set(label, { waiting: known.waiting + session.waiting, heldMs: Math.max(known.heldMs, session.heldMs), sessions: known.sessions + 1 })
  }
  const [culprit] = [...blame].sort(([, one], [, other]) => other.waiting - one.waiting)
  if (culprit === undefined) return html``
  const [label, { waiting: behind, heldMs, sessions }] = culprit
  const rest = waiting - behind
  const held = heldMs > 0 ? `, for up to ${duration(heldMs)}` : ''
  return html`<p class="verdict jam" role="status">
    <button class="link" @click=${() => filter(label)}>${label}</button> holds ${plural(sessions, 'session')}${held}: <b>${plural(behind, 'request')} ${behind === 1 ? 'waits' : 'wait'}</b> behind it${rest > 0 ? `, and ${String(rest)} behind others` : ''}.
  </p>`
}
