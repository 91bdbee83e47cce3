import { ClosedError, type Holder, type LatchkeyError } from '../../errors.js'
import { channels } from '../../observe/channels.js'
import { failure, type Verdict } from '../../observe/event-channel.js'
import type { Timer } from '../../system/clock.js'
import type { Command, Receiver } from '../../wire/wire.js'
import { gone, lockTimeout, tooManyWaiters } from '../protocol/failures.js'
import { type Change, type Departed, type Exit, FREE, NOTHING, type Outcome } from '../protocol/exchange.js'
import { type Asker, type Committer, tellOf } from '../protocol/handle.js'
import { type Acquisition, HeldLock, type LossListener } from '../hold/held-lock.js'
import type { LocalSession } from '../protocol/local-session.js'
import type { LockContext, LossReason } from '../protocol/lock-context.js'
import { type LockToken, readToken } from '../protocol/lock-token.js'
import { tellHandOff, tellLost, tellWait, tellWaitOver } from '../protocol/observed.js'
import { Poller, type PollerOwner } from './poller.js'
import { isSession, recordOf, type StoredRecord } from '../protocol/record.js'
import { QueuedHandle } from './queued-handle.js'
import type { Turn } from '../fairness/turn.js'
import { Waiter, type WaiterOwner } from './waiter.js'
import { Waiters } from './waiters.js'

/** What a queue tells the locker of its manager. */
export interface QueueHost {
  /** Called when a lock of the queue may stand on the server although nobody here holds it. */
  onOrphan(queue: WaitQueue): void
  /** Called when the queue's lock was released, granted to another process, or lost. */
  onLet(queue: WaitQueue): void
  /** Called when nobody holds the session here or waits for it any more. */
  onIdle(queue: WaitQueue): void
}

/** How a lock is given up. */
interface Departure {
  readonly exit: Exit
  /** The token of the next holder in this process; undefined: the lock is not handed on here. */
  readonly handOff: LockToken | undefined
  /** More commands for the same flight. */
  readonly extra: readonly Command[]
}

const NO_COMMANDS: readonly Command[] = []
const MOST_COUNTED = 100

/**
 * The holder of one session in this process, and the requests that wait for it, first come first served.
 *
 * Only the head of the queue polls the server. A lock that is given up while others wait here is handed to the next of
 * them in the flight of the commit. When the turn is over, the lock is granted to another process that stands in line.
 */
export class WaitQueue implements LossListener, WaiterOwner, PollerOwner {
  private readonly waiters = new Waiters()
  private holder: HeldLock | undefined
  private closed = false
  private readonly poller: Poller
  /** Counts arrivals and sightings of a record, so that a waiter can tell whether a record was seen while it waited. */
  private tick = 0
  private recordSeenTick = -1
  /** The deadline of the first waiter that has one. The others have come later, so theirs are later. */
  private deadline: Timer | undefined
  private deadlineMs = Infinity

  constructor(
    private readonly context: LockContext,
    private readonly session: LocalSession,
    private readonly turn: Turn,
    private readonly host: QueueHost,
  ) {
    this.poller = new Poller(context, session, this.turn, this)
  }

  get id(): string {
    return this.session.id
  }

  get instance(): string {
    return this.session.instance
  }

  get heldLock(): HeldLock | undefined {
    return this.holder
  }

  get waiting(): number {
    return this.waiters.size
  }

  /** The first of those who wait. */
  firstWaiters(most: number): readonly Pick<Waiter, 'label' | 'arrivedAtMs'>[] {
    return this.waiters.all(most)
  }

  /** Who has the session in another process, as far as the last look has shown it. */
  get stranger(): Holder | undefined {
    return this.poller.isPolling ? this.poller.holder : undefined
  }

  /** Since when the first waiter waits; Infinity when nobody waits. */
  get waitingSinceMs(): number {
    return this.waiters.first?.arrivedAtMs ?? Infinity
  }

  get turnStartedAtMs(): number {
    return this.turn.startedAtMs
  }

  /** Waits for the session. It is settled within `waitMs` and one flight. */
  acquire(asker: Asker, nowMs: number): void {
    const busy = this.holder !== undefined || this.poller.isPolling
    const { maxWaiters } = this.context.limits
    if (busy && this.waiters.size >= maxWaiters) {
      const error = tooManyWaiters(this.id, maxWaiters)
      this.tellWaited({ label: asker.options.label, arrivedAtMs: nowMs }, error)
      throw error
    }
    const sawRecord = this.holder?.hasRecord ?? (this.poller.isPolling && this.poller.seesRecord)
    const waiter = new Waiter(asker, { atMs: nowMs, tick: ++this.tick, foundRecord: sawRecord }, this)
    this.waiters.add(waiter)
    if (busy) this.arm(waiter)
    else this.poller.start(nowMs)
  }

  async leave(lock: HeldLock, change: Change, nowMs: number): Promise<void> {
    if (lock.hasRecord) this.recordSeenTick = ++this.tick
    const { exit, handOff, extra } = this.chooseExit()
    // A lock that is handed on without a write reads the record again for the next holder: the session may have been
    // destroyed since this holder read it.
    const reads: readonly Command[] =
      handOff !== undefined && change.kind === 'none' ? [{ op: 'get', key: this.session.keys.record }] : NO_COMMANDS
    const outcome = await lock.depart(change, exit, reads.length === 0 ? extra : [...extra, ...reads], nowMs)
    const looked = outcome.extra.slice(0, outcome.extra.length - reads.length)
    if (looked.length > 0) this.turn.learn(looked)
    const read = outcome.extra[looked.length]
    const record = reads.length > 0 && read !== undefined ? recordOf(read) : lock.stored
    this.conclude(lock, change, outcome, record, handOff)
  }

  /** Called when the lock has been given up: the next waiter here gets it, or those who wait poll for it again. */
  private conclude(
    lock: HeldLock,
    change: Change,
    outcome: Outcome,
    record: StoredRecord | undefined,
    handOff: LockToken | undefined,
  ): void {
    this.holder = undefined
    if (this.context.tap.witness !== undefined && lock.isTaken) this.tellHeld(lock, outcome, handOff)
    if (isSession(this.context, record)) this.recordSeenTick = ++this.tick
    if (change.kind !== 'none' && outcome.error === undefined) this.context.counters.committed++
    if (handOff !== undefined && outcome.error === undefined && this.handOn(handOff, outcome, record)) return
    this.host.onLet(this)
    this.afterExit(lock, outcome, handOff)
    this.proceed()
    if (outcome.error !== undefined) throw outcome.error
  }

  // Taking over from an UncontendedLock: a second request has come for its session

  /** Takes over a first attempt that is under way. Returns the receiver to be told how the attempt ends. */
  adoptAttempt(asker: Asker, token: LockToken, sentAtMs: number): Receiver {
    this.waiters.add(new Waiter(asker, { atMs: sentAtMs, tick: ++this.tick, foundRecord: false }, this))
    return this.poller.adopt(token, asker.options.label, sentAtMs)
  }

  adoptLock(acquired: Acquisition): QueuedHandle {
    const lock = new HeldLock(this.context, this.session, this, acquired)
    lock.isTaken = true
    this.holder = lock
    return this.handleOf(lock)
  }

  /** Takes over a commit or a release that is under way. Returns the receiver to be told how it ends. */
  adoptDeparture({ lock }: QueuedHandle, departed: Departed, committer: Committer): Receiver {
    const { told, outcome } = lock.adoptDeparture(departed)
    const concluded = outcome.then((ended) => {
      this.conclude(lock, departed.change, ended, lock.stored, undefined)
    })
    tellOf(concluded, committer)
    return told
  }

  onLoss(lock: HeldLock, reason: LossReason): void {
    this.context.events.lost(this.id, reason)
    if (lock.isTaken) lock.tellHeld(reason, undefined, this.causedMs(lock))
    if (this.holder !== lock) return
    this.holder = undefined
    this.host.onLet(this)
    this.poller.suspectOwnLock()
    // If somebody waits, the next poll takes over what is left of the lock. If nobody does, the lock is deleted.
    if (reason === 'lapsed' || reason === 'heldTooLong') {
      this.markOrphan()
      if (this.waiters.size === 0) void lock.surrender(FREE)
    }
    this.proceed()
  }

  /** Refuses everyone who waits. The holder may finish. */
  close(): void {
    this.closed = true
    this.onRefused(() => new ClosedError('The manager is closing; the session was not acquired.'))
    this.poller.wake()
  }

  // For the poller

  get head(): Waiter | undefined {
    return this.waiters.first
  }

  onAcquired(acquired: Acquisition): void {
    this.give(acquired)
  }

  onLocked(): void {
    if (this.poller.seesRecord) this.recordSeenTick = ++this.tick
    if (this.waiters.first !== undefined) this.arm(this.waiters.first)
  }

  onRefused(reason: () => LatchkeyError): void {
    for (const waiter of this.waiters.all()) this.refuse(waiter, reason())
  }

  onOrphan(): void {
    this.host.onOrphan(this)
  }

  onEnded(): void {
    this.proceed()
  }

  // Giving the lock up: handing it on, granting it, or freeing it

  private chooseExit(): Departure {
    const end = this.turn.end()
    if (end !== undefined) {
      if (end.instance !== undefined) this.poller.sawGrantTo(end.instance)
      return { exit: end.exit, handOff: undefined, extra: end.extra }
    }
    const next = this.closed ? undefined : this.waiters.first
    if (next === undefined) return { exit: FREE, handOff: undefined, extra: this.turn.lettingGo() }
    const token = this.context.mint.mint(this.session.instance, next.label)
    const exit: Exit = { kind: 'pass', token, ttlSec: this.context.limits.leaseSec }
    return { exit, handOff: token, extra: this.turn.lookAlong() }
  }

  /** Gives the lock to the next waiter, who starts from the record just written and need not read it. */
  private handOn(token: LockToken, outcome: Outcome, record: StoredRecord | undefined): boolean {
    if (outcome.lock !== 'done' || outcome.lockCas === undefined) return false
    this.context.counters.handOffs++
    if (channels.handOff.isObserved) tellHandOff(this.context, this.id, token, this.waiters.size - 1)
    this.give({ token, lockCas: outcome.lockCas, record, sentAtMs: outcome.sentAtMs })
    return true
  }

  private afterExit(lock: HeldLock, outcome: Outcome, handOff: LockToken | undefined): void {
    if (outcome.lock === 'lost') {
      this.context.counters.lost++
      if (channels.lost.isObserved) tellLost(this.context, lock, 'taken')
      this.context.events.lost(this.id, 'taken')
    } else if (outcome.lock === 'unclear' || handOff !== undefined) {
      // A lock of ours may be left on the server: its release is unclear, or it was handed on but its record is not
      // known here. The next poll takes it over, and reads the record.
      this.markOrphan()
    }
  }

  /** Gives the lock to the first waiter whose session still exists, or frees the lock if there is none. */
  private give(acquired: Acquisition): void {
    const lock = new HeldLock(this.context, this.session, this, acquired)
    this.holder = lock
    for (let next = this.waiters.first; next !== undefined; next = this.waiters.first) {
      if (this.context.dialect.isBoundToRecord && !lock.hasRecord && next.sawRecord(this.recordSeenTick)) {
        this.refuse(next, gone(this.id))
        continue
      }
      this.waiters.remove(next)
      if (this.waiters.size === 0) this.endWatch()
      this.context.counters.acquired++
      lock.isTaken = true
      if (next.hasWaited) {
        this.noteWait(next)
        this.tellWaited(next, undefined)
      }
      next.accept(this.handleOf(lock))
      return
    }
    this.leave(lock, NOTHING, this.context.clock.nowMs()).catch(() => {
      // There is nobody to tell. The sweeper deletes a lock that could not be freed.
    })
  }

  private handleOf(lock: HeldLock): QueuedHandle {
    return new QueuedHandle(this, lock, this.context.clock)
  }

  private proceed(): void {
    if (this.holder !== undefined || this.poller.isPolling) return
    if (this.waiters.size > 0 && !this.closed) {
      this.poller.start(this.context.clock.nowMs())
      return
    }
    this.turn.leaveLine()
    this.host.onIdle(this)
  }

  private markOrphan(): void {
    this.poller.suspectOwnLock()
    this.onOrphan()
  }

  // Waiters

  private arm(waiter: Waiter): void {
    if (waiter.triesOnce) return this.refuse(waiter, this.timeoutOf(waiter, this.context.clock.nowMs()))
    if (channels.wait.isObserved) tellWait(this.context, this.id, waiter)
    waiter.hasWaited = true
    this.watch(waiter)
  }

  /** One timer for the whole queue. It is not put off when a waiter leaves: it finds nobody overdue then. */
  private watch({ arrivedAtMs }: Waiter): void {
    const { clock, limits } = this.context
    const atMs = arrivedAtMs + limits.waitMs
    if (atMs >= this.deadlineMs) return
    this.deadline?.cancel()
    this.deadlineMs = atMs
    this.deadline = clock.setTimer(this.onDeadline, Math.max(atMs - clock.nowMs(), 0))
  }

  private readonly onDeadline = (): void => {
    const nowMs = this.context.clock.nowMs()
    this.endWatch()
    for (const waiter of this.waiters.all()) {
      if (!waiter.hasWaited) continue
      if (nowMs < waiter.arrivedAtMs + this.context.limits.waitMs) return this.watch(waiter)
      this.giveUp(waiter, nowMs)
    }
  }

  private giveUp(waiter: Waiter, nowMs: number): void {
    this.context.counters.timeouts++
    this.refuse(waiter, this.timeoutOf(waiter, nowMs))
  }

  private timeoutOf(waiter: Waiter, nowMs: number): LatchkeyError {
    const holder = this.holder === undefined ? this.poller.holder : readToken(this.holder.token).holder
    const waitedMs = Math.round(nowMs - waiter.arrivedAtMs)
    return lockTimeout(this.id, waitedMs, this.context.limits.waitMs, holder, this.holder !== undefined)
  }

  private endWatch(): void {
    this.deadline?.cancel()
    this.deadline = undefined
    this.deadlineMs = Infinity
  }

  private refuse(waiter: Waiter, error: unknown): void {
    waiter.refuse(error)
    this.onGone(waiter, error)
  }

  /** Called when `waiter` does not wait any more. */
  onGone(waiter: Waiter, reason: unknown): void {
    this.waiters.remove(waiter)
    this.tellWaited(waiter, reason)
    if (waiter.hasWaited) this.noteWait(waiter, failure(reason))
    if (this.waiters.size > 0) return
    this.endWatch()
    this.poller.wake()
  }

  /** Counts and reports a wait that is over. `verdict` says why it ended without the session; undefined: it got it. */
  private noteWait(waiter: Waiter, verdict?: Verdict): void {
    const { clock, counters } = this.context
    const waitedMs = clock.nowMs() - waiter.arrivedAtMs
    if (waitedMs > counters.longestWaitMs) counters.longestWaitMs = waitedMs
    if (channels.wait.isObserved) tellWaitOver(waiter, waitedMs, verdict)
  }

  // For a witness

  private tellHeld(lock: HeldLock, outcome: Outcome, handOff: LockToken | undefined): void {
    const { error } = outcome
    const isLost = error === undefined && outcome.lock === 'lost'
    const isHandedOn = handOff !== undefined && error === undefined && outcome.lock === 'done'
    lock.tellHeld(isLost ? 'taken' : 'ok', error, this.causedMs(lock), isHandedOn ? 'waiter' : 'nobody')
  }

  private tellWaited({ label, arrivedAtMs: sinceMs }: Pick<Waiter, 'label' | 'arrivedAtMs'>, reason: unknown): void {
    const { tap, clock } = this.context
    if (tap.witness === undefined) return
    const outcome = reason === undefined ? 'ok' : failure(reason).outcome
    const words = reason instanceof Error ? reason.message : undefined
    tap.witness.waited({ id: this.id, label, sinceMs, overAtMs: clock.nowMs(), outcome, reason: words, stranger: this.stranger })
  }

  /** How long those who wait here now have waited for this hold, taken together. */
  private causedMs(lock: HeldLock): number {
    if (this.context.tap.witness === undefined) return 0
    const nowMs = this.context.clock.nowMs()
    const seen = this.waiters.all(MOST_COUNTED)
    const sum = seen.reduce((total, { arrivedAtMs }) => total + nowMs - Math.max(arrivedAtMs, lock.sinceMs), 0)
    // Of a long queue the others count as the last one that was looked at, which came before them.
    const last = seen.at(-1)?.arrivedAtMs ?? nowMs
    return sum + (this.waiters.size - seen.length) * (nowMs - Math.max(last, lock.sinceMs))
  }
}
