import { InvalidOptionError } from '../errors.js'
import type { Clock } from '../system/clock.js'
import type { ListStage } from '../wire/replica-nodes.js'
import { FlightError, type Probe, type Wire } from '../wire/wire.js'
import { checkNames } from '../system/option-names.js'
import { shown } from './option-checks.js'

/** How `manager.health()` looks. */
export interface HealthOptions {
  /** Milliseconds after which a node that has not answered counts as away. 1 to 60 000. Default 500. */
  readonly withinMs?: number
}

/** Whether sessions can be had now. Plain data, without credentials: it can be sent as JSON. */
export interface Health {
  /**
   * `ready`: every session can be had. `degraded`: at least one node does not answer, so the sessions that live there cannot
   * be had; where sessions are replicated, so many do not, or do not know what they should have, that some session may have no
   * majority.
   * `closing`: the manager is being closed, or is; nothing was asked.
   */
  readonly state: 'ready' | 'degraded' | 'closing'
  /**
   * How far the list of nodes is changed, where the save path is that of a change (`change=`), as far as the nodes that answer say:
   * `before` (every process is to get this save path, then `npx latchkey repair` to be run), `moving` (sessions are carried over; if no
   * repair runs, run it), `ended` (every process is to get the new list). Undefined: it is not being changed.
   */
  readonly listChange: 'before' | 'moving' | 'ended' | undefined
  readonly nodes: readonly NodeHealth[]
}

/** Whether one node answers. */
export interface NodeHealth {
  /** As in `manager.stats().nodes`; `memory` or `file`, say, where there is one store alone. */
  readonly name: string
  readonly isUp: boolean
  /** How long the answer took; undefined of one that is away. */
  readonly latencyMs: number | undefined
  /**
   * It came back empty, and what it had is on the other nodes alone (`replicas`): `npx latchkey repair` puts it back. Sessions can
   * be had, as long as no other node is lost. False where it is not known.
   */
  readonly isEmptied: boolean
  /** When the first of the looks in a row found it away, in milliseconds since 1970. */
  readonly awaySinceMs: number | undefined
  /** What was wrong. */
  readonly reason: string | undefined
}

/** What is looked at. */
interface Patient {
  readonly wire: Wire
  readonly isClosed: boolean
  readonly settings: { readonly clock: Clock }
}

/** Looks whether the nodes answer, and remembers since when one does not. */
export class HealthCheck {
  private looking: Promise<Health> | undefined
  private readonly awaySinceMs = new Map<string, number>()

  constructor(private readonly patient: Patient) {}

  async look(options: HealthOptions): Promise<Health> {
    checkNames(options, OPTIONS)
    const { withinMs = 500 } = options
    if (!(typeof withinMs === 'number' && withinMs >= 1 && withinMs <= 60_000)) {
      throw new InvalidOptionError(`withinMs is ${shown(withinMs)}; it must be a number from 1 to 60000.`)
    }
    if (this.patient.isClosed) return { state: 'closing', listChange: undefined, nodes: [] }
    this.looking ??= this.lookNow(withinMs).finally(() => {
      this.looking = undefined
    })
    return this.looking
  }

  private async lookNow(withinMs: number): Promise<Health> {
    const probes = probesOf(this.patient.wire)
    const nodes = await Promise.all(probes.map((probe) => this.ask(probe, withinMs)))
    const heard = probes.filter((_probe, at) => nodes[at]?.isUp === true)
    const listChange = listChangeOf(heard.flatMap((probe) => probe.stage?.() ?? []))
    const { quorum } = this.patient.wire
    const mayBeAway = quorum === undefined ? 0 : quorum.replicas - quorum.majority
    const away = nodes.length - heard.length
    // While all answer there is nothing that they do not know together.
    const ignorant = away === 0 ? 0 : heard.filter((probe) => probe.isIgnorant?.() === true).length
    return { state: away + ignorant <= mayBeAway ? 'ready' : 'degraded', listChange, nodes }
  }

  private async ask(probe: Probe, withinMs: number): Promise<NodeHealth> {
    const { name } = probe
    const { clock } = this.patient.settings
    const sinceMs = clock.nowMs()
    const reason = await within(withinMs, clock, () => probe.ask())
    if (reason === undefined) {
      this.awaySinceMs.delete(name)
      return { name, isUp: true, latencyMs: clock.nowMs() - sinceMs, isEmptied: probe.isEmptied?.() === true, awaySinceMs: undefined, reason }
    }
    const awaySinceMs = this.awaySinceMs.get(name) ?? clock.wallMs()
    this.awaySinceMs.set(name, awaySinceMs)
    return { name, isUp: false, latencyMs: undefined, isEmptied: false, awaySinceMs, reason }
  }
}

const OPTIONS = new Set(['withinMs'])

/** It has ended when the last node says so: a node that joins is the last. */
function listChangeOf(stages: readonly ListStage[]): Health['listChange'] {
  if (stages.length === 0) return undefined
  return stages.every((stage) => stage === 'old') ? 'before' : stages.every((stage) => stage === 'new') ? 'ended' : 'moving'
}

/** A wire that does not say how its nodes are asked is one store: a look at a key that no session has. */
const probesOf = (wire: Wire): readonly Probe[] =>
  wire.probes?.() ?? [{ name: wire.store?.name ?? 'store', ask: () => wire.flight('-health', [{ op: 'get', key: '-health' }]) }]

/** Why there was no answer in time; undefined: there was one. */
function within(ms: number, clock: Clock, ask: () => Promise<unknown>): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(() => {
      resolve(`no answer within ${String(ms)} ms`)
    }, ms)
    ask()
      .then(() => undefined, reasonOf)
      .then((reason) => {
        timer.cancel()
        resolve(reason)
      }, reject)
  })
}

/** Anything but a FlightError is a bug of the wire. */
function reasonOf(error: unknown): string {
  if (error instanceof FlightError) return error.message
  throw error
}
