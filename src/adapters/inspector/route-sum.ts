/** What the requests of one label did, summed up: by the process, and again by the page. */
import type { RouteShown } from './frame.js'

type Figures = Omit<RouteShown, 'label'>

export class RouteSum implements Figures {
  holds = 0
  heldMs = 0
  longestMs = 0
  waits = 0
  waitedMs = 0
  causedMs = 0
  failures = 0

  add(more: Figures): void {
    this.holds += more.holds
    this.heldMs += more.heldMs
    this.longestMs = Math.max(this.longestMs, more.longestMs)
    this.waits += more.waits
    this.waitedMs += more.waitedMs
    this.causedMs += more.causedMs
    this.failures += more.failures
  }
}
