import { LatchkeyError } from '../errors.js'
import { listenTo, stopListening } from '../system/shared-signal.js'
import { type CycleEnd, type CycleFound, type CycleSeat, type CycleStart, endReplies, startReplies, tellEnd } from '../wire/cycle.js'
import type { Witness } from '../observe/witness.js'
import type { Receiver, Reply, Value } from '../wire/wire.js'
import type { Alarm } from './protocol/alarms.js'
import { type Change, commandsOf, EMPTY, FREE, NOTHING, type Outcome } from './protocol/exchange.js'
import { alreadyLeft } from './protocol/failures.js'
import { type Asker, type Committer, type Handle, tellOf } from './protocol/handle.js'
import type { Acquisition } from './hold/held-lock.js'
import type { SessionKeys } from './protocol/key-layout.js'
import type { LocalSession } from './protocol/local-session.js'
import { prolongAfterMs, renewAfterMs, usableLeaseMs } from './protocol/lease.js'
import { endCycle, type LockContext, send, startCycle } from './protocol/lock-context.js'
import type { LockToken } from './protocol/lock-token.js'
import { isObserved, traceTransaction } from './protocol/observed.js'
import type { QueuedHandle } from './queue/queued-handle.js'
import { assertFits, burial, fencedEnd, prolonging, stampFor, type StoredRecord } from './protocol/record.js'
import type { WaitQueue } from './queue/wait-queue.js'
import type { Waiter } from './queue/waiter.js'

/** The locker, as one who meets nobody sees it. */
export interface UncontendedHost {
  /** A queue takes its place. */
  contest(lock: UncontendedLock): WaitQueue
  /** It has let go, and nobody waits. */
  onIdle(lock: UncontendedLock): void
  /** The instance that a lock of `id` is to bear. */
  instanceFor(id: string): string
  /** When the turn began in which this process has the session now. */
  turnOf(id: string, nowMs: number): number
}

/** What has taken over. */
interface Heirs {
  readonly queue: WaitQueue
  /** The lock, where one was held. */
  readonly handle: QueuedHandle | undefined
  /** Who is told of the flight that is under way. */
  readonly told: Receiver | undefined
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
  readonly keys: SessionKeys
  readonly instance: string
  readonly turnStartedAtMs: number
  readonly tokenName: string
  readonly tokenRest: string
  private seat: CycleSeat | undefined
  private found: CycleFound | undefined
  private lifetimeSec: number | undefined
  /** Told when it has let go: set from the moment that it begins to. */
  private committer: Committer | undefined
  private change: Change = NOTHING
  /** The stamp of what the second flight writes. */
  flags = 0
  private leftAtMs = 0
  private isOver = false
  private heirs: Heirs | undefined

  /** @param asker kept until it is told. */
  constructor(
    private readonly context: LockContext,
    private readonly host: UncontendedHost,
    readonly id: string,
    private asker: Asker | undefined,
    private readonly sentAtMs: number,
  ) {
    this.keys = context.layout.keysOf(id)
    this.instance = host.instanceFor(id)
    this.turnStartedAtMs = host.turnOf(id, sentAtMs)
    this.tokenName = context.mint.nameOf(this.instance)
    this.tokenRest = context.mint.restOf(asker?.options.label)
  }

  get session(): LocalSession {
    const { id, keys, instance, turnStartedAtMs } = this
    return { id, keys, instance, turnStartedAtMs }
  }

  get lockKey(): string {
    return this.keys.lock
  }

  get recordKey(): string {
    return this.keys.record
  }

  get token(): LockToken {
    return this.tokenName + this.tokenRest
  }

  get leaseSec(): number {
    return this.context.limits.leaseSec
  }

  acquire(): void {
    const signal = this.asker?.options.signal
    if (signal !== undefined) listenTo(signal, this)
    this.seat = startCycle(this.context, this.id, this)
  }

  /** The seam. From here on the queue has it, and this object only passes on. */
  contest(): WaitQueue {
    if (this.heirs !== undefined) return this.heirs.queue
    const queue = this.host.contest(this)
    this.context.alarms.cancel(this)
    this.heirs = this.bequeath(queue)
    // The held lock makes what was read small when it keeps it for long, and only if nobody else keeps it.
    this.found = undefined
    this.seat = undefined
    return queue
  }

  private bequeath(queue: WaitQueue): Heirs {
    const { asker, committer } = this
    if (asker !== undefined) {
      const { signal } = asker.options
      if (signal !== undefined) stopListening(signal, this)
      return { queue, handle: undefined, told: queue.adoptAttempt(asker, this.token, this.sentAtMs) }
    }
    const handle = queue.adoptLock(this.acquisition)
    if (this.lifetimeSec !== undefined) handle.keepAlive(this.lifetimeSec)
    if (committer === undefined) return { queue, handle, told: undefined }
    const { change, flags: stamp, leftAtMs: sentAtMs } = this
    return { queue, handle, told: queue.adoptDeparture(handle, { change, stamp, sentAtMs }, committer) }
  }

  landed(replies: Reply[]): void {
    this.contest()
    this.heirs?.told?.landed(replies)
  }

  failed(error: unknown): void {
    this.contest()
    this.heirs?.told?.failed(error)
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

  started(found: CycleFound): void {
    if (this.heirs !== undefined) return this.landed(startReplies(found))
    const { context, asker } = this
    this.found = found
    // A promise remembers the asynchronous context that it was made in: who keeps this object would keep that, too.
    this.asker = undefined
    context.counters.acquired++
    const signal = asker?.options.signal
    if (signal !== undefined) stopListening(signal, this)
    const { leaseSec, slowHoldMs, maxHoldMs } = context.limits
    context.alarms.set(this, this.sentAtMs + Math.min(renewAfterMs(leaseSec), slowHoldMs, maxHoldMs))
    asker?.acquired(this)
  }

  ended(): void {
    const isChanged = this.change.kind !== 'none'
    if (this.heirs !== undefined) return this.landed(endReplies(isChanged ? 2 : 1))
    const { committer } = this
    this.isOver = true
    this.committer = undefined
    if (isChanged) this.context.counters.committed++
    if (this.context.tap.witness !== undefined) this.tellHeld(this.context.tap.witness)
    this.host.onIdle(this)
    committer?.committed()
  }

  private tellHeld(witness: Witness): void {
    const { id, tokenRest: token, sentAtMs: sinceMs } = this
    witness.held({ id, token, sinceMs, overAtMs: this.context.clock.nowMs(), outcome: 'ok', to: 'nobody', causedMs: 0 })
  }

  // Holding

  /** As the queue says it of its own: who has the session here. */
  get heldLock(): this | undefined {
    return this.asker === undefined ? this : undefined
  }

  get waiting(): number {
    return this.asker === undefined ? 0 : 1
  }

  /** Whom the store keeps waiting. */
  firstWaiters(): readonly Pick<Waiter, 'label' | 'arrivedAtMs'>[] {
    return this.asker === undefined ? [] : [{ label: this.asker.options.label, arrivedAtMs: this.sentAtMs }]
  }

  get waitingSinceMs(): number {
    return this.asker === undefined ? Infinity : this.sentAtMs
  }

  get stranger(): undefined {
    return undefined
  }

  get heldMs(): number {
    return this.context.clock.nowMs() - this.sentAtMs
  }

  get leaseLeftMs(): number {
    return this.isHeld ? this.leaseUntilMs - this.context.clock.nowMs() : 0
  }

  get isHeld(): boolean {
    const handle = this.heirs?.handle
    if (handle !== undefined) return handle.isHeld
    return this.isOurs && this.context.clock.nowMs() < this.leaseUntilMs
  }

  get isLeft(): boolean {
    return this.heirs?.handle?.isLeft ?? !this.isOurs
  }

  private get isOurs(): boolean {
    return this.found !== undefined && this.committer === undefined && !this.isOver
  }

  private get leaseUntilMs(): number {
    return this.sentAtMs + usableLeaseMs(this.context.limits.leaseSec)
  }

  get record(): Value | undefined {
    const handle = this.heirs?.handle
    return handle === undefined ? this.found?.value : handle.record
  }

  get signal(): AbortSignal {
    return this.held.signal
  }

  keepAlive(lifetimeSec: number | undefined): void {
    const { context, sentAtMs } = this
    const handle = this.heirs?.handle
    this.lifetimeSec = lifetimeSec
    if (handle !== undefined) handle.keepAlive(lifetimeSec)
    else if (lifetimeSec !== undefined && this.isOurs && sentAtMs + prolongAfterMs(lifetimeSec) < this.atMs) {
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

  commit(bytes: Value, ttlSec: number, committer: Committer): void {
    const nowMs = this.context.clock.nowMs()
    if (this.isDisturbed(nowMs)) return this.held.commit(bytes, ttlSec, committer)
    assertFits(this.context, this.id, this.keys, bytes)
    const change: Change = { kind: 'write', bytes, ttlSec }
    if (isObserved(change, FREE)) tellOf(this.leaveObserved(change, nowMs), committer)
    else this.depart(change, nowMs, committer)
  }

  touch(ttlSec: number): Promise<void> {
    const nowMs = this.context.clock.nowMs()
    if (this.isDisturbed(nowMs)) return this.held.touch(ttlSec)
    return this.left(prolonging(this.context, this.stored, ttlSec), nowMs)
  }

  destroy(): Promise<void> {
    const nowMs = this.context.clock.nowMs()
    if (this.isDisturbed(nowMs)) return this.held.destroy()
    return this.left(burial(this.context), nowMs)
  }

  end(): Promise<void> {
    const nowMs = this.context.clock.nowMs()
    if (this.isDisturbed(nowMs)) return this.held.end()
    return this.left(fencedEnd(this.context), nowMs)
  }

  async release(): Promise<void> {
    if (this.isLeft) return
    const nowMs = this.context.clock.nowMs()
    await (this.isDisturbed(nowMs) ? this.held.release() : this.left(NOTHING, nowMs))
  }

  private left(change: Change, nowMs: number): Promise<void> {
    return isObserved(change, FREE) ? this.leaveObserved(change, nowMs) : this.departed(change, nowMs)
  }

  private departed(change: Change, nowMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.depart(change, nowMs, { committed: resolve, failed: reject })
    })
  }

  /** A due alarm that the process was too busy to ring counts as well. */
  private isDisturbed(nowMs: number): boolean {
    return this.heirs !== undefined || !this.isOurs || nowMs >= this.atMs
  }

  private async leaveObserved(change: Change, nowMs: number): Promise<void> {
    const depart = (): Promise<Leaving> => this.departed(change, nowMs).then(() => DONE, failedWith)
    const { error } = await traceTransaction(this.context, this, change, FREE, depart)
    if (error !== undefined) throw error
  }

  private depart(change: Change, nowMs: number, committer: Committer): void {
    const { context, id, keys, found } = this
    this.committer = committer
    this.change = change
    this.leftAtMs = nowMs
    context.alarms.cancel(this)
    this.flags = stampFor(context, change, found)
    if (change.kind !== 'none' && change.kind !== 'delete' && found?.value !== undefined && endCycle(context, this, this.seat)) return
    const { lockCas, record } = this.acquisition
    const commands = commandsOf(keys, change, FREE, { recordCas: record?.cas, lockCas, stamp: this.flags })
    send(context, id, commands, { landed: (replies) => tellEnd(this, replies), failed: (error) => this.failed(error) })
  }

  /** What the second flight writes. */
  get value(): Value {
    return 'bytes' in this.change ? this.change.bytes : EMPTY
  }

  get ttlSec(): number {
    return 'ttlSec' in this.change ? this.change.ttlSec : 0
  }

  private get stored(): StoredRecord | undefined {
    const { found } = this
    return found?.value === undefined ? undefined : { bytes: found.value, flags: found.flags, cas: found.recordCas }
  }

  private get acquisition(): Acquisition {
    const { token, found, stored: record, sentAtMs } = this
    if (found === undefined) throw new TypeError('a lock that was not acquired has no version')
    return { token, lockCas: found.lockCas, record, sentAtMs }
  }

  /** The lock with all that may happen to it. @throws MisuseError after it was given up. */
  private get held(): QueuedHandle {
    if (this.isOurs) this.contest()
    const handle = this.heirs?.handle
    if (handle === undefined) throw alreadyLeft(this.id)
    return handle
  }
}

function failedWith(error: unknown): Leaving {
  if (error instanceof LatchkeyError) return { error, lock: 'unclear' }
  throw error
}
