import { openDoors } from '../../neighbours/doors.js'
import type { Door, DoorOwner, Link, LinkOwner, Neighbours } from '../../neighbours/neighbours.js'
import type { PostNeighbours } from '../../neighbours/post-neighbours.js'
import type { Clock } from '../../system/clock.js'
import type { Bell, HeldElsewhere, House, Visit, Visitor } from '../protocol/bell.js'
import { Guests } from './guests.js'
import { Street } from './street.js'
import { free, held, read } from './words.js'

/** The ways in which a process reaches others; a way that does not exist is left out. */
export interface Reach {
  /** Those of this host. */
  readonly here: Neighbours | undefined
  /** Those of any host, through the store. */
  readonly abroad: PostNeighbours | undefined
}

/** The bell between processes: of one host by its neighbours, of several by the store's post, where it has one. */
export class HostBell implements Bell, DoorOwner {
  address: string | undefined
  private house: House | undefined
  private door: Door | undefined
  private isClosed = false
  private readonly guests = new Guests()
  private readonly streets = new Map<string, Street>()

  constructor(
    private readonly reach: Reach,
    private readonly clock: Clock,
    /**
     * The name of this host, as its tokens say it. Hosts that share a
     * directory cannot reach each other's sockets in it.
     */
    private readonly host: string,
  ) {}

  open(house: House): void {
    if (this.house !== undefined) return
    this.house = house
    this.door = openDoors(this, this.reach.here, this.reach.abroad)
  }

  visit(lock: HeldElsewhere, visitor: Visitor): Visit | undefined {
    const { address } = lock
    if (this.isClosed || address === this.address) return undefined
    let street = this.streets.get(address)
    if (street === undefined) {
      const { here, abroad } = this.reach
      const [first, ...more] = [lock.host === this.host ? here : undefined, abroad].filter((way) => way !== undefined)
      if (first === undefined) return undefined
      street = new Street(address, [first, ...more], this.clock, (ended) => {
        if (this.streets.get(address) === ended) this.streets.delete(address)
      })
      this.streets.set(address, street)
    }
    return street.visit(lock, visitor)
  }

  guestOf(instance: string): string | undefined {
    return this.guests.first(instance)
  }

  freed(instance: string): void {
    this.guests.ring(instance)
  }

  close(): void {
    this.isClosed = true
    this.address = undefined
    this.door?.close()
    for (const street of this.streets.values()) street.close()
    this.streets.clear()
  }

  onOpen(address: string): void {
    if (!this.isClosed) this.address = address
  }

  onCaller(link: Link): LinkOwner {
    return {
      onLine: (line) => {
        this.answer(link, line)
      },
      onEnd: () => {
        this.guests.forget(link)
      },
    }
  }

  private answer(link: Link, line: string): void {
    const { word, instance, self, id } = read(line)
    if (word === 'left') this.guests.remove(instance, link, self)
    if (word !== 'wait' || self === '') return
    if (this.house?.has(id, instance) !== true) link.send(free(instance))
    else if (this.guests.add(instance, { link, self })) link.send(held(instance))
  }
}
