import type { Clock } from '../../system/clock.js'
import { areSameBytes, type Value } from '../wire.js'
import type { Member } from './member.js'

/** A lock that may stand on a node, or may come to stand there, and that nobody counts. */
export interface Leftover {
  readonly member: Member
  readonly route: string
  readonly lockKey: string
  /** What it may be: of a lock that was handed on or taken over, the one before and the one after. */
  readonly tokens: readonly Value[]
  /** Whether that lock counts by now. */
  readonly isCounted: () => boolean
}

/** What a look has found. `over`: there is nothing more to look for. */
type Seen = 'over' | 'nothing' | 'unanswered'

/** When it is looked for, in milliseconds from one look to the next: a node that stood still carries out late what it was sent. */
const LOOKS_MS = [150, 400, 1000, 2500, 5000]
/** ... and then, as long as the node does not answer: what is sent to it may be carried out when it answers again, and not before. */
const UNANSWERED_MS = [5000, 10_000, 20_000, 40_000]
/** Beyond that the rest is left to its lease. */
const MOST = 2000

/**
 * Takes locks that nobody counts off the nodes where they may stand. Where another node is away, one of them would keep a session
 * locked for a lease, although nobody holds it.
 */
export class Leftovers {
  private count = 0
  private isClosed = false

  constructor(private readonly clock: Clock) {}

  note(leftover: Leftover): void {
    if (this.isClosed || this.count >= MOST) return
    this.count++
    void this.sweep(leftover).finally(() => this.count--)
  }

  close(): void {
    this.isClosed = true
  }

  private async sweep(leftover: Leftover): Promise<void> {
    const left = new Set(leftover.tokens)
    let seen: Seen = 'nothing'
    for (const afterMs of LOOKS_MS) {
      seen = await this.lookAfter(afterMs, leftover, left)
      if (seen === 'over') return
    }
    for (const afterMs of UNANSWERED_MS) {
      if (seen !== 'unanswered') return
      seen = await this.lookAfter(afterMs, leftover, left)
    }
  }

  private async lookAfter(afterMs: number, leftover: Leftover, left: Set<Value>): Promise<Seen> {
    await new Promise<void>((resolve) => {
      this.clock.setTimer(resolve, afterMs, { background: true })
    })
    if (this.isClosed || leftover.isCounted()) return 'over'
    return await this.look(leftover, left).catch(() => 'unanswered')
  }

  /** Deletes it by its version, if it stands there. Of two the other one may come still, in a flight that is carried out late. */
  private async look({ member, route, lockKey: key }: Leftover, left: Set<Value>): Promise<Seen> {
    const [found] = await member.flight(route, [{ op: 'get', key }])
    const { value, cas } = found ?? {}
    const token = value && [...left].find((one) => areSameBytes(value, one))
    if (token === undefined || cas === undefined) return 'nothing'
    const [deleted] = await member.flight(route, [{ op: 'cad', key, cas }])
    if (deleted?.status === 'ok') left.delete(token)
    return left.size === 0 ? 'over' : 'nothing'
  }
}
