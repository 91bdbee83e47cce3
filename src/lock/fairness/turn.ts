import type { Command, Reply } from '../../wire/wire.js'
import type { Exit } from '../protocol/exchange.js'

/** A process that takes the lock again within this time after it let go of it is still in the same turn. */
export const SAME_TURN_MS = 20

/** How the lock is given up because the turn of this process is over. */
export interface TurnEnd {
  readonly exit: Exit
  /** The queue of another process that the lock is granted to; undefined: it is freed. */
  readonly instance: string | undefined
  /** Commands for the same flight. */
  readonly extra: readonly Command[]
}

/** What the polls have found before they took the lock. */
export interface Found {
  /** Who had the lock before: another process of ours, or a stranger; undefined: nobody was seen to have it. */
  readonly holder: 'ours' | 'stranger' | undefined
  /** For how long strangers were seen to have it, one after the other. */
  readonly theirsMs: number
  /** When the attempt was sent that took the lock. */
  readonly sentAtMs: number
}

/**
 * The turn of this process with one session: when it is over, and what it owes to others who wait. Among processes of ours
 * there is a line to stand in (`LineTurn`); of strangers, who can only try again and again, see `SharedTurn`.
 */
export interface Turn {
  readonly startedAtMs: number
  readonly isInLine: boolean
  /** Until when nobody here asks for the lock. */
  readonly restsUntilMs: number
  /** Called when the lock was taken. */
  began(found: Found): void
  /** Whether this attempt should read what the others have left word of. */
  wantsLook(waitedMs: number, nowMs: number): boolean
  readonly lookCommand: Command
  /** The command that a hand-off takes along late in a turn, to see in time whether another process waits. */
  lookAlong(): Command[]
  learn(replies: readonly Reply[]): void
  /** Commands for the flight that frees the lock before the turn is over, because nobody here waits. */
  lettingGo(): readonly Command[]
  /** How to give the lock up if the turn is over and it is to go to others; undefined: the next one here may have it. */
  end(): TurnEnd | undefined
  /** Called when the turn was over as soon as the lock was let go of, by one who met nobody here. */
  standBack(): void
  /** Called when an attempt that has looked found the session locked. */
  standInLine(): void
  leaveLine(): void
}
