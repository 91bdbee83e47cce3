import type { Timer } from '../system/clock.js'
import { fly, type LockContext, replyAt } from './protocol/lock-context.js'
import { readToken } from './protocol/lock-token.js'

/** How many locks one pass checks on a node that answers. The wire sends them in a few batches. */
const PER_PASS = 1000
/** How many locks one pass checks on a node that did not answer in the last pass: enough to see that it is back. */
const PER_PROBE = 5
/**
 * How many locks are watched for each node, so that their memory stays within a few megabytes. Beyond that number the
 * locks that were added or checked the longest ago are dropped, because their leases end first. Whoever sent the
 * unanswered command has been told already, by an error or in the counter `unknown`.
 */
const MAX_WATCHED = 20_000

/**
 * Deletes the locks that unanswered commands of this manager have left on the servers, or may still leave: a server
 * that was stopped carries out, seconds later, what was sent to it on connections that have long been closed.
 *
 * A lock that bears the name of an instance of this manager, for a session that nobody here holds or waits for, is an
 * orphan. Each node has a sweeper of its own, so that a node that does not answer delays no other.
 */
export class OrphanSweeper {
  private readonly nodes = new Map<string, NodeSweeper>()
  private isClosed = false

  constructor(
    private readonly context: LockContext,
    private readonly isActive: (id: string) => boolean,
  ) {}

  /**
   * Watches `id` until the server has shown no lock of `instance` for as long as a whole call may take (three flights).
   * A lock that an unanswered command makes even later is left to its lease.
   */
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

  /** The instance whose locks of `id` are watched; undefined when `id` is not watched. */
  instanceOf(id: string): string | undefined {
    if (this.nodes.size === 0) return undefined
    for (const node of this.nodes.values()) {
      const instance = node.instanceOf(id)
      if (instance !== undefined) return instance
    }
    return undefined
  }

  /** Makes one last pass, as far as the servers answer. A lock that appears afterwards is left to its lease. */
  async close(): Promise<void> {
    this.isClosed = true
    await Promise.all([...this.nodes.values()].map((node) => node.close()))
  }
}

interface Watched {
  readonly instance: string
  /** Since when the server has shown no lock of ours; undefined before the first such answer. */
  cleanSinceMs: number | undefined
}

/** Sweeps one node. */
class NodeSweeper {
  /** By session id, in the order in which they are checked next. */
  private readonly watched = new Map<string, Watched>()
  private perPass = PER_PASS
  private timer: Timer | undefined
  /** The pass that the timer started, while it runs. */
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

  /** Sets the timer of the next pass. A pass that is under way calls this at its end. */
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

  /** Checks one lock, and deletes it if it is an orphan. Returns whether the server answered. */
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
      // The server did not answer yet: the lock stays watched.
      return false
    }
  }

  private seenClean(id: string, watched: Watched): void {
    const nowMs = this.context.clock.nowMs()
    watched.cleanSinceMs ??= nowMs
    const isOver = nowMs - watched.cleanSinceMs >= 3 * this.context.limits.flightMs
    // If the session has been watched anew in the meantime, the new entry stays.
    if (isOver && this.watched.get(id) === watched) this.watched.delete(id)
  }

  /** Puts the session behind all others that are watched, so that it is checked last. */
  private putLast(id: string, watched: Watched): void {
    this.watched.delete(id)
    this.watched.set(id, watched)
  }
}
