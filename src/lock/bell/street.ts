import type { Link, LinkEnd, LinkOwner, Neighbours } from '../../neighbours/neighbours.js'
import type { Clock, Timer } from '../../system/clock.js'
import type { HeldElsewhere, Visitor } from '../protocol/bell.js'
import { HostVisit } from './host-visit.js'
import { read } from './words.js'

/**
 * The pauses before a link that broke off is tried again. A connection to a process that was killed a moment ago may
 * still succeed, and then break off; a living process without a free file descriptor breaks off the connections that it
 * accepts.
 */
const RETRY_AFTER_MS = [0, 4, 16, 64]

/** The link to one other process, and the visits of this process's queues there. */
export class Street implements LinkOwner {
  private readonly visits = new Map<string, HostVisit>()
  private link: Link
  private retries = 0
  private retry: Timer | undefined

  constructor(
    private readonly address: string,
    /** The ways to that process, the best one first. */
    private ways: readonly [Neighbours, ...Neighbours[]],
    private readonly clock: Clock,
    /** Called when the link has ended for good. */
    private readonly onEnded: (street: Street) => void,
  ) {
    this.link = ways[0].call(address, this)
  }

  visit(lock: HeldElsewhere, visitor: Visitor): HostVisit {
    const visit = new HostVisit(this, lock, visitor)
    this.visits.set(lock.instance, visit)
    visit.ask()
    return visit
  }

  say(line: string): void {
    this.link.send(line)
  }

  onLeft(visit: HostVisit): void {
    if (this.visits.get(visit.instance) === visit) this.visits.delete(visit.instance)
  }

  onLine(line: string): void {
    this.retries = 0
    const { word, instance } = read(line)
    const visit = this.visits.get(instance)
    if (word === 'held') visit?.heardHeld()
    else if (word === 'free') visit?.heardFree()
  }

  onEnd(how: LinkEnd): void {
    const [, next, ...more] = this.ways
    if (how === 'unreachable' && next !== undefined) {
      this.ways = [next, ...more]
      this.callAgain()
      return
    }
    const delayMs = RETRY_AFTER_MS[this.retries]
    if (how === 'ended' && delayMs !== undefined && this.visits.size > 0) {
      this.retries++
      this.retry = this.clock.setTimer(() => this.callAgain(), delayMs, { background: true })
      return
    }
    this.onEnded(this)
    // Only a door without a process behind it says that the process has ended. A process that merely cannot be reached
    // may be alive; if its lock were taken, its write would be refused and its work lost.
    if (how === 'refused') for (const visit of [...this.visits.values()]) visit.heardNobody()
  }

  close(): void {
    this.retry?.cancel()
    this.link.close()
  }

  private callAgain(): void {
    this.link = this.ways[0].call(this.address, this)
    for (const visit of this.visits.values()) visit.ask()
  }
}
