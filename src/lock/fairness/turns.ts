import type { LocalSession } from '../protocol/local-session.js'
import type { LockContext } from '../protocol/lock-context.js'
import { LineTurn } from './line-turn.js'
import { RecentTurns } from './recent-turns.js'
import { FIRST_TURN_MS, SharedTurn } from './shared-turn.js'
import type { Turn } from './turn.js'

/** For so many sessions a process remembers the turn that it shares with others, while nobody here asks for them. */
const MOST_REMEMBERED = 256

/** The turns of this process with all its sessions. */
export class Turns {
  private readonly recent = new RecentTurns()
  private readonly shared = new Map<string, SharedTurn>()

  constructor(private readonly context: LockContext) {}

  /** When the turn began in which this process has the session now. */
  startOf(id: string, nowMs: number): number {
    return this.recent.startOf(id, nowMs) ?? nowMs
  }

  /** Called when nobody here holds the session or waits for it any more. */
  remember(id: string, startedAtMs: number, nowMs: number): void {
    this.recent.remember(id, startedAtMs, nowMs)
  }

  /** Whether strangers may have to be let in first. Then the session is entered by a queue, which minds them. */
  wantQueue(id: string, nowMs: number): boolean {
    if (this.context.dialect.standBackMs === undefined) return false
    return this.knownOf(id) !== undefined || nowMs - this.startOf(id, nowMs) >= FIRST_TURN_MS
  }

  /** The turn of a queue that `wantQueue` has asked for. */
  enter(session: LocalSession): Turn {
    const known = this.knownOf(session.id)
    const turn = known ?? this.of(session)
    if (known === undefined) turn.standBack()
    return turn
  }

  /** The turn of a queue that takes over from a request that met nobody here. */
  of(session: LocalSession): Turn {
    const { standBackMs } = this.context.dialect
    if (standBackMs === undefined) return new LineTurn(this.context, session)
    return this.knownOf(session.id) ?? this.newShared(session, standBackMs)
  }

  private newShared(session: LocalSession, standBackMs: number): SharedTurn {
    const [oldest] = this.shared.keys()
    if (oldest !== undefined && this.shared.size >= MOST_REMEMBERED) this.shared.delete(oldest)
    const turn = new SharedTurn(this.context, session, standBackMs)
    this.shared.set(session.id, turn)
    return turn
  }

  private knownOf(id: string): SharedTurn | undefined {
    const known = this.shared.size === 0 ? undefined : this.shared.get(id)
    if (known === undefined || known.isRemembered) return known
    this.shared.delete(id)
    return undefined
  }
}
