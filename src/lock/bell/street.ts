import type { Link, LinkEnd, LinkOwner, Neighbours } from '../../neighbours/neighbours.js'
import type { Clock, Timer } from '../../system/clock.js'
import type { HeldElsewhere, Visitor } from '../protocol/bell.js'
import { HostVisit } from './host-visit.js'
import { read } from './words.js'

/**
 * When a link that broke off is tried again. A connection to a process that was killed a moment ago may succeed, and
 * break off; and a living process that has no file descriptor left breaks off what it accepts.
 */
const RETRY_AFTER_MS = [0, 4, 16, 64]

/** The way to one other process, and the queues of this one that wait there. */
export class Street implements LinkOwner {
  private readonly visits = new Map<string, HostVisit>()
  private link: Link
  private retries = 0
  private retry: Timer | undefined

  constructor(
    private readonly address: string,
    private readonly neighbours: Neighbours,
    private readonly clock: Clock,
    /** It leads nowhere any more. */
    private readonly onEnded: (street: Street) => void,
  ) {
    this.link = neighbours.call(address, this)
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
    const delayMs = RETRY_AFTER_MS[this.retries]
    if (how === 'ended' && delayMs !== undefined && this.visits.size > 0) {
      this.retries++
      this.retry = this.clock.setTimer(() => this.callAgain(), delayMs, { background: true })
      return
    }
    this.onEnded(this)
    // Only a door without a process behind it says that the process has ended. What is merely not reached may be alive:
    // to take its lock would cost it its work.
    if (how === 'refused') for (const visit of [...this.visits.values()]) visit.heardNobody()
  }

  close(): void {
    this.retry?.cancel()
    this.link.close()
  }

  private callAgain(): void {
    this.link = this.neighbours.call(this.address, this)
    for (const visit of this.visits.values()) visit.ask()
  }
}
