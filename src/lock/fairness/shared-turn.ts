import type { Command, Reply } from '../../wire/wire.js'
import { areSameBytes, type Value } from '../../wire/wire.js'
import { FREE } from '../protocol/exchange.js'
import type { LocalSession } from '../protocol/local-session.js'
import { fly, type LockContext } from '../protocol/lock-context.js'
import { textOf, wordOf } from './shared-word.js'
import type { Found, Turn, TurnEnd } from './turn.js'

/** The longest turn. PHP gives up after 750 ms of tries, by default, and must have found the lock free before that. */
const LONGEST_TURN_MS = 500
/** A turn whose predecessor is not known. */
export const FIRST_TURN_MS = 300
/** The process that ends a turn stands back for longer by this share, to be drawn, so that others of ours come first. */
const LONGER = { least: 0.25, most: 0.5 }
/** The share of the pause for which nobody has the session after our turn, because the first stranger is still in it. */
const UNUSED_SHARE = 0.125
/** Long enough for all who wait to read it, and it need not be deleted: each stands back for it once. */
const WORD_TTL_SEC = 2
/** For how long after others were met at the session their turn and ours are remembered. */
const REMEMBERED_MS = 2000
const NO_COMMANDS: readonly Command[] = []

/**
 * A turn with a session that strangers use as well. They cannot stand in line; they try again after a pause. So all processes
 * of ours have one turn together, and when it is over, they leave the lock alone for as long as that pause is. From then on it
 * is the strangers' turn until one of ours has the lock again, and ours may last as long as theirs did.
 *
 * How much is left of our turn is a word beside the lock. Who has had the session takes its own time off, and leaves the rest
 * to the next one of ours. When nothing is left, each stands back from the moment that it reads so.
 */
export class SharedTurn implements Turn {
  readonly isInLine = false
  restsUntilMs = -Infinity
  /** When this process took the lock, and how much of our turn was left then. */
  private startMs: number
  private leftMs = FIRST_TURN_MS
  private turnMs = FIRST_TURN_MS
  /** Since when it is the strangers' turn. */
  private theirsSinceMs: number | undefined
  /** The word that was read or left last: each counts once. */
  private word: Value | undefined
  private count = 0
  /** When others were met at the session. */
  private metAtMs = -Infinity

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

  /** Whether it is still good for the session's next queue here. */
  get isRemembered(): boolean {
    return this.nowMs - Math.max(this.metAtMs, this.restsUntilMs) < REMEMBERED_MS
  }

  began({ holder, theirsMs, sentAtMs }: Found): void {
    const { nowMs, theirsSinceMs } = this
    const wasTheirs = holder === 'stranger'
    if (holder !== undefined) this.metAtMs = nowMs
    if (theirsSinceMs !== undefined) {
      // If nobody came, ours may last longer the next time: it costs others nothing.
      const turnMs = wasTheirs ? nowMs - theirsSinceMs - this.standBackMs * UNUSED_SHARE : this.turnMs * 2
      this.turnMs = Math.min(turnMs, LONGEST_TURN_MS)
      this.leftMs = this.turnMs
    } else if (wasTheirs) {
      // They came before our turn was over. It goes on, and is longer by what they have had.
      this.leftMs = Math.min(this.leftMs + theirsMs, LONGEST_TURN_MS)
    }
    this.startMs = sentAtMs
    this.theirsSinceMs = undefined
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
    const word = wordOf(value)
    if (word === undefined) return
    this.word = value
    this.turnMs = Math.min(word.turnMs, LONGEST_TURN_MS)
    this.leftMs = Math.min(word.leftMs, this.turnMs)
    this.metAtMs = this.nowMs
    if (this.leftMs > 0) this.theirsSinceMs = undefined
    else this.rest(1)
  }

  end(): TurnEnd | undefined {
    if (this.leftNowMs > 0) return undefined
    this.rest(1 + LONGER.least + (LONGER.most - LONGER.least) * this.context.random.fraction())
    return { exit: FREE, instance: undefined, extra: [this.wordToLeave(0)] }
  }

  lettingGo(): readonly Command[] {
    this.leftMs = this.leftNowMs
    return this.isRemembered ? [this.wordToLeave(this.leftMs)] : NO_COMMANDS
  }

  standBack(): void {
    this.rest(1)
    // If it is lost, the strangers come a little later.
    fly(this.context, this.session.id, [this.wordToLeave(0)]).catch(() => undefined)
  }

  /** There is no line to stand in. But others were met. */
  standInLine(): void {
    this.metAtMs = this.nowMs
  }

  leaveLine(): void {
    // There is none.
  }

  private get leftNowMs(): number {
    return this.leftMs - (this.nowMs - this.startMs)
  }

  private get nowMs(): number {
    return this.context.clock.nowMs()
  }

  private rest(share: number): void {
    const { nowMs } = this
    this.theirsSinceMs = nowMs
    this.restsUntilMs = nowMs + this.standBackMs * share
  }

  private wordToLeave(leftMs: number): Command {
    this.word = textOf({ name: `${this.session.instance}.${String(++this.count)}`, leftMs, turnMs: this.turnMs })
    return { op: 'set', key: this.session.keys.line, value: this.word, ttlSec: WORD_TTL_SEC }
  }
}
