import type { Door, DoorOwner, Link, LinkEnd, LinkOwner, Neighbours } from '../../../src/neighbours/neighbours.js'
import type { SeededRandom } from '../../../src/testing/seeded-random.js'
import type { SimulatedHost, SimulatedTime } from './time.js'

/**
 * What happens to one line on its way. It arrives after `upMs`, `times` times (never, once or twice). `breaks`: the
 * link breaks off after the line, although both processes live. `forged`: lines that its sender hears though nobody
 * sent them.
 */
export interface LineFate {
  readonly upMs: number
  readonly times: 0 | 1 | 2
  readonly breaks: boolean
  readonly forged: readonly string[]
}

interface OpenDoor {
  readonly host: SimulatedHost
  readonly owner: DoorOwner
  /** When the process was killed. For a moment after that a connection to it still succeeds, and then breaks off. */
  diedAtMs: number | undefined
}

/** All processes of one simulated host. */
export class SimulatedTown {
  readonly doors = new Map<string, OpenDoor>()
  private readonly links = new Set<SimulatedLink>()
  private count = 0

  constructor(
    readonly time: SimulatedTime,
    readonly random: SeededRandom,
    readonly fateOf: (line: string) => LineFate,
  ) {}

  nextAddress(): string {
    return `door${String(++this.count)}`
  }

  /** Breaks off all links of a process that has died, each after a moment. */
  died(host: SimulatedHost): void {
    for (const door of this.doors.values()) if (door.host === host) door.diedAtMs ??= this.time.nowMs
    for (const link of this.links) if (link.host === host) link.breakOff()
  }

  join(one: SimulatedLink, other: SimulatedLink): void {
    one.peer = other
    other.peer = one
    this.links.add(one).add(other)
  }

  forget(link: SimulatedLink): void {
    this.links.delete(link)
  }
}

/**
 * Stands for the unix sockets between processes of one host: quick, and with everything that can go wrong, and more.
 */
export class SimulatedNeighbours implements Neighbours {
  constructor(
    private readonly town: SimulatedTown,
    private readonly host: SimulatedHost,
  ) {}

  open(owner: DoorOwner): Door {
    const { town, host } = this
    const address = town.nextAddress()
    town.doors.set(address, { host, owner, diedAtMs: undefined })
    owner.onOpen(address)
    return {
      close() {
        town.doors.delete(address)
      },
    }
  }

  call(address: string, owner: LinkOwner): Link {
    const { town, host } = this
    const link = new SimulatedLink(town, host)
    link.owner = owner
    const door = town.doors.get(address)
    const { time, random } = town
    if (door === undefined) link.end('unreachable', 0.1)
    else if (door.diedAtMs !== undefined) {
      const isJustDead = time.nowMs - door.diedAtMs < 14 && random.fraction() < 0.5
      link.end(isJustDead ? 'ended' : 'refused', 0.1)
    } else {
      const callee = new SimulatedLink(town, door.host)
      town.join(link, callee)
      callee.owner = door.owner.onCaller(callee)
    }
    return link
  }
}

class SimulatedLink implements Link {
  owner: LinkOwner | undefined
  peer: SimulatedLink | undefined
  private isOver = false

  constructor(
    private readonly town: SimulatedTown,
    readonly host: SimulatedHost,
  ) {}

  send(line: string): void {
    const { peer } = this
    if (this.isOver || peer === undefined) return
    const fate = this.town.fateOf(line)
    for (let left: number = fate.times; left > 0; left--) peer.hear(line, fate.upMs * left)
    for (const forged of fate.forged) this.hear(forged, fate.upMs)
    if (fate.breaks) this.breakOff()
  }

  close(): void {
    if (this.isOver) return
    this.isOver = true
    this.town.forget(this)
    this.peer?.end('ended', 0.1)
  }

  /** Breaks the link. Each end hears of that at a time of its own. */
  breakOff(): void {
    const { random } = this.town
    this.peer?.end('ended', random.fraction() * 14)
    this.end('ended', random.fraction() * 14)
  }

  hear(line: string, laterMs: number): void {
    this.town.time.after(laterMs, () => {
      this.host.deliver(() => {
        if (!this.isOver) this.owner?.onLine(line)
      })
    })
  }

  end(how: LinkEnd, laterMs: number): void {
    this.town.time.after(laterMs, () => {
      this.host.deliver(() => {
        if (this.isOver) return
        this.isOver = true
        this.town.forget(this)
        this.owner?.onEnd(how)
      })
    })
  }
}
