import type { Door, DoorOwner, Link, LinkEnd, LinkOwner, Neighbours } from '../../src/neighbours/neighbours.js'

/**
 * Connects the "processes" of one test as if they were on one host. Lines
 * arrive at once; the test says what goes wrong.
 */
export class Town {
  readonly lines: string[] = []
  /** Lines that begin with this text are lost. */
  lost: string | undefined
  /** Replaces each line on its way. */
  forge: (line: string) => string = (line) => line
  private readonly doors = new Map<string, { readonly owner: DoorOwner; readonly links: Set<TownLink>; isDead: boolean }>()

  /** The neighbours of one process. */
  neighbours(address: string): Neighbours {
    return { open: (owner) => this.open(address, owner), call: (callee, owner) => this.call(callee, owner) }
  }

  /** Kills the process, as SIGKILL does. */
  kill(address: string): void {
    const door = this.doors.get(address)
    if (door === undefined) return
    door.isDead = true
    for (const link of door.links) link.peer?.end('ended')
  }

  /** Breaks off every link to the process, which lives on. */
  cutOff(address: string): void {
    for (const link of this.doors.get(address)?.links ?? []) {
      link.peer?.end('ended')
      link.end('ended')
    }
  }

  deliver(line: string, to: TownLink): void {
    this.lines.push(line)
    if (this.lost !== undefined && line.startsWith(this.lost)) return
    queueMicrotask(() => {
      to.hear(this.forge(line))
    })
  }

  private open(address: string, owner: DoorOwner): Door {
    this.doors.set(address, { owner, links: new Set(), isDead: false })
    owner.onOpen(address)
    return { close: () => void this.doors.delete(address) }
  }

  private call(address: string, owner: LinkOwner): Link {
    const link = new TownLink(this, owner)
    const door = this.doors.get(address)
    if (door === undefined || door.isDead) {
      queueMicrotask(() => {
        link.end(door === undefined ? 'unreachable' : 'refused')
      })
      return link
    }
    const callee = new TownLink(this, undefined)
    callee.owner = door.owner.onCaller(callee)
    callee.peer = link
    link.peer = callee
    door.links.add(callee)
    return link
  }
}

class TownLink implements Link {
  peer: TownLink | undefined
  private isOver = false

  constructor(
    private readonly town: Town,
    public owner: LinkOwner | undefined,
  ) {}

  send(line: string): void {
    if (!this.isOver && this.peer !== undefined) this.town.deliver(line, this.peer)
  }

  close(): void {
    this.isOver = true
    this.peer?.end('ended')
  }

  hear(line: string): void {
    if (!this.isOver) this.owner?.onLine(line)
  }

  end(how: LinkEnd): void {
    if (this.isOver) return
    this.isOver = true
    this.owner?.onEnd(how)
  }
}
