import { ClosedError, type LatchkeyError, LockTimeoutError, ServerRefusedError, TooManyWaitersError } from '../errors.js'
import { channels } from '../observe/channels.js'
import { failure, type Verdict } from '../observe/event-channel.js'
import { hashOf } from '../system/session-hash.js'
import type { Command, Receiver, Reply } from '../wire/wire.js'
import { asFlightError, gone, unavailable } from './failures.js'
import type { AcquireOptions } from './handle.js'
import { type Acquisition, HeldLock, type LockOwner } from './held-lock.js'
import type { SessionKeys } from './key-layout.js'
import { fly, type LockContext, type LossReason, send } from './lock-context.js'
import { describeHolder, type LockToken, readToken } from './lock-token.js'
import { tellHandOff, tellLost, tellWait, tellWaitOver } from './observed.js'
import { type Poll, Poller } from './poller.js'
import { hasBytes, recordOf, type StoredRecord } from './record.js'
import type { Change, Exit, Outcome } from './transaction.js'
import { Turn } from './turn.js'
import { Waiter, type WaiterOwner } from './waiter.js'
import { Waiters } from './waiters.js'

/** The manager's side of a queue. */
export interface QueueHost {
  /** A lock of ours may be left on the server with nobody to hold it. */
  onOrphan(id: string): void
  /** Nobody holds or waits any more. */
  onIdle(queue: WaitQueue): void
}

/** How a lock is left. */
interface Departure {
  readonly exit: Exit
  /** The token of the one that it is handed to. */
  readonly handOff: LockToken | undefined
  /** Commands that ride along. */
  readonly extra: readonly Command[]
}

/** Undefined: another process has the session. */
type Attempt = Promise<Acquisition | undefined>

const NO_COMMANDS: readonly Command[] = []
const FREE: Departure = { exit: { kind: 'free' }, handOff: undefined, extra: NO_COMMANDS }

/**
 * Who holds and who waits for one session in this process, first come first served.
 *
 * Only the head of the queue polls the server. A lock that is let go while others wait here is handed to the next
 * one in the committing flight; after a turn it is granted to another process that stands in line.
 */
export class WaitQueue implements LockOwner, WaiterOwner, Receiver {
  private readonly waiters = new Waiters()
  private holder: HeldLock | undefined
  private serving = false
  private closed = false
  private readonly turn: Turn
  private readonly poller: Poller
  /** The first attempt, while it is under way. */
  private firstPoll: Poll | undefined
  /** Counts arrivals and sightings of a record, so that a waiter knows whether there was one in its time. */
  private tick = 0
  private recordSeenTick = -1
  private wake: (() => void) | undefined

  constructor(
    private readonly context: LockContext,
    readonly id: string,
    private readonly keys: SessionKeys,
    private readonly host: QueueHost,
    turnStartedAtMs: number,
  ) {
    this.turn = new Turn(context, id, keys, turnStartedAtMs)
    this.poller = new Poller(context, id, keys, this.turn)
  }

  get heldLock(): HeldLock | undefined {
    return this.holder
  }

  get waiting(): number {
    return this.waiters.size
  }

  /** Since when the first one waits; Infinity when nobody does. */
  get waitingSinceMs(): number {
    return this.waiters.first?.arrivedAtMs ?? Infinity
  }

  get turnStartedAtMs(): number {
    return this.turn.startedAtMs
  }

  /** Waits for the session; settles within `waitMs` and a flight. */
  acquire(options: AcquireOptions, nowMs: number): Promise<HeldLock> {
    const busy = this.holder !== undefined || this.serving
    const { maxWaiters } = this.context.limits
    if (busy && this.waiters.size >= maxWaiters) {
      throw new TooManyWaitersError(
        `${String(maxWaiters)} requests of this process wait for this session already (maxWaiters). Try again later.`,
        { session: hashOf(this.id) },
      )
    }
    return new Promise<HeldLock>((resolve, reject) => {
      const sawRecord = this.holder?.hasRecord ?? (this.serving && this.poller.seesRecord)
      const waiter = new Waiter(options, nowMs, ++this.tick, sawRecord, resolve, reject, this)
      this.waiters.add(waiter)
      if (busy) this.arm(waiter)
      else this.serve(nowMs)
    })
  }

  async leave(lock: HeldLock, change: Change, nowMs: number): Promise<void> {
    if (lock.hasRecord) this.recordSeenTick = ++this.tick
    const { exit, handOff, extra } = this.chooseExit()
    // A lock that is passed on without a write takes the record along as it is by now: it may have been destroyed.
    const reads: readonly Command[] =
      handOff !== undefined && change.kind === 'none' ? [{ op: 'get', key: this.keys.record }] : NO_COMMANDS
    const outcome = await lock.depart(change, exit, reads.length === 0 ? extra : [...reads, ...extra], nowMs)
    if (outcome.extra.length > reads.length) this.turn.learn(outcome.extra.slice(reads.length))
    this.holder = undefined
    const [read] = outcome.extra
    const record = reads.length > 0 && read !== undefined ? recordOf(read) : lock.stored
    if (hasBytes(record)) this.recordSeenTick = ++this.tick
    if (change.kind !== 'none' && outcome.error === undefined) this.context.counters.committed++
    if (handOff !== undefined && outcome.error === undefined && this.handOn(handOff, outcome, record)) return
    this.afterExit(lock, outcome, handOff)
    this.proceed()
    if (outcome.error !== undefined) throw outcome.error
  }

  onLoss(lock: HeldLock, reason: LossReason): void {
    this.context.events.lost(this.id, reason)
    if (this.holder !== lock) return
    this.holder = undefined
    this.poller.suspectOwnLock()
    // With somebody waiting the next poll takes over what is left of the lock; otherwise it is taken off the server.
    if (reason === 'lapsed' || reason === 'heldTooLong') {
      this.markOrphan()
      if (this.waiters.size === 0) void lock.surrender({ kind: 'free' })
    }
    this.proceed()
  }

  /** Settles everybody who waits; the holder may finish. */
  close(): void {
    this.closed = true
    for (const waiter of this.waiters.all()) {
      this.refuse(waiter, new ClosedError('The manager is closing; the session was not acquired.'))
    }
    this.wake?.()
  }

  // Acquiring: the head of the queue polls

  private serve(nowMs = this.context.clock.nowMs()): void {
    const { first } = this.waiters
    if (first === undefined) return
    this.serving = true
    this.firstPoll = this.poller.poll(first, nowMs)
    send(this.context, this.id, this.firstPoll.commands, this)
  }

  /** The first attempt was answered; most often nobody is in the way. */
  landed(replies: readonly Reply[]): void {
    const { firstPoll } = this
    if (firstPoll === undefined) return
    this.firstPoll = undefined
    try {
      const answer = this.poller.judge(firstPoll, replies)
      if (answer === undefined || answer instanceof Promise) void this.keepServing(answer, firstPoll.sentAtMs)
      else this.finishServing(answer)
    } catch (thrown) {
      void this.keepServing(Promise.reject(thrown), firstPoll.sentAtMs)
    }
  }

  /** It was not. */
  failed(thrown: unknown): void {
    const { firstPoll } = this
    this.firstPoll = undefined
    void this.keepServing(Promise.reject(thrown), firstPoll?.sentAtMs)
  }

  /** Goes on from the first attempt, until one succeeds or nobody waits. */
  private async keepServing(first: Attempt | undefined, sentAtMs = this.context.clock.nowMs()): Promise<void> {
    let startedMs = sentAtMs
    let retried = false
    for (let attempt = first; ; ) {
      try {
        const acquired = await attempt
        if (acquired !== undefined) {
          this.finishServing(acquired)
          return
        }
        retried = false
        await this.standBack()
      } catch (thrown) {
        if (thrown instanceof ServerRefusedError) {
          this.refuseAll(() => thrown)
          break
        }
        const failure = asFlightError(thrown)
        if (failure.outcome === 'unknown') this.markOrphan()
        if (!failure.untrusted) {
          // A connection that died under the request is worth one more try; a server that does not answer is not.
          if (retried || this.context.clock.nowMs() - startedMs > this.context.limits.flightMs / 2) {
            this.refuseAll(() => unavailable(this.id, failure))
            break
          }
          retried = true
        }
      }
      const head = this.waiters.first
      if (head === undefined) break
      startedMs = this.context.clock.nowMs()
      attempt = this.attempt(head, startedMs)
    }
    this.serving = false
    this.proceed()
  }

  private async attempt(head: Waiter, nowMs: number): Attempt {
    const poll = this.poller.poll(head, nowMs)
    const replies = await fly(this.context, this.id, poll.commands)
    return this.poller.judge(poll, replies)
  }

  private finishServing(acquired: Acquisition): void {
    this.serving = false
    this.give(acquired)
  }

  /** Another process has the session. */
  private async standBack(): Promise<void> {
    this.context.counters.polls++
    if (this.poller.seesRecord) this.recordSeenTick = ++this.tick
    const next = this.waiters.first
    if (next === undefined) return
    this.arm(next)
    await this.pause()
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.context.clock.setTimer(resolve, this.poller.delayMs())
      this.wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  // Giving up: hand on, grant, or free

  private chooseExit(): Departure {
    const grant = this.turn.grant()
    if (grant !== undefined) {
      this.poller.sawGrantTo(grant.instance)
      return { exit: grant.exit, handOff: undefined, extra: NO_COMMANDS }
    }
    const next = this.closed ? undefined : this.waiters.first
    if (next === undefined) return FREE
    const token = this.context.mint.mint(next.options.label)
    const exit: Exit = { kind: 'pass', token, ttlSec: this.context.limits.leaseSec }
    return { exit, handOff: token, extra: this.turn.lookAlong() }
  }

  /** Both were stored: the next one starts from the record just written, without a read. */
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
      // Handed on without its record: the next one takes the lock over and reads for itself.
      this.markOrphan()
    }
  }

  /** To the first who still waits and whose session is still there; nobody: let it go. */
  private give(acquired: Acquisition): void {
    const lock = new HeldLock(this.context, this.id, this.keys, this, acquired)
    this.holder = lock
    for (let next = this.waiters.first; next !== undefined; next = this.waiters.first) {
      if (!lock.hasRecord && next.sawRecord(this.recordSeenTick)) {
        this.refuse(next, gone(this.id))
        continue
      }
      this.waiters.remove(next)
      this.context.counters.acquired++
      lock.isTaken = true
      if (next.hasWaited) this.noteWait(next)
      next.accept(lock)
      return
    }
    lock.release().catch(() => {
      // A lock that could not be let go is taken off by the sweeper; there is nobody to tell.
    })
  }

  private proceed(): void {
    if (this.holder !== undefined || this.serving) return
    if (this.waiters.size > 0 && !this.closed) {
      this.serve()
      return
    }
    this.turn.leaveLine()
    this.host.onIdle(this)
  }

  private markOrphan(): void {
    this.poller.suspectOwnLock()
    this.host.onOrphan(this.id)
  }

  // Waiters

  private arm(waiter: Waiter): void {
    const { clock, limits } = this.context
    if (channels.wait.isObserved) tellWait(this.context, this.id, waiter)
    waiter.arm(clock, waiter.arrivedAtMs + limits.waitMs, () => {
      this.context.counters.timeouts++
      const holder = this.holder === undefined ? this.poller.holder : readToken(this.holder.token).holder
      const waitedMs = Math.round(clock.nowMs() - waiter.arrivedAtMs)
      const message =
        `The session stayed locked for ${String(waitedMs)} ms (waitMs is ${String(limits.waitMs)}); it is held by ` +
        `${describeHolder(holder)}. Try again, hold it for less, or raise waitMs.`
      this.refuse(waiter, new LockTimeoutError(message, { waitedMs, holder, session: hashOf(this.id) }))
    })
  }

  private refuse(waiter: Waiter, error: unknown): void {
    waiter.refuse(error)
    this.onGone(waiter, error)
  }

  private refuseAll(reason: () => LatchkeyError): void {
    for (const waiter of this.waiters.all()) this.refuse(waiter, reason())
  }

  /** It does not wait any more. */
  onGone(waiter: Waiter, reason: unknown): void {
    this.waiters.remove(waiter)
    if (waiter.hasWaited) this.noteWait(waiter, failure(reason))
    if (this.waiters.size === 0) this.wake?.()
  }

  /** Its wait is over; `verdict`: why without the session. */
  private noteWait(waiter: Waiter, verdict?: Verdict): void {
    const { clock, counters } = this.context
    const waitedMs = clock.nowMs() - waiter.arrivedAtMs
    if (waitedMs > counters.longestWaitMs) counters.longestWaitMs = waitedMs
    if (channels.wait.isObserved) tellWaitOver(waiter, waitedMs, verdict)
  }
}

