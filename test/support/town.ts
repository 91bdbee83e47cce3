import type { Door, DoorOwner, Link, LinkEnd, LinkOwner, Neighbours } from '../../src/neighbours/neighbours.js'

/** Processes of one host that reach each other at once, in one and the same test; what goes wrong is said by the test. */
export class Town {
  readonly lines: string[] = []
  /** Lines that begin like this are lost. */
  lost: string | undefined
  /** What is said in the place of a line. */
  forge: (line: string) => string = (line) => line
  private readonly doors = new Map<string, { readonly owner: DoorOwner; readonly links: Set<TownLink>; isDead: boolean }>()

  /** The neighbours of one process. */
  neighbours(address: string): Neighbours {
    return { open: (owner) => this.open(address, owner), call: (callee, owner) => this.call(callee, owner) }
  }

  /** The process dies, as by SIGKILL. */
  kill(address: string): void {
    const door = this.doors.get(address)
    if (door === undefined) return
    door.isDead = true
    for (const link of door.links) link.peer?.end('ended')
  }

  /** Every link to it breaks off, and it lives. */
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
