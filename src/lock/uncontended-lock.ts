import { LatchkeyError } from '../errors.js'
import { listenTo, stopListening } from '../system/shared-signal.js'
import { type CycleEnd, type CycleSeat, type CycleStart, endReplies, type FoundRecord, startReplies, tellEnd } from '../wire/cycle.js'
import type { Cas, Receiver, Reply, Value } from '../wire/wire.js'
import type { Alarm } from './protocol/alarms.js'
import { type Change, commandsOf, EMPTY, FREE, NOTHING, type Outcome } from './protocol/exchange.js'
import { alreadyLeft } from './protocol/failures.js'
import type { AcquireOptions, Handle } from './protocol/handle.js'
import type { Acquisition } from './hold/held-lock.js'
import type { LocalSession } from './protocol/local-session.js'
import { prolongAfterMs, renewAfterMs, usableLeaseMs } from './protocol/lease.js'
import { endCycle, type LockContext, send, startCycle } from './protocol/lock-context.js'
import type { LockToken } from './protocol/lock-token.js'
import { isObserved, traceTransaction } from './protocol/observed.js'
import type { QueuedHandle } from './queue/queued-handle.js'
import { assertFits, burial, fencedEnd, prolonging, stampFor, type StoredRecord } from './protocol/record.js'
import type { WaitQueue } from './queue/wait-queue.js'

/** The locker, as one who meets nobody sees it. */
export interface UncontendedHost {
  /** A queue takes its place. */
  contest(lock: UncontendedLock): WaitQueue
  /** It has let go, and nobody waits. */
  onIdle(lock: UncontendedLock): void
}

type Leaving = Pick<Outcome, 'error' | 'lock'>
const DONE: Leaving = { error: undefined, lock: 'done' }

/**
 * One request that meets nobody at its session: two flights, and one object for both, as long as all goes well.
 *
 * `contest()` is the seam to all else. At the first thing that is not plain success (another reply, a second request, a
 * renewal, a call that keeps the lock) a queue and a held lock take over what is known here. They wait, renew, resolve
 * what was not seen, and judge what was refused; nothing of that is done here.
 */
export class UncontendedLock implements Handle, CycleStart, CycleEnd, Alarm {
  atMs = 0
  earlier: Alarm | undefined
  later: Alarm | undefined
  isSet = false
  readonly token: LockToken
  private state: 'acquiring' | 'held' | 'leaving' | 'over' = 'acquiring'
  private lockCas: Cas | undefined
  private stored: StoredRecord | undefined
  private lifetimeSec: number | undefined
  private change: Change = NOTHING
  /** What the second flight writes. */
  value: Value = EMPTY
  flags = 0
  ttlSec = 0
  private seat: CycleSeat | undefined
  private leftAtMs = 0
  private resolveAcquire: ((handle: Handle) => void) | undefined
  private resolveLeave: (() => void) | undefined
  private reject: ((reason: unknown) => void) | undefined
  /** What has taken over: the queue, the lock where one was held, and who is told of the flight that is under way. */
  private queue: WaitQueue | undefined
  private heir: QueuedHandle | undefined
  private next: Receiver | undefined

  constructor(
    private readonly context: LockContext,
    readonly session: LocalSession,
    private readonly host: UncontendedHost,
    private readonly options: AcquireOptions,
    private readonly sentAtMs: number,
  ) {
    this.token = context.mint.mint(session.instance, options.label)
  }

  get id(): string {
    return this.session.id
  }

  get turnStartedAtMs(): number {
    return this.session.turnStartedAtMs
  }

  get lockKey(): string {
    return this.session.keys.lock
  }

  get recordKey(): string {
    return this.session.keys.record
  }

  get leaseSec(): number {
    return this.context.limits.leaseSec
  }

  acquire(): Promise<Handle> {
    return new Promise((resolve, reject) => {
      const { signal } = this.options
      this.resolveAcquire = resolve
      this.reject = reject
      if (signal !== undefined) listenTo(signal, this)
      this.seat = startCycle(this.context, this.id, this)
    })
  }

  /** The seam. From here on the queue has it, and this object only passes on. */
  contest(): WaitQueue {
    if (this.queue !== undefined) return this.queue
    const queue = this.host.contest(this)
    this.queue = queue
    this.context.alarms.cancel(this)
    const { state, resolveAcquire, resolveLeave, reject } = this
    if (state === 'acquiring' && resolveAcquire !== undefined && reject !== undefined) {
      if (this.options.signal !== undefined) stopListening(this.options.signal, this)
      this.next = queue.adoptAttempt(this.options, { token: this.token, sentAtMs: this.sentAtMs }, { resolve: resolveAcquire, reject })
      return queue
    }
    this.heir = queue.adoptLock(this.acquisition)
    if (this.lifetimeSec !== undefined) this.heir.keepAlive(this.lifetimeSec)
    if (state === 'leaving' && resolveLeave !== undefined && reject !== undefined) {
      const { change, flags: stamp, leftAtMs: sentAtMs } = this
      this.next = queue.adoptDeparture(this.heir, { change, stamp, sentAtMs }, resolveLeave, reject)
    }
    return queue
  }

  landed(replies: Reply[]): void {
    this.contest()
    this.next?.landed(replies)
  }

  failed(error: unknown): void {
    this.contest()
    this.next?.failed(error)
  }

  /** The signal's listener: who waits gives up. */
  handleEvent(): void {
    this.contest().head?.handleEvent()
  }

  ring(): void {
    const { lock } = this.held
    // It rings now. Left set, its own alarm would ring beside the renewal, and take a lease that is being renewed for lost.
    this.context.alarms.cancel(lock)
    lock.ring()
  }

  // Plain success

  started(lockCas: Cas, record: FoundRecord | undefined): void {
    if (this.queue !== undefined) return this.landed(startReplies(lockCas, record))
    const { context, options } = this
    this.lockCas = lockCas
    this.stored = record
    this.state = 'held'
    context.counters.acquired++
    if (options.signal !== undefined) stopListening(options.signal, this)
    const { leaseSec, slowHoldMs, maxHoldMs } = context.limits
    context.alarms.set(this, this.sentAtMs + Math.min(renewAfterMs(leaseSec), slowHoldMs, maxHoldMs))
    this.resolveAcquire?.(this)
    this.forgetCall()
  }

  ended(): void {
    const isChanged = this.change.kind !== 'none'
    if (this.queue !== undefined) return this.landed(endReplies(isChanged ? 2 : 1))
    this.state = 'over'
    if (isChanged) this.context.counters.committed++
    this.host.onIdle(this)
    this.resolveLeave?.()
    this.forgetCall()
  }

  /** A promise remembers the asynchronous context that it was made in: who keeps this object would keep that, too. */
  private forgetCall(): void {
    this.resolveAcquire = undefined
    this.resolveLeave = undefined
    this.reject = undefined
  }

  // Holding

  /** As the queue says it of its own: who has the session here. */
  get heldLock(): this | undefined {
    return this.state === 'acquiring' ? undefined : this
  }

  get waiting(): number {
    return this.state === 'acquiring' ? 1 : 0
  }

  get waitingSinceMs(): number {
    return this.state === 'acquiring' ? this.sentAtMs : Infinity
  }

  get heldMs(): number {
    return this.context.clock.nowMs() - this.sentAtMs
  }

  get leaseLeftMs(): number {
    return this.isHeld ? this.leaseUntilMs - this.context.clock.nowMs() : 0
  }

  get isHeld(): boolean {
    if (this.heir !== undefined) return this.heir.isHeld
    return this.state === 'held' && this.context.clock.nowMs() < this.leaseUntilMs
  }

  get isLeft(): boolean {
    return this.heir === undefined ? this.state !== 'held' : this.heir.isLeft
  }

  private get leaseUntilMs(): number {
    return this.sentAtMs + usableLeaseMs(this.context.limits.leaseSec)
  }

  get record(): Value | undefined {
    return this.heir === undefined ? this.stored?.bytes : this.heir.record
  }

  get signal(): AbortSignal {
    return this.held.signal
  }

  keepAlive(lifetimeSec: number | undefined): void {
    const { context, sentAtMs } = this
    this.lifetimeSec = lifetimeSec
    if (this.heir !== undefined) this.heir.keepAlive(lifetimeSec)
    else if (lifetimeSec !== undefined && this.state === 'held' && sentAtMs + prolongAfterMs(lifetimeSec) < this.atMs) {
      context.alarms.set(this, sentAtMs + prolongAfterMs(lifetimeSec))
    }
  }

  save(bytes: Value, ttlSec: number): Promise<void> {
    return this.held.save(bytes, ttlSec)
  }

  reload(): Promise<void> {
    return this.held.reload()
  }

  // Leaving

  commit(bytes: Value, ttlSec: number): Promise<void> {
    const nowMs = this.context.clock.nowMs()
    if (this.isDisturbed(nowMs)) return this.held.commit(bytes, ttlSec)
    assertFits(this.context, this.id, this.session.keys, bytes)
    return this.leave({ kind: 'write', bytes, ttlSec }, nowMs)
  }

  touch(ttlSec: number): Promise<void> {
    const nowMs = this.context.clock.nowMs()
    if (this.isDisturbed(nowMs)) return this.held.touch(ttlSec)
    return this.leave(prolonging(this.context, this.stored, ttlSec), nowMs)
  }

  destroy(): Promise<void> {
    const nowMs = this.context.clock.nowMs()
    if (this.isDisturbed(nowMs)) return this.held.destroy()
    return this.leave(burial(this.context), nowMs)
  }

  end(): Promise<void> {
    const nowMs = this.context.clock.nowMs()
    if (this.isDisturbed(nowMs)) return this.held.end()
    return this.leave(fencedEnd(this.context), nowMs)
  }

  async release(): Promise<void> {
    if (this.isLeft) return
    const nowMs = this.context.clock.nowMs()
    await (this.isDisturbed(nowMs) ? this.held.release() : this.leave(NOTHING, nowMs))
  }

  /** A due alarm that the process was too busy to ring counts as well. */
  private isDisturbed(nowMs: number): boolean {
    return this.queue !== undefined || this.state !== 'held' || nowMs >= this.atMs
  }

  private leave(change: Change, nowMs: number): Promise<void> {
    return isObserved(change, FREE) ? this.leaveObserved(change, nowMs) : this.depart(change, nowMs)
  }

  private async leaveObserved(change: Change, nowMs: number): Promise<void> {
    const depart = (): Promise<Leaving> => this.depart(change, nowMs).then(() => DONE, failedWith)
    const { error } = await traceTransaction(this.context, this, change, FREE, depart)
    if (error !== undefined) throw error
  }

  private depart(change: Change, nowMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const { context, stored } = this
      const { id, keys } = this.session
      const { lockCas } = this.acquisition
      this.state = 'leaving'
      this.change = change
      this.leftAtMs = nowMs
      this.resolveLeave = resolve
      this.reject = reject
      context.alarms.cancel(this)
      this.flags = stampFor(context, change, stored)
      if (change.kind !== 'none' && change.kind !== 'delete' && stored !== undefined) {
        this.value = change.kind === 'destroy' ? EMPTY : change.bytes
        this.ttlSec = change.ttlSec
        if (endCycle(context, this, this.seat)) return
      }
      const commands = commandsOf(keys, change, FREE, { recordCas: stored?.cas, lockCas, stamp: this.flags })
      send(context, id, commands, { landed: (replies) => tellEnd(this, replies), failed: (error) => this.failed(error) })
    })
  }

  private get acquisition(): Acquisition {
    const { token, lockCas, stored: record, sentAtMs } = this
    if (lockCas === undefined) throw new TypeError('a lock that was not acquired has no version')
    return { token, lockCas, record, sentAtMs }
  }

  /** The lock with all that may happen to it. @throws MisuseError after it was given up. */
  private get held(): QueuedHandle {
    if (this.state === 'held') this.contest()
    if (this.heir === undefined) throw alreadyLeft(this.id)
    return this.heir
  }
}

function failedWith(error: unknown): Leaving {
  if (error instanceof LatchkeyError) return { error, lock: 'unclear' }
  throw error
}
