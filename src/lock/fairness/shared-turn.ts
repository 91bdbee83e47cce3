import type { Command, Reply } from '../../wire/wire.js'
import { areSameBytes, type Value } from '../../wire/wire.js'
import { FREE } from '../protocol/exchange.js'
import type { LocalSession } from '../protocol/local-session.js'
import { fly, type LockContext } from '../protocol/lock-context.js'
import type { Found, Turn, TurnEnd } from './turn.js'

/** The longest turn. PHP gives up after 750 ms of tries, by default, and must have found the lock free before that. */
const LONGEST_TURN_MS = 500
/** A turn whose predecessor is not known. */
const FIRST_TURN_MS = 300
/** The process whose turn it was stands back for longer by this share, to be drawn, so that others of ours come first. */
const LONGER = { least: 0.25, most: 0.5 }
/** Long enough for all who wait to read it, and it need not be deleted: each stands back for it once. */
const WORD_TTL_SEC = 2

/** How long a turn may last when nothing is known of the turns of others. */
export const firstTurnMs = (standBackMs: number | undefined): number => (standBackMs === undefined ? Infinity : FIRST_TURN_MS)

/**
 * A turn with a session that strangers use as well. They cannot stand in line; they try again after a pause. So when its
 * turn is over, a process frees the lock and stands back for as long as that pause is, and leaves word beside the lock, on
 * which all processes of ours stand back. From then on it is the strangers' turn until one of ours has the lock again, and
 * ours may last as long as theirs did.
 */
export class SharedTurn implements Turn {
  readonly isInLine = false
  restsUntilMs = -Infinity
  private startMs: number
  private turnMs = FIRST_TURN_MS
  /** When the turn ended, until the next one begins. */
  private endedAtMs: number | undefined
  /** The word that was read or left last: each counts once. */
  private word: Value | undefined
  private count = 0

  constructor(
    private readonly context: LockContext,
    private readonly session: LocalSession,
    private readonly standBackMs: number,
  ) {
    this.startMs = session.turnStartedAtMs
  }

  get startedAtMs(): number {
    return this.startMs
  }

  began({ holder, isStrangers }: Found): void {
    const { nowMs, endedAtMs } = this
    const wasTheirs = holder === 'stranger' || isStrangers
    if (endedAtMs !== undefined) {
      // If nobody came, ours may last longer the next time: it costs others nothing.
      this.turnMs = Math.min(wasTheirs ? nowMs - endedAtMs : this.turnMs * 2, LONGEST_TURN_MS)
    }
    if (endedAtMs !== undefined || wasTheirs) this.startMs = nowMs
    this.endedAtMs = undefined
  }

  wantsLook(): boolean {
    return true
  }

  get lookCommand(): Command {
    return { op: 'get', key: this.session.keys.line }
  }

  lookAlong(): Command[] {
    return []
  }

  learn([reply]: readonly Reply[]): void {
    const value = reply?.value
    if (value === undefined || (this.word !== undefined && areSameBytes(value, this.word))) return
    this.word = value
    this.rest(1)
  }

  end(): TurnEnd | undefined {
    if (!this.isOver) return undefined
    this.rest(1 + LONGER.least + (LONGER.most - LONGER.least) * this.context.random.fraction())
    return { exit: FREE, instance: undefined, extra: [this.wordToLeave()] }
  }

  standBack(): void {
    this.rest(1)
    // If it is lost, the strangers come a little later.
    fly(this.context, this.session.id, [this.wordToLeave()]).catch(() => undefined)
  }

  standInLine(): void {
    // There is none.
  }

  leaveLine(): void {
    // There is none.
  }

  private get isOver(): boolean {
    return this.nowMs - this.startMs >= this.turnMs
  }

  private get nowMs(): number {
    return this.context.clock.nowMs()
  }

  private rest(share: number): void {
    this.endedAtMs = this.nowMs
    this.restsUntilMs = this.nowMs + this.standBackMs * share
  }

  private wordToLeave(): Command {
    this.word = `${this.session.instance}.${String(++this.count)}`
    return { op: 'set', key: this.session.keys.line, value: this.word, ttlSec: WORD_TTL_SEC }
  }
}
