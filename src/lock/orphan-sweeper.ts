import type { Timer } from '../system/clock.js'
import { fly, type LockContext, replyAt } from './protocol/lock-context.js'
import { readToken } from './protocol/lock-token.js'

/** Locks that are looked at in one pass over a node that answers: the wire makes a few batches of them. */
const PER_PASS = 1000
/** The same of a node that did not answer in the pass before: enough to see that it is back. */
const PER_PROBE = 5
/**
 * For each node: a bound to the memory, a few megabytes. Of more, those that were put last the longest ago go unwatched:
 * their leases end first. Each was told when its command was not answered, by an error or in `unknown`.
 */
const MAX_WATCHED = 20_000

/**
 * Takes off the servers what unanswered commands of ours may have left there, or may still leave: a stopped server
 * carries out, seconds later, what was sent to it on connections that are long gone.
 *
 * A lock of an instance of this manager's, for a session that nobody here holds or waits for, is nobody's. Each node is
 * swept by itself: one that does not answer holds up no other.
 */
export class OrphanSweeper {
  private readonly nodes = new Map<string, NodeSweeper>()
  private isClosed = false

  constructor(
    private readonly context: LockContext,
    private readonly isActive: (id: string) => boolean,
  ) {}

  /** Watches `id` until it has been clean of `instance`'s locks for a whole call's deadline after the server answered. */
  watch(id: string, instance: string): void {
    if (this.isClosed) return
    const name = this.context.wire.nodeOf?.(id)?.name ?? ''
    let node = this.nodes.get(name)
    if (node === undefined) {
      node = new NodeSweeper(this.context, this.isActive)
      this.nodes.set(name, node)
    }
    node.watch(id, instance)
  }

  /** The one whose locks for `id` are watched for; undefined when none are. */
  instanceOf(id: string): string | undefined {
    for (const node of this.nodes.values()) {
      const instance = node.instanceOf(id)
      if (instance !== undefined) return instance
    }
    return undefined
  }

  /** One last pass, as far as the servers answer; what is found afterwards is left to its lease. */
  async close(): Promise<void> {
    this.isClosed = true
    await Promise.all([...this.nodes.values()].map((node) => node.close()))
  }
}

interface Watched {
  readonly instance: string
  /** Since when the session has been seen to be clean; undefined when it has not. */
  cleanSinceMs: number | undefined
}

/** The sweeper of one node. */
class NodeSweeper {
  /** By session id. Next to be looked at: first. */
  private readonly watched = new Map<string, Watched>()
  private perPass = PER_PASS
  private timer: Timer | undefined
  /** The pass that the timer set off. */
  private running: Promise<void> | undefined
  private isClosed = false

  constructor(
    private readonly context: LockContext,
    private readonly isActive: (id: string) => boolean,
  ) {}

  watch(id: string, instance: string): void {
    this.putLast(id, { instance, cleanSinceMs: undefined })
    const [first] = this.watched.keys()
    if (first !== undefined && this.watched.size > MAX_WATCHED) this.watched.delete(first)
    this.schedule()
  }

  instanceOf(id: string): string | undefined {
    return this.watched.get(id)?.instance
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.timer?.cancel()
    await Promise.all([this.running, this.pass()])
    this.watched.clear()
  }

  /** The next pass; while one is under way, that one sees to it. */
  private schedule(): void {
    if (this.isClosed || this.running !== undefined || this.watched.size === 0) return
    this.timer ??= this.context.clock.setTimer(
      () => {
        this.timer = undefined
        this.running = this.pass().then(() => {
          this.running = undefined
          this.schedule()
        })
      },
      this.context.limits.flightMs / 2,
      { background: true },
    )
  }

  private async pass(): Promise<void> {
    const due: [string, Watched][] = []
    for (const [id, watched] of this.watched) {
      if (due.length >= this.perPass) break
      if (!this.isActive(id)) due.push([id, watched])
    }
    for (const [id, watched] of due) this.putLast(id, watched)
    const answered = await Promise.all(due.map(([id, watched]) => this.check(id, watched)))
    if (due.length > 0) this.perPass = answered.includes(true) ? PER_PASS : PER_PROBE
  }

  /** Whether the server answered. */
  private async check(id: string, watched: Watched): Promise<boolean> {
    const { lock } = this.context.layout.keysOf(id)
    try {
      const occupant = replyAt(await fly(this.context, id, [{ op: 'get', key: lock }]), 0)
      if (this.isActive(id)) return true
      const ours = occupant.value !== undefined && readToken(occupant.value).instance === watched.instance
      if (!ours || occupant.cas === undefined) {
        this.seenClean(id, watched)
        return true
      }
      watched.cleanSinceMs = undefined
      await fly(this.context, id, [{ op: 'cad', key: lock, cas: occupant.cas }])
      return true
    } catch {
      // Not answered yet: it stays watched.
      return false
    }
  }

  private seenClean(id: string, watched: Watched): void {
    const nowMs = this.context.clock.nowMs()
    watched.cleanSinceMs ??= nowMs
    const isOver = nowMs - watched.cleanSinceMs >= 3 * this.context.limits.flightMs
    // Not if it was watched anew meanwhile.
    if (isOver && this.watched.get(id) === watched) this.watched.delete(id)
  }

  /** After all others that are watched. */
  private putLast(id: string, watched: Watched): void {
    this.watched.delete(id)
    this.watched.set(id, watched)
  }
}
