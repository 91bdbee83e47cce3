import type { Waiter } from './waiter.js'

/** Those who wait for one session, first come first. A list of its own: a Set costs each session more than its lock. */
export class Waiters {
  private head: Waiter | undefined
  private tail: Waiter | undefined
  private count = 0

  get first(): Waiter | undefined {
    return this.head
  }

  get size(): number {
    return this.count
  }

  add(waiter: Waiter): void {
    waiter.ahead = this.tail
    if (this.tail === undefined) this.head = waiter
    else this.tail.behind = waiter
    this.tail = waiter
    this.count++
  }

  /** Does nothing with one that has gone already. */
  remove(waiter: Waiter): void {
    const { ahead, behind } = waiter
    if (ahead === undefined && this.head !== waiter) return
    if (ahead === undefined) this.head = behind
    else ahead.behind = behind
    if (behind === undefined) this.tail = ahead
    else behind.ahead = ahead
    waiter.ahead = undefined
    waiter.behind = undefined
    this.count--
  }

  /** Those who wait now, for calls that change the list. */
  all(): Waiter[] {
    const all: Waiter[] = []
    for (let one = this.head; one !== undefined; one = one.behind) all.push(one)
    return all
  }
}
