import type { Store } from './store.js'

/** Everything that the page remembers, as JSON. */
export function exported(store: Store): string {
  const sources = [...store.sources.values()].map(({ info, now, counters, nodes, state }) => ({ ...info, state, counters, nodes, now }))
  const { visits, marks, dropped, series } = store
  return JSON.stringify({ exportedAt: new Date().toISOString(), version: store.version, sources, visits, marks, routes: store.routes(), series, dropped }, null, 1)
}
