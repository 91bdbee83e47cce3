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

/** How often a change of the line is tried that others come before: all who wait may change it at the same time. */
const AMENDMENTS = 8

const NO_COMMANDS: readonly Command[] = []

type LineChange = (line: WaitingLine) => Command | undefined

/** The turn of this process with one session, and this process's place in the line of those that wait for a turn. */
export class LineTurn implements Turn {
  readonly restsUntilMs = -Infinity
  private line: WaitingLine | undefined
  private startMs: number
  private lookedAtMs = -Infinity
  private inLine = false
  private amended: Promise<void> = Promise.resolve()

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
    if (waitedMs >= JOIN_AFTER_MS) return !this.inLine || nowMs - this.lookedAtMs >= RECHECK_MS
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
    this.amend((line) => line.remove(instance), this.line)
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
    this.amend((line) => line.join(), this.lineOf())
  }

  leaveLine(): void {
    if (!this.inLine) return
    this.inLine = false
    this.amend((line) => line.remove(this.session.instance))
  }

  private isLookDue(nowMs: number): boolean {
    return nowMs - this.startMs >= TURN_MS / 2 && nowMs - this.lookedAtMs >= TURN_MS / 2
  }

  /**
   * Changes the line, as it was read last or as it is read now. Where another process has changed it in the meantime, the
   * server refuses that, and the line is read again: one that was left in it would be granted a turn in place of the next,
   * and one that is missing from it would wait for a turn of each of the others. One change after the other: who is served
   * while it joins would be left in the line.
   */
  private amend(change: LineChange, known?: WaitingLine): void {
    this.amended = this.amended.then(() => this.amendUntilDone(change, known))
  }

  private async amendUntilDone(change: LineChange, known: WaitingLine | undefined): Promise<void> {
    let line = known
    for (let tries = 0; tries < AMENDMENTS; tries++) {
      line ??= await this.read()
      const command = line && change(line)
      if (command === undefined) return
      const reply = await this.quietly(command)
      if (reply?.status !== 'exists' && reply?.status !== 'missing') return
      line = undefined
    }
  }

  private async read(): Promise<WaitingLine | undefined> {
    const line = this.newLine()
    const reply = await this.quietly(line.look())
    if (reply === undefined) return undefined
    line.learn(reply)
    return line
  }

  private lineOf(): WaitingLine {
    this.line ??= this.newLine()
    return this.line
  }

  private newLine(): WaitingLine {
    return new WaitingLine(this.session.keys.line, this.session.instance)
  }

  /** Sends a command whose failure nobody needs to know: the line is advice, and a failure costs fairness for a moment. */
  private async quietly(command: Command): Promise<Reply | undefined> {
    try {
      return (await fly(this.context, this.session.id, [command]))[0]
    } catch {
      return undefined
    }
  }
}
