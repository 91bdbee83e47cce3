import type { Command, Reply } from '../../wire/wire.js'
import type { LocalSession } from '../protocol/local-session.js'
import { fly, type LockContext } from '../protocol/lock-context.js'
import type { Found, Turn, TurnEnd } from './turn.js'
import { JOIN_AFTER_MS, RECHECK_MS, WaitingLine } from './waiting-line.js'

/**
 * How long a process may keep a session among its own requests while another process stands in line. With four
 * processes, each of which also finishes a hold and waits for its poll, every process is served within five seconds.
 */
const TURN_MS = 500

/** A process that was last seen in line this long ago has very likely been served, or has given up. */
const STALE_MS = 30_000

/**
 * The TTL of a grant. A lock granted to a process that waits no longer blocks
 * everyone this long: it is the shortest safe TTL.
 */
const GRANT_TTL_SEC = 2

const NO_COMMANDS: readonly Command[] = []

/** The turn of this process with one session, and this process's place in the line of those that wait for a turn. */
export class LineTurn implements Turn {
  readonly restsUntilMs = -Infinity
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

  /** If another process had it before, a new turn begins. */
  began({ holder }: Found): void {
    if (holder === undefined) return
    this.startMs = this.context.clock.nowMs()
    this.lookedAtMs = -Infinity
    this.line = undefined
    this.leaveLine()
  }

  /** Whether this attempt should read the line: after some time of waiting, or late in a turn. */
  wantsLook(waitedMs: number, nowMs: number): boolean {
    if (waitedMs >= JOIN_AFTER_MS) return nowMs - this.lookedAtMs >= RECHECK_MS
    return waitedMs === 0 && this.isLookDue(nowMs)
  }

  get lookCommand(): Command {
    return this.lineOf().look()
  }

  lookAlong(): Command[] {
    return this.isLookDue(this.context.clock.nowMs()) ? [this.lookCommand] : []
  }

  learn(replies: readonly Reply[]): void {
    const [reply] = replies
    if (reply === undefined) return
    this.lookedAtMs = this.context.clock.nowMs()
    this.lineOf().learn(reply)
  }

  /**
   * The grant to another process, once the turn is over and a process stands in line, or waits at the bell of this one.
   */
  end(): TurnEnd | undefined {
    const nowMs = this.context.clock.nowMs()
    if (nowMs - this.startMs < TURN_MS) return undefined
    const instance = this.nextInLine(nowMs) ?? this.context.bell?.guestOf(this.session.instance)
    if (instance === undefined) return undefined
    this.context.counters.grants++
    this.advise(this.line?.remove(instance))
    this.line = undefined
    return { instance, extra: [], exit: { kind: 'pass', token: this.context.mint.grantTo(instance, this.session.instance), ttlSec: GRANT_TTL_SEC } }
  }

  lettingGo(): readonly Command[] {
    return NO_COMMANDS
  }

  private nextInLine(nowMs: number): string | undefined {
    return nowMs - this.lookedAtMs > STALE_MS ? undefined : this.line?.next
  }

  standBack(): void {
    // The others stand in line, and are granted the lock.
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

  /**
   * Sends a flight whose failure nobody needs to know: the line is advice, and a failure costs fairness for a moment.
   */
  private async quietly(commands: readonly Command[]): Promise<readonly Reply[]> {
    try {
      return await fly(this.context, this.session.id, commands)
    } catch {
      return []
    }
  }
}
