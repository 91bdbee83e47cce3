import type { RouteShown } from './frame.js'
import { RouteSum } from './route-sum.js'

/** The sums of one label. */
class Route extends RouteSum {
  get weight(): number {
    return this.heldMs + this.waitedMs + this.causedMs
  }

  shown(label: string | undefined): RouteShown {
    const { holds, waits, failures } = this
    return {
      label,
      holds,
      heldMs: Math.round(this.heldMs),
      longestMs: Math.round(this.longestMs),
      waits,
      waitedMs: Math.round(this.waitedMs),
      causedMs: Math.round(this.causedMs),
      failures,
    }
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
