import type { Holder } from '../errors.js'
import type { Cas, Command, Reply } from '../wire/wire.js'
import { backOffMs, IN_LINE_FLOOR_MS } from './back-off.js'
import { serverRefused } from './failures.js'
import type { Acquisition } from './held-lock.js'
import type { SessionKeys } from './key-layout.js'
import { fly, type LockContext, replyAt } from './lock-context.js'
import { type LockToken, readToken } from './lock-token.js'
import { hasBytes, recordOf } from './record.js'
import type { Turn } from './turn.js'
import type { Waiter } from './waiter.js'

/** The remote holder as the polls see it: how long the same process has had the lock. */
interface Sight {
  readonly instance: string | undefined
  readonly sinceMs: number
  readonly holder: Holder | undefined
}

/** One attempt to take the lock. */
export interface Poll {
  readonly commands: readonly Command[]
  readonly token: LockToken
  readonly label: string | undefined
  /** Whether it also asks who has the lock, and who stands in line for it. */
  readonly asksWho: boolean
  readonly asksLine: boolean
  readonly sentAtMs: number
}

/** Asks the server for one session's lock, and remembers who was seen to have it. */
export class Poller {
  private sight: Sight | undefined
  /** A lock that bears our name may stand on the server although nobody here holds it. */
  private suspect = false
  /** Whether the last poll found a record beside somebody else's lock. */
  seesRecord = false

  constructor(
    private readonly context: LockContext,
    private readonly id: string,
    private readonly keys: SessionKeys,
    private readonly turn: Turn,
  ) {}

  /** Who had the lock when it was last looked at. */
  get holder(): Holder | undefined {
    return this.sight?.holder
  }

  /** The next attempt looks whose lock it is, even if it is the first. */
  suspectOwnLock(): void {
    this.suspect = true
  }

  /** The lock went to that process just now. */
  sawGrantTo(instance: string): void {
    this.sight = { instance, sinceMs: this.context.clock.nowMs(), holder: undefined }
  }

  /** How long to wait before the next attempt. */
  delayMs(): number {
    const { clock, random } = this.context
    const seenMs = this.sight === undefined ? 0 : clock.nowMs() - this.sight.sinceMs
    return this.turn.isInLine ? backOffMs(seenMs, random, IN_LINE_FLOOR_MS) : backOffMs(seenMs, random)
  }

  /** The next poll, for the head of the queue. */
  poll(head: Waiter, nowMs: number): Poll {
    const { label } = head.options
    const token = this.context.mint.mint(label)
    const asksWho = this.sight !== undefined || this.suspect
    const asksLine = this.turn.wantsLook(this.sight === undefined ? 0 : nowMs - head.arrivedAtMs, nowMs)
    const { lock: key, record } = this.keys
    const add: Command = { op: 'add', key, value: token, ttlSec: this.context.limits.leaseSec }
    const get: Command = { op: 'get', key: record }
    const commands: Command[] = asksWho ? [add, { op: 'get', key }, get] : [add, get]
    if (asksLine) commands.push(this.turn.lookCommand)
    return { label, token, asksWho, asksLine, sentAtMs: nowMs, commands }
  }

  /**
   * What the replies to a poll mean: the acquisition, or undefined when another process has the session.
   *
   * @throws FlightError; LATCHKEY_SERVER_REFUSED when the server has no memory for the lock.
   */
  judge(poll: Poll, replies: readonly Reply[]): Acquisition | undefined | Promise<Acquisition | undefined> {
    const added = replyAt(replies, 0)
    const found = recordOf(replyAt(replies, poll.asksWho ? 2 : 1))
    if (poll.asksLine) this.turn.learn(replies.slice(poll.asksWho ? 3 : 2))
    if (added.status === 'ok' && added.cas !== undefined) {
      this.turn.began(this.sight !== undefined)
      this.forget()
      return { token: poll.token, lockCas: added.cas, record: found, sentAtMs: poll.sentAtMs }
    }
    // Out of memory is not "locked": waiting would not help.
    if (added.status !== 'ok' && added.status !== 'exists') throw serverRefused(this.id, added)
    this.seesRecord = hasBytes(found)
    if (poll.asksLine) this.turn.standInLine()
    return this.meet(poll, poll.asksWho ? replyAt(replies, 1) : added)
  }

  /** Somebody has the lock. If it bears our name, nobody has: it is taken over by its version. */
  private meet(poll: Poll, occupant: Reply): undefined | Promise<Acquisition | undefined> {
    const nowMs = this.context.clock.nowMs()
    const content = occupant.value === undefined ? undefined : readToken(occupant.value)
    if (content?.instance === this.context.mint.instance && occupant.cas !== undefined) {
      return this.takeOver(poll, occupant.cas)
    }
    const known = this.sight?.instance
    const same = this.sight !== undefined && (known === undefined || known === content?.instance)
    this.sight = {
      instance: content?.instance ?? known,
      sinceMs: same && this.sight !== undefined ? this.sight.sinceMs : nowMs,
      holder: content?.holder ?? this.sight?.holder,
    }
    return undefined
  }

  private async takeOver(poll: Poll, cas: Cas): Promise<Acquisition | undefined> {
    const token = this.context.mint.mint(poll.label)
    const sentAtMs = this.context.clock.nowMs()
    const replies = await fly(this.context, this.id, [
      { op: 'cas', key: this.keys.lock, cas, value: token, ttlSec: this.context.limits.leaseSec, wantCas: true },
      { op: 'get', key: this.keys.record },
    ])
    const taken = replyAt(replies, 0)
    if (taken.status !== 'ok' || taken.cas === undefined) return undefined
    this.turn.began(true)
    this.forget()
    return { token, lockCas: taken.cas, record: recordOf(replyAt(replies, 1)), sentAtMs }
  }

  private forget(): void {
    this.sight = undefined
    this.suspect = false
  }
}
