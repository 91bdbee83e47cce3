import { FencedError, OutcomeUnknownError, SessionGoneError, type LatchkeyError } from '../../errors.js'
import { channels } from '../../observe/channels.js'
import { type Cas, type Command, FlightError, type Receiver, type Value } from '../../wire/wire.js'
import { alreadyLeft, lossError, unavailable } from '../protocol/failures.js'
import type { Alarm } from '../protocol/alarms.js'
import { type Change, type Departed, type Exit, FREE, NOTHING, type Outcome } from '../protocol/exchange.js'
import type { SessionKeys } from '../protocol/key-layout.js'
import type { LocalSession } from '../protocol/local-session.js'
import type { LockContext, LossReason } from '../protocol/lock-context.js'
import { type LockToken, readToken } from '../protocol/lock-token.js'
import { isObserved, tellLost, traceTransaction } from '../protocol/observed.js'
import { assertFits, burial, fencedEnd, isSame, isSession, look, prolonging, type StoredRecord } from '../protocol/record.js'
import { Timetable } from './timetable.js'
import { type LockKnowledge, type Order, Transaction } from './transaction.js'

/** Who is told that a lock went away by itself. */
export interface LossListener {
  onLoss(lock: HeldLock, reason: LossReason): void
}

/** What taking a lock brought. */
export interface Acquisition {
  readonly token: LockToken
  readonly lockCas: Cas
  readonly record: StoredRecord | undefined
  /** When the command that took the lock was sent: the lease runs from here. */
  readonly sentAtMs: number
}

const NO_COMMANDS: readonly Command[] = []

/** The most flights that a call takes, with those of a renewal that it waits for; a renewal takes fewer, so that one is left. */
const CALL_FLIGHTS = 3
const RENEWAL_FLIGHTS = 2

/**
 * One acquisition of one session's lock: its token, its lease and renewal, and the record it was read with.
 *
 * Its commands are strictly serial. Who gets the lock next (`Exit`) is the wait queue's to say.
 */
export class HeldLock implements Alarm {
  readonly id: string
  readonly keys: SessionKeys
  readonly token: LockToken
  private readonly known: LockKnowledge
  private readonly acquiredAtMs: number
  private state: 'held' | 'lost' | 'left' = 'held'
  private lossReason: LossReason = 'taken'
  private readonly times: Timetable
  /** The alarm of the renewal, of a slow hold, or of the end of lease or hold. */
  atMs = 0
  earlier: Alarm | undefined
  later: Alarm | undefined
  isSet = false
  /** A request has it. A lock whose request has given up meanwhile is let go of without an event. */
  isTaken = false
  private busy: Promise<void> | undefined
  private controller: AbortController | undefined

  constructor(
    private readonly context: LockContext,
    { id, keys }: Pick<LocalSession, 'id' | 'keys'>,
    private readonly owner: LossListener,
    acquired: Acquisition,
  ) {
    this.id = id
    this.keys = keys
    this.token = acquired.token
    this.known = { lockCas: acquired.lockCas, record: acquired.record, clouded: false }
    this.acquiredAtMs = acquired.sentAtMs
    this.times = new Timetable(context.limits, acquired.sentAtMs)
    this.schedule()
  }

  get isHeld(): boolean {
    return this.state === 'held' && this.context.clock.nowMs() < this.times.leaseUntilMs
  }

  get isLost(): boolean {
    return this.state === 'lost'
  }

  /** Its holder has let go of it. */
  get isLeft(): boolean {
    return this.state === 'left'
  }

  /** Since when it is held, on the manager's clock. */
  get sinceMs(): number {
    return this.acquiredAtMs
  }

  get heldMs(): number {
    return this.context.clock.nowMs() - this.acquiredAtMs
  }

  /** For how long it may still be believed to be ours; 0 when it may not. */
  get leaseLeftMs(): number {
    return this.isHeld ? this.times.leaseUntilMs - this.context.clock.nowMs() : 0
  }

  /** The record as last read or written, with the version that fences the next write: what a hand-off passes on. */
  get stored(): StoredRecord | undefined {
    return this.known.record
  }

  get hasRecord(): boolean {
    return isSession(this.context, this.known.record)
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.state === 'lost') this.controller.abort(this.lossError())
    }
    return this.controller.signal
  }

  /** Throws why this lock is no longer ours, or a MisuseError after its holder has let go of it. */
  assertUsable(): void {
    if (this.state === 'lost') throw this.lossError()
    if (this.state === 'left') throw alreadyLeft(this.id)
  }

  keepAlive(lifetimeSec: number | undefined): void {
    this.times.keepAlive(lifetimeSec)
    if (this.state === 'held' && this.times.nextMs < this.atMs) this.schedule()
  }

  /** Throws what refuses this record without asking the server. */
  assertWritable(bytes: Value, nowMs: number): void {
    this.loseIfOverdue(nowMs)
    this.assertUsable()
    assertFits(this.context, this.id, this.keys, bytes)
  }

  async save(bytes: Value, ttlSec: number): Promise<void> {
    assertFits(this.context, this.id, this.keys, bytes)
    const dueAtMs = this.afterFlights(CALL_FLIGHTS)
    await this.serially(async () => {
      const nowMs = this.context.clock.nowMs()
      this.loseIfOverdue(nowMs)
      this.assertUsable()
      const outcome = await this.transact(this.keeping({ kind: 'write', bytes, ttlSec }, dueAtMs), nowMs)
      if (outcome.error === undefined) this.times.livesFrom(outcome.sentAtMs, ttlSec)
      this.mark('save', outcome.error?.code ?? 'ok')
      this.afterKeep(outcome)
      if (outcome.error !== undefined) throw outcome.error
    })
  }

  async reload(): Promise<void> {
    await this.serially(async () => {
      this.assertUsable()
      const seen = await look(this.context, this.id, this.keys, this.token)
      if (seen instanceof FlightError) throw unavailable(this.context, this.id, seen)
      if (!seen.mine) {
        this.lose('taken')
        throw this.lossError()
      }
      this.known.lockCas = seen.lockCas
      this.known.record = seen.record
      // The hold may have come to its end meanwhile: another one has the session then, and what was read is old.
      this.assertUsable()
    })
  }

  /** For the owner: carries out the change and the exit in one flight with `extra`. The last call on this lock. */
  depart(change: Change, exit: Exit, extra: readonly Command[], nowMs: number): Promise<Outcome> {
    const dueAtMs = nowMs + CALL_FLIGHTS * this.context.limits.flightMs
    const order = { change, exit, extra, dueAtMs }
    if (this.busy === undefined) return this.leaveNow(order, nowMs)
    return this.leaveLater(order)
  }

  private async leaveLater(order: Order): Promise<Outcome> {
    while (this.busy !== undefined) await this.busy
    return this.leaveNow(order, this.context.clock.nowMs())
  }

  private leaveNow(order: Order, nowMs: number): Promise<Outcome> {
    this.assertUsable()
    this.state = 'left'
    this.context.alarms.cancel(this)
    // The alarm does not ring in a process that is busy all the while.
    this.reportIfSlow(nowMs)
    return this.transact(order, nowMs)
  }

  /** Declares the lock lost: the signal aborts, later calls throw the reason. False when it was not held. */
  lose(reason: LossReason): boolean {
    if (this.state !== 'held') return false
    this.state = 'lost'
    this.lossReason = reason
    this.context.alarms.cancel(this)
    this.context.counters.lost++
    if (channels.lost.isObserved) tellLost(this.context, this, reason)
    this.controller?.abort(this.lossError())
    this.owner.onLoss(this, reason)
    return true
  }

  /** Takes over a last exchange that another has sent: returns who is to be told of its replies, and what will have come of it. */
  adoptDeparture({ change, stamp, sentAtMs }: Departed): { readonly told: Receiver; readonly outcome: Promise<Outcome> } {
    this.state = 'left'
    this.context.alarms.cancel(this)
    const dueAtMs = sentAtMs + CALL_FLIGHTS * this.context.limits.flightMs
    const transaction = new Transaction(this.context, this, this.known, { change, exit: FREE, extra: NO_COMMANDS, dueAtMs }, stamp)
    return { told: transaction, outcome: transaction.adopt(sentAtMs) }
  }

  /** Takes off the server what may be left there of a lock that was declared lost. */
  async surrender(exit: Exit): Promise<Outcome> {
    while (this.busy !== undefined) await this.busy
    const dueAtMs = this.afterFlights(CALL_FLIGHTS)
    return this.transact({ change: NOTHING, exit, extra: NO_COMMANDS, dueAtMs }, this.context.clock.nowMs())
  }

  /** After a pause of the process a write may run before the alarm that should have gone off long ago. */
  private loseIfOverdue(nowMs: number): void {
    if (this.times.isOverAt(nowMs)) this.lose('heldTooLong')
  }

  private transact(order: Order, nowMs: number): Promise<Outcome> {
    const transaction = new Transaction(this.context, this, this.known, order)
    return isObserved(order.change, order.exit) ? this.observed(transaction, order, nowMs) : transaction.run(nowMs)
  }

  /** Taking a lost lock off the server is no release: nobody is told of it. */
  private observed(transaction: Transaction, { change, exit }: Order, nowMs: number): Promise<Outcome> {
    if (this.state === 'lost' || !this.isTaken) return transaction.run(nowMs)
    return traceTransaction(this.context, this, change, exit, () => transaction.run(nowMs))
  }

  private afterFlights(count: number): number {
    return this.context.clock.nowMs() + count * this.context.limits.flightMs
  }

  /** A commit beside a renewal would be fenced by it, so commands of one lock never overlap. */
  private async serially(work: () => Promise<void>): Promise<void> {
    while (this.busy !== undefined) await this.busy
    const run = work()
    const settled = run.then(ignore, ignore)
    this.busy = settled
    try {
      await run
    } finally {
      if (this.busy === settled) this.busy = undefined
    }
  }

  private schedule(): void {
    this.context.alarms.set(this, this.times.nextMs)
  }

  /** Tells a witness that the hold is over. */
  tellHeld(outcome: string, error: LatchkeyError | undefined, causedMs: number, to: 'waiter' | 'nobody' = 'nobody'): void {
    const { id, token, acquiredAtMs: sinceMs } = this
    const told = { outcome: error?.code ?? outcome, reason: error?.message, to, causedMs }
    this.context.tap.witness?.held({ id, token, sinceMs, overAtMs: this.context.clock.nowMs(), ...told })
  }

  private mark(kind: 'renewal' | 'save', outcome: string): void {
    const { tap, clock } = this.context
    tap.witness?.marked({ id: this.id, kind, atMs: clock.nowMs(), outcome })
  }

  private reportIfSlow(nowMs: number): void {
    if (!this.times.takeSlow(nowMs)) return
    this.context.events.slow(this.id, readToken(this.token).holder.label, nowMs - this.acquiredAtMs)
  }

  ring(): void {
    if (this.state !== 'held') return
    const nowMs = this.context.clock.nowMs()
    this.reportIfSlow(nowMs)
    const due = this.times.dueAt(nowMs)
    if (due === 'heldTooLong' || due === 'lapsed') this.lose(due)
    else if (due === 'nothing') this.schedule()
    else if (this.busy === undefined) void this.serially(() => this.renew())
    else {
      this.times.retryAllFrom(nowMs)
      this.schedule()
    }
  }

  private async renew(): Promise<void> {
    const dueAtMs = this.afterFlights(RENEWAL_FLIGHTS)
    const nowMs = this.context.clock.nowMs()
    const lifetimeSec = this.times.prolongingAt(nowMs)
    this.known.record = compact(this.known.record)
    const change = lifetimeSec === undefined ? NOTHING : this.prolonging(lifetimeSec)
    const outcome = await this.transact(this.keeping(change, dueAtMs), nowMs)
    this.mark('renewal', outcome.lock === 'done' ? 'ok' : outcome.lock)
    if (lifetimeSec !== undefined) this.afterProlonging(outcome, lifetimeSec)
    if (outcome.lock === 'unclear' && this.afterFlights(1) <= dueAtMs) await this.findOut()
    this.afterKeep(outcome)
  }

  /** Another lifetime for the record as it was read; nothing where there is none. */
  prolonging(ttlSec: number): Change {
    return prolonging(this.context, this.known.record, ttlSec)
  }

  get burial(): Change {
    return burial(this.context)
  }

  get fencedEnd(): Change {
    return fencedEnd(this.context)
  }

  private afterProlonging({ error, sentAtMs }: Outcome, lifetimeSec: number): void {
    const { record } = this.known
    if (error === undefined) this.times.livesFrom(sentAtMs, lifetimeSec)
    // Another has changed or ended the session: the next write will be refused for the same reason.
    else if (error instanceof FencedError || error instanceof SessionGoneError) this.times.neverProlong()
    else {
      this.times.retryProlonging(this.context.clock.nowMs(), lifetimeSec)
      // It may have been prolonged, which gave the record a version that is not known here.
      if (error instanceof OutcomeUnknownError && record !== undefined) this.known.record = { ...record, cas: undefined }
    }
  }

  /** An unanswered renewal may have moved the lock's version on: learn it, or that the lock is gone. */
  private async findOut(): Promise<void> {
    const seen = await look(this.context, this.id, this.keys, this.token)
    if (seen instanceof FlightError) return
    if (isSame(this.known.record, seen.record)) this.known.record = seen.record
    if (seen.mine) this.known.lockCas = seen.lockCas
    else this.lose('taken')
  }

  private afterKeep(outcome: Outcome): void {
    // Even of a lock that is not held any more: whoever takes it off the server needs its version.
    if (outcome.lockCas !== undefined) this.known.lockCas = outcome.lockCas
    if (this.state !== 'held') return
    if (outcome.lock === 'lost') {
      this.lose('taken')
      return
    }
    if (outcome.lock === 'done') this.times.renewed(outcome.sentAtMs)
    else this.times.retryFrom(this.context.clock.nowMs())
    this.schedule()
  }

  /** Keeps the lock, with a full lease from now. */
  private keeping(change: Change, dueAtMs: number): Order {
    const exit: Exit = { kind: 'keep', token: this.token, ttlSec: this.context.limits.leaseSec }
    return { change, exit, extra: NO_COMMANDS, dueAtMs }
  }

  private lossError(): LatchkeyError {
    return lossError(this.id, this.lossReason, this.context.limits.maxHoldMs)
  }
}

/** What was read is a view of all that arrived with it: a short hold may keep that, a long one keeps its own bytes only. */
const compact = (record: StoredRecord | undefined): StoredRecord | undefined =>
  record === undefined || typeof record.bytes === 'string' || record.bytes.length === record.bytes.buffer.byteLength
    ? record
    : { ...record, bytes: Buffer.copyBytesFrom(record.bytes) }

function ignore(): void {
  // The caller of the work itself sees its failure.
}
