import type { Attributes, BatchObservableCallback, Meter } from '@opentelemetry/api'
import { channels } from '../../observe/channels.js'
import type { ManagerStats } from '../../session/manager-stats.js'
import type { SessionManager } from '../../session/session-manager.js'
import { attributesOf } from './conventions.js'

/** The numbers of `stats()` that only grow, and what they are called. */
const COUNTERS = {
  'latchkey.acquired': 'acquired',
  'latchkey.hand_offs': 'handOffs',
  'latchkey.grants': 'grants',
  'latchkey.rings': 'rings',
  'latchkey.polls': 'polls',
  'latchkey.committed': 'committed',
  'latchkey.fenced': 'fenced',
  'latchkey.lost': 'lost',
  'latchkey.unknown': 'unknown',
  'latchkey.timeouts': 'timeouts',
  'latchkey.flights': 'flights',
} as const satisfies Record<string, keyof ManagerStats>

const GAUGES = { 'latchkey.held': 'held', 'latchkey.waiting': 'waiting' } as const satisfies Record<string, keyof ManagerStats>

/** Seconds, as the conventions advise for `db.client.operation.duration`. */
const DATABASE_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
const LOCK_BUCKETS = [...DATABASE_BUCKETS, 20, 60]

export function measure(manager: SessionManager, meter: Meter): () => void {
  const base: Attributes = { 'latchkey.manager': manager.name }
  const seconds = (name: string, description: string, explicitBucketBoundaries: number[]) =>
    meter.createHistogram(name, { unit: 's', description, advice: { explicitBucketBoundaries } })
  const operation = seconds('db.client.operation.duration', 'Duration of database client operations.', DATABASE_BUCKETS)
  const wait = seconds('latchkey.wait.duration', 'From asking for a session until it was locked or refused.', LOCK_BUCKETS)
  const hold = seconds('latchkey.hold.duration', 'From locking a session until it was let go or lost.', LOCK_BUCKETS)
  const held = ({ heldMs }: { readonly heldMs: number }): void => hold.record(heldMs / 1000, base)
  const stops = [
    channels.flight.onOver((event) => {
      if (event.node === undefined) return
      operation.record((event.durationMs ?? 0) / 1000, { ...base, ...attributesOf(event, event.node) })
    }, manager.name),
    channels.acquire.onOver(({ durationMs = 0, outcome = 'ok' }) => {
      wait.record(durationMs / 1000, outcome === 'ok' ? base : { ...base, 'error.type': outcome })
    }, manager.name),
    channels.release.onOver(held, manager.name),
    channels.lost.onOver(held, manager.name),
    observeStats(manager, meter, base),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

/** Read from `stats()` when metrics are collected, so that nothing is counted twice, and what came before is not missing. */
function observeStats(manager: SessionManager, meter: Meter, base: Attributes): () => void {
  const counters = Object.entries(COUNTERS).map(([name, field]) => [meter.createObservableCounter(name), field] as const)
  const gauges = Object.entries(GAUGES).map(([name, field]) => [meter.createObservableUpDownCounter(name), field] as const)
  const all = [...counters, ...gauges]
  const instruments = all.map(([instrument]) => instrument)
  const collect: BatchObservableCallback = (result) => {
    const stats = manager.stats()
    for (const [instrument, field] of all) result.observe(instrument, stats[field], base)
  }
  meter.addBatchObservableCallback(collect, instruments)
  return () => {
    meter.removeBatchObservableCallback(collect, instruments)
  }
}
