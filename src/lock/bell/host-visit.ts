import type { HeldElsewhere, Visit, Visitor } from '../protocol/bell.js'
import { left, wait } from './words.js'

/** The connection to the visited process. */
interface Street {
  say(line: string): void
  onLeft(visit: HostVisit): void
}

/** The visit of one queue at another process of this host. */
export class HostVisit implements Visit {
  isDeserted = false
  hasNews = false
  wasAnswered = false
  private isAnswered = false

  constructor(
    private readonly street: Street,
    private readonly lock: HeldElsewhere,
    private readonly visitor: Visitor,
  ) {}

  get instance(): string {
    return this.lock.instance
  }

  takeNews(): boolean {
    const { hasNews } = this
    this.hasNews = false
    return hasNews
  }

  isStillHeld(): boolean {
    // The store is asked next, and says who has it then.
    if (this.hasNews) return false
    const { isAnswered } = this
    this.ask()
    return isAnswered
  }

  leave(): void {
    this.street.say(left(this.instance, this.visitor.instance))
    this.street.onLeft(this)
  }

  ask(): void {
    this.isAnswered = false
    this.street.say(wait(this.instance, this.visitor.instance, this.lock.id))
  }

  heardHeld(): void {
    this.isAnswered = true
    this.wasAnswered = true
  }

  heardFree(): void {
    this.hasNews = true
    this.visitor.onNews()
  }

  heardNobody(): void {
    this.isDeserted = true
    this.heardFree()
  }
}
