import type { Clock, Timer } from '../system/clock.js'
import type { Random } from '../system/random.js'
import type { Door, DoorOwner, Link, LinkEnd, LinkOwner, Neighbours } from './neighbours.js'
import type { Post } from './post.js'
import { SealedBox } from './seal.js'

const ADDRESS_BYTES = 10
/** A box that nothing has come from for so long: its process has ended, or cannot be reached. Who waits asks more often. */
const SILENT_MS = 10_000
/** How many processes may wait here at once. A further one is not heard, and polls instead. */
const MAX_CALLERS = 512
/** What a line is: said by a caller to the door it has called at, or the answer. */
const TO_DOOR = '>'
const TO_CALLER = '<'

/**
 * Connects processes on any hosts by a post. There are no connections: a link is what two processes have said to each
 * other lately. It ends when the other side has been silent for long, and that never says that its process has ended.
 */
export class PostNeighbours implements Neighbours {
  private own: SealedBox | undefined
  private owner: DoorOwner | undefined
  /** By the address of the other process. */
  private readonly calls = new Map<string, PostLink>()
  private readonly callers = new Map<string, PostLink>()
  private sweep: Timer | undefined

  constructor(
    private readonly post: Post,
    private readonly random: Random,
    private readonly clock: Clock,
  ) {}

  /** @param address of another door of this process, that this one shares. */
  open(owner: DoorOwner, address = Buffer.from(this.random.bytes(ADDRESS_BYTES)).toString('hex')): Door {
    const own = new SealedBox(address)
    this.own = own
    this.owner = owner
    const listening = this.post.listen(own.name, (text) => {
      this.take(own.open(text))
    })
    owner.onOpen(address)
    return {
      close: () => {
        this.own = undefined
        this.sweep?.cancel()
        listening.close()
      },
    }
  }

  call(address: string, owner: LinkOwner): Link {
    const link = this.linkTo(address, TO_DOOR, this.calls)
    link.owner = owner
    return link
  }

  private take(text: string | undefined): void {
    const { owner } = this
    const [, from = '', sign = '', line = ''] = /^(\S{1,64}) ([<>])(.*)$/.exec(text ?? '') ?? []
    if (owner === undefined || sign === '' || this.own === undefined) return
    if (sign === TO_CALLER) {
      this.calls.get(from)?.hear(line)
      return
    }
    let caller = this.callers.get(from)
    if (caller === undefined) {
      if (this.callers.size >= MAX_CALLERS) return
      caller = this.linkTo(from, TO_CALLER, this.callers)
      caller.owner = owner.onCaller(caller)
    }
    caller.hear(line)
  }

  private linkTo(address: string, sign: string, links: Map<string, PostLink>): PostLink {
    const box = new SealedBox(address)
    const say = (line: string): void => {
      if (this.own !== undefined) this.post.send(box.name, box.seal(`${this.own.address} ${sign}${line}`, this.random))
    }
    const link = new PostLink(say, this.clock, () => {
      if (links.get(address) === link) links.delete(address)
    })
    links.set(address, link)
    this.sweepLater()
    return link
  }

  private sweepLater(): void {
    this.sweep ??= this.clock.setTimer(
      () => {
        this.sweep = undefined
        const silentSinceMs = this.clock.nowMs() - SILENT_MS
        for (const link of [...this.calls.values(), ...this.callers.values()]) link.endIfSilentSince(silentSinceMs)
        if (this.calls.size + this.callers.size > 0 && this.own !== undefined) this.sweepLater()
      },
      SILENT_MS,
      { background: true },
    )
  }
}

class PostLink implements Link {
  owner: LinkOwner | undefined
  private heardAtMs: number
  private isOver = false

  constructor(
    private readonly say: (line: string) => void,
    private readonly clock: Clock,
    private readonly forget: () => void,
  ) {
    this.heardAtMs = clock.nowMs()
  }

  send(line: string): void {
    if (!this.isOver) this.say(line)
  }

  close(): void {
    this.isOver = true
    this.forget()
  }

  hear(line: string): void {
    this.heardAtMs = this.clock.nowMs()
    if (!this.isOver) this.owner?.onLine(line)
  }

  endIfSilentSince(thenMs: number): void {
    if (this.heardAtMs > thenMs) return
    const how: LinkEnd = 'ended'
    this.close()
    this.owner?.onEnd(how)
  }
}
