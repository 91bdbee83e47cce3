import type { Link } from '../../neighbours/neighbours.js'
import { free } from './words.js'

interface Guest {
  readonly link: Link
  /** The name of its queue. */
  readonly self: string
}

/** What one neighbour may ask for at a time. */
const MAX_GUESTS_OF_LINK = 4096

/** Queues of other processes that wait here, by the name of the queue that they wait for; first come first. */
export class Guests {
  private readonly guests = new Map<string, Guest[]>()
  private readonly counts = new Map<Link, number>()

  /** False when this neighbour has too many here. Once more does no harm. */
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

  /** The neighbour has gone. */
  forget(link: Link): void {
    if (!this.counts.has(link)) return
    for (const instance of [...this.guests.keys()]) this.keep(instance, (guest) => guest.link !== link)
    this.counts.delete(link)
  }

  /** Sends all of them to ask for the lock. */
  ring(instance: string): void {
    if (this.guests.size === 0) return
    const told = this.guests.get(instance)
    this.keep(instance, () => false)
    for (const { link } of told ?? []) link.send(free(instance))
  }

  private keep(instance: string, stays: (guest: Guest) => boolean): void {
    const present = this.guests.get(instance)
    if (present === undefined) return
    const staying = present.filter(stays)
    for (const guest of present) if (!staying.includes(guest)) this.counts.set(guest.link, (this.counts.get(guest.link) ?? 1) - 1)
    if (staying.length === 0) this.guests.delete(instance)
    else this.guests.set(instance, staying)
  }
}
