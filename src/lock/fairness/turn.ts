import type { Command, Reply } from '../../wire/wire.js'
import type { Exit } from '../protocol/exchange.js'
import type { LocalSession } from '../protocol/local-session.js'
import { fly, type LockContext } from '../protocol/lock-context.js'
import { JOIN_AFTER_MS, RECHECK_MS, WaitingLine } from './waiting-line.js'

/**
 * How long a process may keep a session among its own requests while another one stands in line. With four processes
 * that each also finish a hold and wait out a poll, everyone is served within five seconds.
 */
const TURN_MS = 500

/** Who stood in line this long ago has very likely been served or given up. */
const STALE_MS = 30_000

/** A lock granted to a process that no longer waits stands in everybody's way for this long: the shortest safe TTL. */
const GRANT_TTL_SEC = 2

/** A process that takes the lock again this soon after letting go of it is still in the same turn. */
export const SAME_TURN_MS = 20

/** One process's turn with one session, and its place in the line of processes that wait for theirs. */
export class Turn {
  private line: WaitingLine | undefined
  private startMs: number
  private lookedAtMs = -Infinity
  private inLine = false

  constructor(
    private readonly context: LockContext,
    private readonly session: LocalSession,
  ) {
    this.startMs = session.turnStartedAtMs
  }

  get startedAtMs(): number {
    return this.startMs
  }

  get isInLine(): boolean {
    return this.inLine
  }

  /** The lock was taken; `contested` from another process: a new turn. */
  began(contested: boolean): void {
    if (!contested) return
    this.startMs = this.context.clock.nowMs()
    this.lookedAtMs = -Infinity
    this.line = undefined
    this.leaveLine()
  }

  /** Whether this attempt should look at the line: after a while of waiting, or far into a turn. */
  wantsLook(waitedMs: number, nowMs: number): boolean {
    if (waitedMs >= JOIN_AFTER_MS) return nowMs - this.lookedAtMs >= RECHECK_MS
    return waitedMs === 0 && this.isLookDue(nowMs)
  }

  get lookCommand(): Command {
    return this.lineOf().look()
  }

  /** What rides along with a hand-off, to see in time whether another process waits. */
  lookAlong(): Command[] {
    return this.isLookDue(this.context.clock.nowMs()) ? [this.lookCommand] : []
  }

  learn(replies: readonly Reply[]): void {
    const [reply] = replies
    if (reply === undefined) return
    this.lookedAtMs = this.context.clock.nowMs()
    this.lineOf().learn(reply)
  }

  /** Once the turn is over and another process stands in line, or waits here: the lock goes to it. */
  grant(): { readonly instance: string; readonly exit: Exit } | undefined {
    const nowMs = this.context.clock.nowMs()
    if (nowMs - this.startMs < TURN_MS) return undefined
    const instance = this.nextInLine(nowMs) ?? this.context.bell?.guestOf(this.session.instance)
    if (instance === undefined) return undefined
    this.context.counters.grants++
    this.advise(this.line?.remove(instance))
    this.line = undefined
    return { instance, exit: { kind: 'pass', token: this.context.mint.grantTo(instance, this.session.instance), ttlSec: GRANT_TTL_SEC } }
  }

  private nextInLine(nowMs: number): string | undefined {
    return nowMs - this.lookedAtMs > STALE_MS ? undefined : this.line?.next
  }

  standInLine(): void {
    this.inLine = true
    const line = this.lineOf()
    if (!line.isJoined) this.advise(line.join())
  }

  leaveLine(): void {
    if (!this.inLine) return
    this.inLine = false
    void this.stepOut()
  }

  private isLookDue(nowMs: number): boolean {
    return nowMs - this.startMs >= TURN_MS / 2 && nowMs - this.lookedAtMs >= TURN_MS / 2
  }

  private async stepOut(): Promise<void> {
    const line = new WaitingLine(this.session.keys.line, this.session.instance)
    const [reply] = await this.quietly([line.look()])
    if (reply === undefined) return
    line.learn(reply)
    this.advise(line.remove(this.session.instance))
  }

  private lineOf(): WaitingLine {
    this.line ??= new WaitingLine(this.session.keys.line, this.session.instance)
    return this.line
  }

  private advise(command: Command | undefined): void {
    if (command !== undefined) void this.quietly([command])
  }

  /** The line is advice: a flight for it that fails costs fairness for a moment, and nobody needs to know. */
  private async quietly(commands: readonly Command[]): Promise<readonly Reply[]> {
    try {
      return await fly(this.context, this.session.id, commands)
    } catch {
      return []
    }
  }
}
