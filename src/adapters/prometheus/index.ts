/**
 * What a manager does, as metrics of prom-client.
 *
 * @module latchkey/prometheus
 */
import { Counter, Gauge, Histogram, type OpenMetricsContentType, register, type Registry } from 'prom-client'
import { InvalidOptionError } from '../../errors.js'
import { channels } from '../../observe/channels.js'
import { checkNames } from '../../system/option-names.js'
import { processWide } from '../../system/process-wide.js'
import { VERSION } from '../../system/version.js'
import type { ManagerStats } from '../../session/manager-stats.js'
import type { NodeStats } from '../../wire/wire.js'
import type { SessionManager } from '../../session/session-manager.js'

type AnyRegistry = Registry | Registry<OpenMetricsContentType>

/** Where the metrics go, and under which name. */
export interface PrometheusOptions {
  /** Default: prom-client's own `register`. */
  readonly registry?: AnyRegistry
  /** The label `manager` of every metric; names must differ within a registry. Default `manager.name`. */
  readonly name?: string
}

const OPTIONS: ReadonlySet<string> = new Set<keyof PrometheusOptions>(['registry', 'name'])

/** The numbers of `stats()` that only grow, and what they are called. */
const COUNTERS = {
  latchkey_acquired_total: ['acquired', 'Sessions that were locked.'],
  latchkey_hand_offs_total: ['handOffs', 'Locks handed to the next request of this process in the committing flight.'],
  latchkey_grants_total: ['grants', 'Locks granted to another process that stood in line, or waited here.'],
  latchkey_rings_total: ['rings', 'Times that a holder of this host told a waiter that its session may be had.'],
  latchkey_polls_total: ['polls', 'Attempts that found the session locked by another process.'],
  latchkey_committed_total: ['committed', 'Changes that were stored.'],
  latchkey_fenced_total: ['fenced', 'Changes that were refused because the record had moved on.'],
  latchkey_lost_total: ['lost', 'Locks that went away while they were held.'],
  latchkey_unknown_total: ['unknown', 'Changes of which no answer was seen.'],
  latchkey_timeouts_total: ['timeouts', 'Requests that waited for waitMs in vain.'],
  latchkey_flights_total: ['flights', 'Round trips to the store.'],
} as const satisfies Record<string, readonly [keyof ManagerStats, string]>

const GAUGES = {
  latchkey_held: ['held', 'Sessions that are locked by this process now.'],
  latchkey_waiting: ['waiting', 'Requests of this process that wait for a session now.'],
} as const satisfies Record<string, readonly [keyof ManagerStats, string]>

/** The numbers of each node, with the label `node`. */
const NODE_COUNTERS = {
  latchkey_node_flights_total: ['flights', 'Round trips to this node.'],
  latchkey_node_failed_flights_total: ['failed', 'Round trips to this node that brought no reply: never sent, or not answered in time.'],
} as const satisfies Record<string, readonly [keyof NodeStats, string]>

/** Seconds: from one round trip to `waitMs` and `maxHoldMs`. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60]

/**
 * Registers a manager's metrics: histograms `latchkey_wait_seconds` (from asking for a session until it is locked or
 * refused, by `outcome`) and `latchkey_hold_seconds`, the counters of `manager.stats()`, gauges `latchkey_held` and
 * `latchkey_waiting`, and flights and failed flights of each node. Each has the label `manager`. Returns what ends it for this manager. Sends nothing.
 *
 * @throws LATCHKEY_INVALID_OPTION: the name is taken in this registry, or an option is unknown.
 */
export function instrumentPrometheus(manager: SessionManager, options: PrometheusOptions = {}): () => void {
  checkNames(options, OPTIONS)
  const { registry = register, name = manager.name } = options
  const { managers, wait, hold } = expositionOf(registry)
  if (managers.has(name)) {
    throw new InvalidOptionError(`name: "${name}" is instrumented in this registry already; give each manager its own.`)
  }
  managers.set(name, manager)
  const held = ({ heldMs }: { readonly heldMs: number }): void => hold.observe({ manager: name }, heldMs / 1000)
  const stops = [
    channels.acquire.onOver(({ outcome = 'ok', durationMs = 0 }) => {
      wait.observe({ manager: name, outcome }, durationMs / 1000)
    }, manager.name),
    channels.release.onOver(held, manager.name),
    channels.lost.onOver(held, manager.name),
  ]
  return () => {
    for (const stop of stops) stop()
    managers.delete(name)
  }
}

/** The metrics of one registry, and the managers that they are of. */
class Exposition {
  readonly managers = new Map<string, SessionManager>()
  readonly wait: Histogram<'manager' | 'outcome'>
  readonly hold: Histogram<'manager'>

  constructor(private readonly registry: AnyRegistry) {
    const { managers } = this
    const registers = [registry]
    this.wait = new Histogram({
      name: 'latchkey_wait_seconds',
      help: 'From asking for a session until it was locked, or until it was said why not.',
      labelNames: ['manager', 'outcome'],
      buckets: BUCKETS,
      registers,
    })
    this.hold = new Histogram({
      name: 'latchkey_hold_seconds',
      help: 'From locking a session until its holder let go of it, or lost it.',
      labelNames: ['manager'],
      buckets: BUCKETS,
      registers,
    })
    for (const [name, [field, help]] of Object.entries(COUNTERS)) {
      const collect = (): void => {
        counter.reset()
        for (const [manager, source] of managers) counter.inc({ manager }, source.stats()[field])
      }
      const counter = new Counter({ name, help, labelNames: ['manager'], registers, collect })
    }
    for (const [name, [field, help]] of Object.entries(NODE_COUNTERS)) {
      const collect = (): void => {
        counter.reset()
        for (const [manager, source] of managers) {
          for (const [node, stats] of Object.entries(source.stats().nodes)) counter.inc({ manager, node }, stats[field])
        }
      }
      const counter = new Counter({ name, help, labelNames: ['manager', 'node'], registers, collect })
    }
    for (const [name, [field, help]] of Object.entries(GAUGES)) {
      const collect = (): void => {
        gauge.reset()
        for (const [manager, source] of managers) gauge.set({ manager }, source.stats()[field])
      }
      const gauge = new Gauge({ name, help, labelNames: ['manager'], registers, collect })
    }
  }

  /** A registry may have been cleared in the meantime. */
  get isRegistered(): boolean {
    return this.registry.getSingleMetric('latchkey_wait_seconds') !== undefined
  }
}

const expositions = processWide(`expositions of ${VERSION}`, () => new WeakMap<AnyRegistry, Exposition>())

function expositionOf(registry: AnyRegistry): Exposition {
  const known = expositions.get(registry)
  if (known?.isRegistered === true) return known
  const exposition = new Exposition(registry)
  expositions.set(registry, exposition)
  return exposition
}
