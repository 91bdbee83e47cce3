import type { RouteShown } from './frame.js'

/** The sums of one label. */
class Route {
  holds = 0
  heldMs = 0
  longestMs = 0
  waits = 0
  waitedMs = 0
  causedMs = 0
  failures = 0

  get weight(): number {
    return this.heldMs + this.waitedMs + this.causedMs
  }

  add(other: Route): void {
    this.holds += other.holds
    this.heldMs += other.heldMs
    this.longestMs = Math.max(this.longestMs, other.longestMs)
    this.waits += other.waits
    this.waitedMs += other.waitedMs
    this.causedMs += other.causedMs
    this.failures += other.failures
  }

  shown(label: string | undefined): RouteShown {
    const { holds, waits, failures } = this
    const [heldMs, longestMs, waitedMs, causedMs] = [this.heldMs, this.longestMs, this.waitedMs, this.causedMs].map(Math.round) as [number, number, number, number]
    return { label, holds, heldMs, longestMs, waits, waitedMs, causedMs, failures }
  }
}

/** An application that puts something of each request into its labels would fill the memory otherwise. */
const MOST_LABELS = 500
const MOST_SHOWN = 40
const OTHERS = Symbol('others')

/** What the requests of each label did since the last look. Keys are labels as JSON; '' is none. */
export class Routes {
  private sums = new Map<string | typeof OTHERS, Route>()

  of(label: string): Route {
    const known = this.sums.get(label)
    if (known !== undefined) return known
    const key = this.sums.size < MOST_LABELS ? label : OTHERS
    const route = this.sums.get(key) ?? new Route()
    this.sums.set(key, route)
    return route
  }

  /** The heaviest, and all others as one; from here on it counts anew. */
  take(): RouteShown[] {
    const others = new Route()
    const named: [string, Route][] = []
    for (const [label, route] of this.sums) {
      if (label === OTHERS) others.add(route)
      else named.push([label, route])
    }
    this.sums = new Map()
    named.sort(([, one], [, other]) => other.weight - one.weight)
    for (const [, route] of named.slice(MOST_SHOWN)) others.add(route)
    const shown = named.slice(0, MOST_SHOWN).map(([label, route]) => route.shown(textOf(label)))
    return others.holds + others.waits === 0 ? shown : [...shown, { ...others.shown(undefined), label: '(others)' }]
  }
}

/** The label of a token, or of a waiter, which is JSON; undefined where there is none. */
export function textOf(label: string): string | undefined {
  if (label === '') return undefined
  try {
    return String(JSON.parse(label))
  } catch {
    return label
  }
}
