import { type Holder, type LatchkeyError, ServerRefusedError } from '../../errors.js'
import { areSameBytes, type Cas, type Command, FlightError, type Receiver, type Reply, UnsupportedStoreError } from '../../wire/wire.js'
import { backOffMs, IN_LINE_FLOOR_MS } from './back-off.js'
import { Doorstep } from './doorstep.js'
import { grantedTo, type Sight, sightOf } from './sight.js'
import { asFlightError, serverRefused, unavailable } from '../protocol/failures.js'
import type { Acquisition } from '../hold/held-lock.js'
import type { LocalSession } from '../protocol/local-session.js'
import { fly, type LockContext, replyAt, send } from '../protocol/lock-context.js'
import { type LockToken, readToken } from '../protocol/lock-token.js'
import { isSession, recordOf } from '../protocol/record.js'
import type { Found, Turn } from '../fairness/turn.js'
import type { Waiter } from './waiter.js'

/** What a poller asks of its queue, and tells it. */
export interface PollerOwner {
  /** The waiter that the next attempt is for; undefined when nobody waits. */
  readonly head: Waiter | undefined
  /** Called when the lock has been taken. */
  onAcquired(acquired: Acquisition): void
  /** Called when another process has the lock. The next attempt follows after a pause. */
  onLocked(): void
  /** Called when polling has failed: everyone who waits is refused with an error from `reason`. */
  onRefused(reason: () => LatchkeyError): void
  /** Called when a lock of this queue may stand on the server although nobody here holds it. */
  onOrphan(): void
  /** Called when polling has ended without the lock. */
  onEnded(): void
}

/** One attempt to take the lock. */
interface Poll {
  readonly commands: readonly Command[]
  readonly token: LockToken
  readonly label: string | undefined
  /** Whether the attempt also reads the lock, to see who holds it. */
  readonly asksWho: boolean
  /** Whether the attempt also reads the line of processes that wait. */
  readonly asksLine: boolean
  /** Whether the attempt is sent because the holder said that the lock may be free. */
  readonly followsNews: boolean
  readonly sentAtMs: number
}

/** A lock without a version can be neither renewed nor released, so to wait for it would not help. */
const NO_VERSIONS = new FlightError('not-sent', 'the store counts no versions', {
  cause: new UnsupportedStoreError('The store answers reads without a version (CAS). Locks and fences need one: use another store'),
})

/** The result of an attempt; undefined: another process has the session. */
type Attempt = Promise<Acquisition | undefined>

/** Polls the server for one session's lock until this process has it, and remembers who was seen to hold it. */
export class Poller implements Receiver {
  isPolling = false
  /** The first attempt, until it is answered. */
  private first: Poll | undefined
  private sight: Sight | undefined
  /** A lock that bears our name may stand on the server although nobody here holds it. */
  private suspect = false
  /** Whether the last poll found a record, while another process held the lock. */
  seesRecord = false
  private endPause: (() => void) | undefined
  private readonly doorstep: Doorstep

  constructor(
    private readonly context: LockContext,
    private readonly session: LocalSession,
    private readonly turn: Turn,
    private readonly owner: PollerOwner,
  ) {
    this.doorstep = new Doorstep(context.bell, session, () => {
      this.wake()
    })
  }

  /** The holder that the last look at the lock has found. */
  get holder(): Holder | undefined {
    return this.sight?.holder
  }

  /** Makes the next attempt read the lock, even if it is the first: the lock that stands there may be our own. */
  suspectOwnLock(): void {
    this.suspect = true
  }

  /** Called when this queue has just granted the lock to `instance`. */
  sawGrantTo(instance: string): void {
    this.sight = grantedTo(instance, this.context.clock.nowMs())
  }

  /** Polls until the lock has been taken, everyone who waits has been refused, or nobody waits any more. */
  start(nowMs: number): void {
    const { head } = this.owner
    if (head === undefined) return
    this.isPolling = true
    if (this.isResting) {
      void this.goOn(undefined)
      return
    }
    this.first = this.poll(head, nowMs)
    send(this.context, this.session.id, this.first.commands, this)
  }

  /**
   * Starts like `start`, but the caller has already sent the first attempt,
   * and tells the receiver returned how it ends.
   */
  adopt(token: LockToken, label: string | undefined, sentAtMs: number): Receiver {
    this.isPolling = true
    this.first = { token, label, asksWho: false, asksLine: false, followsNews: false, sentAtMs, commands: [] }
    return this
  }

  /** Ends a pause early: there is news, or nobody may be waiting any more. */
  wake(): void {
    this.endPause?.()
  }

  /** Called with the replies to the first attempt. It mostly succeeds, and then needs no promise. */
  landed(replies: readonly Reply[]): void {
    const { first } = this
    if (first === undefined) return
    try {
      const answer = this.judge(first, replies)
      if (answer === undefined || answer instanceof Promise) void this.goOn(answer)
      else this.finish(answer)
    } catch (thrown) {
      this.failed(thrown)
    }
  }

  /** Called when the first attempt has failed. */
  failed(thrown: unknown): void {
    void this.goOn(Promise.reject(thrown))
  }

  /** Goes on polling from the result of the first attempt. */
  private async goOn(answer: Attempt | undefined): Promise<void> {
    let startedMs = this.first?.sentAtMs ?? this.context.clock.nowMs()
    this.first = undefined
    let retried = false
    for (let attempt = answer; ;) {
      let isLocked = true
      try {
        const acquired = await attempt
        if (acquired !== undefined) {
          this.finish(acquired)
          return
        }
      } catch (thrown) {
        if (thrown instanceof ServerRefusedError) {
          this.owner.onRefused(() => thrown)
          break
        }
        const failure = asFlightError(thrown)
        if (failure.outcome === 'unknown') this.mayHaveLeft()
        // A connection that broke during the request is worth one more try. A server that does not answer is not.
        const isLate = this.context.clock.nowMs() - startedMs > this.context.limits.flightMs / 2
        if (!failure.untrusted && (retried || isLate)) {
          this.owner.onRefused(() => unavailable(this.context, this.session.id, failure))
          break
        }
        retried ||= !failure.untrusted
        // An orphan of ours that could not be taken over, because all connections are younger than its version, is
        // waited for like any other lock. Without a pause and a deadline its waiters would be kept for longer than
        // waitMs.
        isLocked = isLate
      }
      if (isLocked) {
        retried = false
        this.context.counters.polls++
        this.owner.onLocked()
        await this.rest()
      }
      const { head } = this.owner
      if (head === undefined) break
      const nowMs = this.context.clock.nowMs()
      if (isLocked) startedMs = nowMs
      attempt = this.attempt(head, nowMs)
    }
    this.isPolling = false
    this.doorstep.leave()
    this.owner.onEnded()
  }

  private async attempt(head: Waiter, nowMs: number): Attempt {
    const poll = this.poll(head, nowMs)
    const replies = await fly(this.context, this.session.id, poll.commands)
    return this.judge(poll, replies)
  }

  private finish(acquired: Acquisition): void {
    this.isPolling = false
    this.first = undefined
    this.doorstep.leave()
    this.owner.onAcquired(acquired)
  }

  /**
   * Waits until the next attempt is due, or nobody waits. Asks the holder
   * instead of the server while the holder answers.
   */
  private async rest(): Promise<void> {
    const { clock, counters } = this.context
    // The others of ours come back at the same time, and the first has it.
    if (this.isResting) return this.restOut()
    const endsAtMs = clock.nowMs() + this.doorstep.trustedMs
    do await this.pause(endsAtMs)
    while (this.owner.head !== undefined && clock.nowMs() < endsAtMs && this.doorstep.isStillHeld())
    if (this.doorstep.hasNews) counters.rings++
  }

  /** Waits until this process has stood back for long enough. */
  private async restOut(): Promise<void> {
    while (this.isResting && this.owner.head !== undefined) await this.sleep(this.turn.restsUntilMs - this.context.clock.nowMs())
  }

  private async pause(endsAtMs: number): Promise<void> {
    if (this.owner.head === undefined || this.doorstep.hasNews) return
    const { clock, random } = this.context
    const nowMs = clock.nowMs()
    const seenMs = this.sight === undefined ? 0 : (nowMs - this.sight.sinceMs) / (1 + this.sight.missed) ** 2
    const floorMs = this.turn.isInLine ? IN_LINE_FLOOR_MS : this.doorstep.floorMs
    await this.sleep(Math.min(backOffMs(seenMs, random, floorMs), endsAtMs - nowMs))
  }

  /** Until then, or until it is woken. */
  private async sleep(forMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.context.clock.setTimer(resolve, forMs)
      this.endPause = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  /** Makes the attempt for the head of the queue. */
  private poll(head: Waiter, nowMs: number): Poll {
    const { label } = head
    const token = this.context.mint.mint(this.session.instance, label)
    const asksWho = this.sight !== undefined || this.suspect
    const asksLine = this.turn.wantsLook(this.sight === undefined ? 0 : nowMs - head.arrivedAtMs, nowMs)
    const { lock: key, record } = this.session.keys
    const add: Command = { op: 'add', key, value: token, ttlSec: this.context.limits.leaseSec }
    const get: Command = { op: 'get', key: record }
    // The lock first, and the line beside it: where the record is on another node, that is one leg.
    const commands: Command[] = asksWho ? [add, { op: 'get', key }] : [add]
    if (asksLine) commands.push(this.turn.lookCommand)
    commands.push(get)
    return { label, token, asksWho, asksLine, followsNews: this.doorstep.takeNews(), sentAtMs: nowMs, commands }
  }

  /**
   * Judges the replies to a poll: returns the acquisition, or undefined when another process has the session.
   *
   * @throws FlightError; LATCHKEY_SERVER_REFUSED when the server has no memory for the lock.
   */
  private judge(poll: Poll, replies: readonly Reply[]): Acquisition | undefined | Attempt {
    const added = replyAt(replies, 0)
    const [next, last] = poll.asksWho ? [2, 3] : [1, 2]
    const found = recordOf(replyAt(replies, poll.asksLine ? last : next))
    if (poll.asksLine) this.turn.learn(replies.slice(next, last))
    if (added.status === 'ok' && added.cas !== undefined) {
      if (this.isResting) return this.giveBack(added.cas)
      // A record without a stamp was written by a stranger, where ours bear one.
      const isStrangers = found?.flags === 0 && this.context.dialect.hasStamps
      this.began(isStrangers ? 'stranger' : this.sight && 'ours', poll.sentAtMs)
      return { token: poll.token, lockCas: added.cas, record: found, sentAtMs: poll.sentAtMs }
    }
    // Without its version it cannot be held, and it may stand there: where a proxy lets the read overtake the add, say.
    if (added.status === 'ok') this.mayHaveLeft()
    // A server without memory is not a locked session: to wait would not help.
    if (added.status !== 'ok' && added.status !== 'exists') throw serverRefused(this.context, this.session.id, added)
    this.seesRecord = isSession(this.context, found)
    const taking = this.meet(poll, poll.asksWho ? replyAt(replies, 1) : added)
    // Who was granted it stands in line no more.
    if (taking === undefined && poll.asksLine) this.turn.standInLine()
    return taking
  }

  /**
   * Called when a lock stands there already. A lock with our own name is an orphan, because nobody here holds it; and
   * the lock of a process that has ended is nobody's. Both are taken over by their version; any other is waited for.
   */
  private meet(poll: Poll, occupant: Reply): undefined | Attempt {
    const nowMs = this.context.clock.nowMs()
    if (occupant.value !== undefined && occupant.cas === undefined) throw NO_VERSIONS
    const { freeLock } = this.context.dialect
    if (freeLock !== undefined && occupant.value !== undefined && occupant.cas !== undefined && areSameBytes(occupant.value, freeLock)) {
      return this.takeOver(poll, occupant.cas)
    }
    const content = occupant.value === undefined ? undefined : readToken(occupant.value)
    if (content?.instance === this.session.instance && occupant.cas !== undefined) {
      return this.takeOver(poll, occupant.cas)
    }
    if (content?.instance !== undefined && occupant.cas !== undefined && this.doorstep.isDesertedBy(content.instance)) {
      return this.takeOver(poll, occupant.cas)
    }
    if (content !== undefined) this.doorstep.goTo(content, poll.followsNews)
    this.sight = sightOf(this.sight, content, occupant.cas, nowMs)
    return undefined
  }

  /** It is the turn of others, as this attempt has learned: the lock goes back as it came. */
  private async giveBack(cas: Cas): Attempt {
    this.forget()
    await fly(this.context, this.session.id, [{ op: 'cad', key: this.session.keys.lock, cas }])
    return undefined
  }

  private get isResting(): boolean {
    return this.context.clock.nowMs() < this.turn.restsUntilMs
  }

  private async takeOver(poll: Poll, cas: Cas): Attempt {
    const token = this.context.mint.mint(this.session.instance, poll.label)
    const sentAtMs = this.context.clock.nowMs()
    const replies = await fly(this.context, this.session.id, [
      { op: 'cas', key: this.session.keys.lock, cas, value: token, ttlSec: this.context.limits.leaseSec, wantCas: true },
      { op: 'get', key: this.session.keys.record },
    ])
    const taken = replyAt(replies, 0)
    if (taken.status !== 'ok' || taken.cas === undefined) {
      if (taken.status === 'ok') this.mayHaveLeft()
      return undefined
    }
    this.began('ours', sentAtMs)
    return { token, lockCas: taken.cas, record: recordOf(replyAt(replies, 1)), sentAtMs }
  }

  /** A lock of ours may stand there. */
  private mayHaveLeft(): void {
    this.suspect = true
    this.owner.onOrphan()
  }

  /** @param holder who had the lock before, unless a stranger was seen to have it. */
  private began(holder: Found['holder'], sentAtMs: number): void {
    const { sight } = this
    if (sight?.isStranger === true) {
      this.turn.began({ holder: 'stranger', theirsMs: this.context.clock.nowMs() - sight.strangersSinceMs, sentAtMs })
    } else {
      this.turn.began({ holder, theirsMs: 0, sentAtMs })
    }
    this.forget()
  }

  private forget(): void {
    this.sight = undefined
    this.suspect = false
  }
}
