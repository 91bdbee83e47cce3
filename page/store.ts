/** What the page has been told, in bounded memory: lists lose their oldest, sums their oldest minutes. */
import type { Frame, HoldShown, NodeShown, NowShown, RouteShown, SourceInfo, WaitShown } from '../src/adapters/inspector/frame.js'
import { RouteSum } from '../src/adapters/inspector/route-sum.js'

/** A request at its session: it waited, held, or both. Times of this browser's clock, in milliseconds since 1970. */
export interface Visit {
  readonly key: string
  readonly source: string
  readonly session: string
  readonly label: string
  readonly waitFromMs: number | undefined
  readonly holdFromMs: number | undefined
  readonly overMs: number
  /** It goes on. */
  readonly isNow: boolean
  /** Of the hold, or of the wait where there was none. */
  readonly outcome: string
  readonly reason: string | undefined
  readonly over: string | undefined
  readonly stranger: string | undefined
  readonly handedOn: boolean
  readonly causedMs: number
  readonly leaseLeftMs: number | undefined
  readonly waiting: number
  /** Another request has stored over what this one had stored. */
  isErased?: boolean
}

export interface Mark {
  readonly source: string
  readonly session: string
  readonly kind: string
  readonly atMs: number
  readonly outcome: string
}

export class LabelSum extends RouteSum {
  constructor(readonly label: string) {
    super()
  }
}

const MOST_VISITS = 3000
const MOST_MARKS = 500
const BUCKET_MS = 10_000
const BUCKETS = 30
const MOST_LABELS = 200
export const SECONDS = 300

export const NO_LABEL = '(no label)'

/** One point a second. */
export interface Series {
  readonly atSec: number[]
  readonly values: Record<string, (number | null)[]>
}

export const SERIES = ['acquired', 'waiting', 'handOffs', 'longestMs', 'troubles'] as const

/** Everything of one source. */
export class SourceState {
  offsetMs: number | undefined
  now: readonly NowShown[] = []
  atMs = 0
  counters: Readonly<Record<string, number>> = {}
  nodes: readonly NodeShown[] = []
  state = ''
  constructor(public info: SourceInfo) {}

  of(info: SourceInfo): this {
    this.info = info
    // Who is not seen any more holds and waits for nothing that could be known.
    if (info.problem !== undefined) this.now = []
    return this
  }
}

export class Store {
  sources = new Map<string, SourceState>()
  visits: Visit[] = []
  marks: Mark[] = []
  dropped = 0
  skipped = 0
  replay: string | undefined
  version = ''
  readonly series: Series = { atSec: [], values: Object.fromEntries(SERIES.map((name) => [name, []])) }
  private buckets: { readonly fromMs: number; readonly sums: Map<string, LabelSum> }[] = []
  private count = 0
  private lastSecond = 0
  private secondLongestMs = 0
  private before: Readonly<Record<string, number>> | undefined

  hello({ sources, replay, version }: { sources: readonly SourceInfo[]; replay?: string; version: string }): void {
    this.sources = new Map(sources.map((info) => [info.source, this.sources.get(info.source)?.of(info) ?? new SourceState(info)]))
    this.replay = replay
    this.version = version
    this.before = undefined
  }

  add(frames: readonly Frame[], skipped: number, receivedMs: number): void {
    this.skipped += skipped
    for (const frame of frames) {
      const source = this.sources.get(frame.source)
      if (source !== undefined) this.addFrame(source, frame, receivedMs)
    }
    this.addSecond(receivedMs)
  }

  private addFrame(source: SourceState, frame: Frame, receivedMs: number): void {
    // Clocks differ, and frames may be late: what came quickest tells the difference best. It follows a clock that is set.
    const offsetMs = receivedMs - frame.atMs
    const knownMs = source.offsetMs ?? offsetMs
    source.offsetMs = offsetMs < knownMs ? offsetMs : knownMs + (offsetMs - knownMs) / 200
    const shift = source.offsetMs
    source.now = frame.now
    source.atMs = frame.atMs + shift
    source.counters = frame.counters
    if (frame.nodes !== undefined) source.nodes = frame.nodes
    if (frame.state !== undefined) source.state = frame.state
    this.dropped += frame.dropped
    const waits = frame.waits.map((wait) => this.waited(frame.source, wait, shift))
    const fresh = [...waits]
    for (const hold of frame.holds) this.addHold(frame.source, hold, shift, fresh)
    this.visits.push(...fresh)
    if (!source.info.isLocking) for (const visit of fresh) this.markErased(visit)
    if (this.visits.length > MOST_VISITS) this.visits = this.visits.slice(-MOST_VISITS)
    this.marks.push(...frame.marks.map((mark) => ({ ...mark, source: frame.source, atMs: mark.atMs + shift })))
    if (this.marks.length > MOST_MARKS) this.marks = this.marks.slice(-MOST_MARKS)
    for (const route of frame.routes) this.addRoute({ ...route, label: route.label ?? NO_LABEL }, receivedMs)
    const waitsMs = [...frame.now.flatMap(({ waiters }) => waiters), ...frame.waits].map(({ waitedMs }) => waitedMs)
    this.secondLongestMs = Math.max(this.secondLongestMs, ...waitsMs)
  }

  private waited(source: string, wait: WaitShown, shift: number): Visit {
    return {
      key: `v${String(++this.count)}`,
      source,
      session: wait.session,
      label: wait.label ?? NO_LABEL,
      waitFromMs: wait.sinceMs + shift,
      holdFromMs: undefined,
      overMs: wait.sinceMs + shift + wait.waitedMs,
      isNow: false,
      outcome: wait.outcome,
      reason: wait.reason,
      over: undefined,
      stranger: wait.stranger,
      handedOn: false,
      causedMs: 0,
      leaseLeftMs: undefined,
      waiting: 0,
    }
  }

  /** A hold goes on where its wait has ended. The wait may have come with an earlier frame. */
  private addHold(source: string, hold: HoldShown, shift: number, fresh: Visit[]): void {
    const label = hold.label ?? NO_LABEL
    const fromMs = hold.sinceMs + shift
    const isItsWait = (visit: Visit): boolean =>
      visit.source === source && visit.session === hold.session && visit.label === label && visit.holdFromMs === undefined &&
      visit.outcome === 'ok' && Math.abs(visit.overMs - fromMs) < Math.max(25, Math.min(hold.heldMs, 100))
    const visit: Visit = {
      key: `v${String(++this.count)}`,
      source,
      session: hold.session,
      label,
      waitFromMs: undefined,
      holdFromMs: fromMs,
      overMs: fromMs + hold.heldMs,
      isNow: false,
      outcome: hold.outcome,
      reason: hold.reason,
      over: hold.over,
      stranger: undefined,
      handedOn: hold.to === 'waiter',
      causedMs: hold.causedMs,
      leaseLeftMs: undefined,
      waiting: 0,
    }
    for (const list of [fresh, this.visits]) {
      const at = list.findIndex(isItsWait)
      const wait = list[at]
      if (wait === undefined) continue
      list.splice(at, 1)
      fresh.push({ ...visit, key: wait.key, waitFromMs: wait.waitFromMs, stranger: wait.stranger })
      return
    }
    fresh.push(visit)
  }

  private markErased(by: Visit): void {
    if (by.outcome !== 'overwrote' || by.holdFromMs === undefined) return
    for (const visit of this.visits) {
      if (visit !== by && visit.source === by.source && visit.session === by.session && visit.overMs > by.holdFromMs && visit.overMs < by.overMs) visit.isErased = true
    }
  }

  /** Sessions that are held, or waited for, now, as visits. */
  nowVisits(): Visit[] {
    return [...this.sources.values()].flatMap(({ info, now, atMs }) => now.flatMap((session) => nowVisits(info.source, session, atMs)))
  }

  // Sums

  private addRoute(route: RouteShown & { readonly label: string }, atMs: number): void {
    let bucket = this.buckets.at(-1)
    if (bucket === undefined || atMs - bucket.fromMs >= BUCKET_MS) {
      bucket = { fromMs: atMs, sums: new Map() }
      this.buckets = [...this.buckets.slice(1 - BUCKETS), bucket]
    }
    const label = bucket.sums.size < MOST_LABELS || bucket.sums.has(route.label) ? route.label : '(others)'
    const sum = bucket.sums.get(label) ?? new LabelSum(label)
    sum.add(route)
    bucket.sums.set(label, sum)
  }

  /** Of the last minutes; what goes on is counted as far as it has come. */
  routes(): LabelSum[] {
    const sums = new Map<string, LabelSum>()
    const sumOf = (label: string): LabelSum => {
      const sum = sums.get(label) ?? new LabelSum(label)
      sums.set(label, sum)
      return sum
    }
    for (const bucket of this.buckets) for (const sum of bucket.sums.values()) sumOf(sum.label).add(sum)
    for (const { now } of this.sources.values()) {
      for (const session of now) {
        if (!session.isHeld) continue
        const sum = sumOf(session.label ?? NO_LABEL)
        sum.longestMs = Math.max(sum.longestMs, session.heldMs)
        sum.heldMs += session.heldMs
        sum.holds++
        sum.causedMs += session.waiters.reduce((total, { waitedMs }) => total + Math.min(waitedMs, session.heldMs), 0) * (session.waiting / Math.max(session.waiters.length, 1))
      }
    }
    return [...sums.values()].sort((one, other) => other.causedMs - one.causedMs || other.longestMs - one.longestMs)
  }

  total(counter: string): number {
    let total = 0
    for (const { counters } of this.sources.values()) total += counters[counter] ?? 0
    return total
  }

  private addSecond(atMs: number): void {
    const second = Math.floor(atMs / 1000)
    if (second === this.lastSecond) return
    const after = Object.fromEntries(['acquired', 'handOffs', 'fenced', 'lost', 'unknown', 'timeouts'].map((name) => [name, this.total(name)]))
    const { before } = this
    const passedSec = this.lastSecond === 0 ? 1 : Math.min(second - this.lastSecond, 60)
    this.before = after
    this.lastSecond = second
    if (before === undefined) return
    const grown = (...names: string[]): number => Math.max(0, names.reduce((sum, name) => sum + (after[name] ?? 0) - (before[name] ?? 0), 0))
    this.series.atSec.push(second)
    const point = { acquired: grown('acquired') / passedSec, handOffs: grown('handOffs') / passedSec, waiting: this.total('waiting'), longestMs: this.secondLongestMs, troubles: grown('fenced', 'lost', 'unknown', 'timeouts') }
    for (const name of SERIES) this.series.values[name]?.push(point[name])
    this.secondLongestMs = 0
    if (this.series.atSec.length <= SECONDS) return
    for (const list of [this.series.atSec, ...Object.values(this.series.values)]) list.shift()
  }
}

function nowVisits(source: string, { session, isHeld, label, heldMs, leaseLeftMs, waiting, waiters, stranger }: NowShown, atMs: number): Visit[] {
  const common = { source, session, overMs: atMs, isNow: true, outcome: 'now', reason: undefined, over: undefined, handedOn: false, causedMs: 0 }
  const holder: Visit[] = isHeld
    ? [{ ...common, key: `h${source}${session}`, label: label ?? NO_LABEL, waitFromMs: undefined, holdFromMs: atMs - heldMs, stranger: undefined, leaseLeftMs, waiting }]
    : []
  const queue = waiters.map((waiter, index): Visit => ({
    ...common,
    key: `w${source}${session}${String(index)}`,
    label: waiter.label ?? NO_LABEL,
    waitFromMs: atMs - waiter.waitedMs,
    holdFromMs: undefined,
    stranger: stranger ?? (isHeld ? label : undefined),
    leaseLeftMs: undefined,
    waiting: 0,
  }))
  return [...holder, ...queue]
}
