import type { Timer } from '../system/clock.js'
import { fly, type LockContext, replyAt } from './lock-context.js'
import { readToken } from './lock-token.js'

/** Locks that are looked at in one pass over a node that answers: the wire makes a few batches of them. */
const PER_PASS = 1000
/** The same of a node that did not answer in the pass before: enough to see that it is back. */
const PER_PROBE = 5
/** For each node; what comes above it is left to its lease. */
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

  constructor(
    private readonly context: LockContext,
    private readonly isActive: (id: string) => boolean,
  ) {}

  /** Watches `id` until it has been clean of `instance`'s locks for a whole call's deadline after the server answered. */
  watch(id: string, instance: string): void {
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

  /** One last pass, as far as the servers answer. */
  async close(): Promise<void> {
    await Promise.all([...this.nodes.values()].map((node) => node.close()))
  }
}

interface Watched {
  readonly instance: string
  /** Since when the session has been seen to be clean; undefined when it has not. */
  readonly cleanSinceMs: number | undefined
}

/** The sweeper of one node. */
class NodeSweeper {
  /** By session id. Next to be looked at: first. */
  private readonly watched = new Map<string, Watched>()
  private perPass = PER_PASS
  private timer: Timer | undefined

  constructor(
    private readonly context: LockContext,
    private readonly isActive: (id: string) => boolean,
  ) {}

  watch(id: string, instance: string): void {
    if (this.watched.size >= MAX_WATCHED) return
    this.watched.set(id, { instance, cleanSinceMs: undefined })
    this.schedule()
  }

  instanceOf(id: string): string | undefined {
    return this.watched.get(id)?.instance
  }

  async close(): Promise<void> {
    this.timer?.cancel()
    await this.pass()
    this.timer?.cancel()
    this.watched.clear()
  }

  private schedule(): void {
    this.timer ??= this.context.clock.setTimer(
      () => {
        this.timer = undefined
        void this.pass().then(() => {
          if (this.watched.size > 0) this.schedule()
        })
      },
      this.context.limits.flightMs / 2,
      { background: true },
    )
  }

  private async pass(): Promise<void> {
    const due: Promise<boolean>[] = []
    for (const [id, { instance }] of this.watched) {
      if (due.length >= this.perPass) break
      if (!this.isActive(id)) due.push(this.check(id, instance))
    }
    const answered = await Promise.all(due)
    if (due.length > 0) this.perPass = answered.includes(true) ? PER_PASS : PER_PROBE
  }

  /** Whether the server answered. */
  private async check(id: string, instance: string): Promise<boolean> {
    const { lock } = this.context.layout.keysOf(id)
    try {
      const occupant = replyAt(await fly(this.context, id, [{ op: 'get', key: lock }]), 0)
      if (this.isActive(id)) return true
      const ours = occupant.value !== undefined && readToken(occupant.value).instance === instance
      if (!ours || occupant.cas === undefined) {
        const nowMs = this.context.clock.nowMs()
        const sinceMs = this.watched.get(id)?.cleanSinceMs ?? nowMs
        if (nowMs - sinceMs >= 3 * this.context.limits.flightMs) this.watched.delete(id)
        else this.lookAgain(id, { instance, cleanSinceMs: sinceMs })
        return true
      }
      this.lookAgain(id, { instance, cleanSinceMs: undefined })
      await fly(this.context, id, [{ op: 'cad', key: lock, cas: occupant.cas }])
      return true
    } catch {
      // Not answered yet: it stays watched, and others come first.
      const watched = this.watched.get(id)
      if (watched !== undefined) this.lookAgain(id, watched)
      return false
    }
  }

  /** After all others that are watched. */
  private lookAgain(id: string, watched: Watched): void {
    this.watched.delete(id)
    this.watched.set(id, watched)
  }
}
