import type { Waiter } from './waiter.js'

/**
 * The waiters of one session, in the order of their arrival. A linked list,
 * because a Set would cost more than the lock.
 */
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

  /** Takes the waiter out; does nothing if it has been taken out already. */
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

  /** A copy of the present waiters (of the first `most`), so that the caller may change the list while going through them. */
  all(most = Infinity): Waiter[] {
    const all: Waiter[] = []
    for (let one = this.head; one !== undefined && all.length < most; one = one.behind) all.push(one)
    return all
  }
}
