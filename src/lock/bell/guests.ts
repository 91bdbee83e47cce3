import type { Link } from '../../neighbours/neighbours.js'
import { free } from './words.js'

interface Guest {
  readonly link: Link
  /** The name of the queue that waits. */
  readonly self: string
}

/** For how many locks one neighbour may wait here at a time; a bound to the memory that it can make us use. */
const MAX_GUESTS_OF_LINK = 4096

/**
 * The queues of other processes that wait here, by the name of the queue they wait for, in the order of their arrival.
 */
export class Guests {
  private readonly guests = new Map<string, Guest[]>()
  private readonly counts = new Map<Link, number>()

  /** Adds a guest; does nothing if it is here already. Returns false when its neighbour has too many guests here. */
  add(instance: string, guest: Guest): boolean {
    const present = this.guests.get(instance)
    if (present?.some(({ link, self }) => link === guest.link && self === guest.self)) return true
    const count = this.counts.get(guest.link) ?? 0
    if (count >= MAX_GUESTS_OF_LINK) return false
    this.counts.set(guest.link, count + 1)
    if (present === undefined) this.guests.set(instance, [guest])
    else present.push(guest)
    return true
  }

  first(instance: string): string | undefined {
    return this.guests.get(instance)?.[0]?.self
  }

  remove(instance: string, link: Link, self: string): void {
    this.keep(instance, (guest) => guest.link !== link || guest.self !== self)
  }

  /** Removes all guests of a neighbour that has gone. */
  forget(link: Link): void {
    if (!this.counts.has(link)) return
    for (const instance of [...this.guests.keys()]) this.keep(instance, (guest) => guest.link !== link)
    this.counts.delete(link)
  }

  /** Tells all guests who wait for `instance` that the lock may be free, and removes them. */
  ring(instance: string): void {
    if (this.guests.size === 0) return
    const told = this.guests.get(instance)
    this.keep(instance, () => false)
    for (const { link } of told ?? []) link.send(free(instance))
  }

  private keep(instance: string, stays: (guest: Guest) => boolean): void {
    const staying: Guest[] = []
    for (const guest of this.guests.get(instance) ?? []) {
      if (stays(guest)) staying.push(guest)
      else this.counts.set(guest.link, (this.counts.get(guest.link) ?? 1) - 1)
    }
    if (staying.length === 0) this.guests.delete(instance)
    else this.guests.set(instance, staying)
  }
}
