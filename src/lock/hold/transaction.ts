import type { LatchkeyError } from '../../errors.js'
import { channels } from '../../observe/channels.js'
import { areSameBytes, type Cas, type Command, FlightError, type Receiver, type Reply } from '../../wire/wire.js'
import { asFlightError, fenced, gone, lossError, outcomeUnknown, serverRefused, tooLarge, unavailable } from '../protocol/failures.js'
import { type Change, changeCommand, commandsOf, EMPTY, type Exit, NOTHING, type Outcome } from '../protocol/exchange.js'
import type { SessionKeys } from '../protocol/key-layout.js'
import { fly, type LockContext, replyAt, send } from '../protocol/lock-context.js'
import type { LockToken } from '../protocol/lock-token.js'
import { tellFenced } from '../protocol/observed.js'
import { ending, hasEnded, isSame, isSession, look, newStamp, type Seen, stampFor, type StoredRecord } from '../protocol/record.js'
import { seizeAndEnd } from '../protocol/seizure.js'

/** What a lock's holder knows; a transaction keeps it up to date. */
export interface LockKnowledge {
  lockCas: Cas
  record: StoredRecord | undefined
  /** A flight of this lock went unanswered and may still be carried out: an "exists" may be our own doing. */
  clouded: boolean
}

/** Whose lock it is. */
interface LockSubject {
  readonly id: string
  readonly keys: SessionKeys
  readonly token: LockToken
}

/** What is to be done. */
export interface Order {
  readonly change: Change
  readonly exit: Exit
  /** Commands that are sent in the same flight, behind those of record and lock. */
  readonly extra: readonly Command[]
  /** By the clock: another flight than the first is sent only if it is sure to be back by then. */
  readonly dueAtMs: number
}

const NO_REPLIES: readonly Reply[] = []
const NO_TIME = new FlightError('not-sent', 'no time is left to ask the server')
const VERSION_UNKNOWN = new FlightError('not-sent', 'the version of the record is not known yet', { untrusted: true })

/** A version that the connection is too young for costs a read and another try. After so many in a row, no connection lasts. */
const MAX_TRIES = 4

/**
 * [change of the record, exit of the lock] in one flight, and what it takes to know how it ended.
 *
 * A flight whose reply was not seen is resolved by reading. Each write bears a random stamp in memcached's client
 * flags, so a record can be told to be ours even from one of the same bytes. The write is sent again only when
 * the lock is still ours and the record as it was: both carry the same CAS, so at most one of the two is stored.
 */
export class Transaction implements Receiver {
  private readonly id: string
  private readonly keys: SessionKeys
  private readonly token: LockToken
  private change: Change
  private readonly exit: Exit
  private readonly extra: readonly Command[]
  private readonly dueAtMs: number
  private readonly stamp: number
  private error: LatchkeyError | undefined
  private unanswered = false
  /** The record was stored in an earlier flight: since then it may have been destroyed. */
  private isRecordOld = false
  private sentAtMs = 0
  /** The lock was ours when the change was sent, by the answer to its exit. */
  private wasHeld = false
  private settle: (outcome: Outcome | Promise<Outcome>) => void = ignore

  constructor(
    private readonly context: LockContext,
    { id, keys, token }: LockSubject,
    private readonly known: LockKnowledge,
    { change, exit, extra, dueAtMs }: Order,
    stamp = stampFor(context, change, known.record),
  ) {
    this.id = id
    this.keys = keys
    this.token = token
    this.change = change
    this.exit = exit
    this.extra = extra
    this.dueAtMs = dueAtMs
    this.stamp = stamp
  }

  /** Ends by `dueAtMs`, or one flight later; one round trip when nothing is amiss. Throws nothing. */
  run(nowMs: number): Promise<Outcome> {
    this.sentAtMs = nowMs
    return new Promise((resolve) => {
      this.settle = resolve
      if (this.isVersionUnknown) this.failed(VERSION_UNKNOWN)
      else send(this.context, this.id, this.commands(), this)
    })
  }

  /** As `run`, where another has sent the first flight, and tells here how it ends. */
  adopt(sentAtMs: number): Promise<Outcome> {
    this.sentAtMs = sentAtMs
    return new Promise((resolve) => {
      this.settle = resolve
    })
  }

  /** The first flight was answered, and there is seldom another. */
  landed(replies: readonly Reply[]): void {
    try {
      this.settle(this.judge(replies))
    } catch (thrown) {
      this.failed(thrown)
    }
  }

  /** The first flight failed. */
  failed(thrown: unknown): void {
    this.settle(this.resolveAndRetry(thrown))
  }

  /** Finds out what came of a flight that failed, and sends another one if nothing did. */
  private async resolveAndRetry(thrown: unknown): Promise<Outcome> {
    let failure = asFlightError(thrown)
    for (let tries = 1; ; tries++) {
      if (failure.outcome === 'not-sent' && !failure.untrusted) return this.giveUp(failure)
      if (failure.outcome === 'unknown') {
        this.known.clouded = true
        if (this.unanswered) return this.giveUp(failure)
        this.unanswered = true
        if (failure.isFinal) return this.giveUp(failure)
      }
      const seen = await this.look()
      if (seen instanceof FlightError) return this.giveUp(seen)
      const verdict = await this.weigh(seen, failure)
      if (verdict !== undefined) return verdict
      if (!this.hasTime || tries >= MAX_TRIES) {
        return this.giveUp(new FlightError('not-sent', 'no answer in time, or connections to the server do not last'))
      }
      try {
        if (this.isVersionUnknown) throw VERSION_UNKNOWN
        this.sentAtMs = this.context.clock.nowMs()
        return await this.judge(await fly(this.context, this.id, this.commands()))
      } catch (thrownAgain) {
        failure = asFlightError(thrownAgain)
      }
    }
  }

  private judge(replies: readonly Reply[]): Outcome | Promise<Outcome> {
    if (this.change.kind === 'none') return this.outcomeOf(replies)
    this.wasHeld = replyAt(replies, 1).status === 'ok'
    const error = this.judgeChange(replyAt(replies, 0))
    if (error instanceof Promise) {
      return error.then((found) => {
        this.error = found
        return this.outcomeOf(replies)
      })
    }
    this.error = error
    return this.outcomeOf(replies)
  }

  private get hasTime(): boolean {
    return this.context.clock.nowMs() + this.context.limits.flightMs <= this.dueAtMs
  }

  private async look(): Promise<Seen | FlightError> {
    if (!this.hasTime) return NO_TIME
    return look(this.context, this.id, this.keys, this.token)
  }

  private get isVersionUnknown(): boolean {
    const { record } = this.known
    return this.change.kind !== 'none' && record !== undefined && record.cas === undefined
  }

  private commands(): readonly Command[] {
    const commands = commandsOf(this.keys, this.change, this.exit, this.fence)
    return this.extra.length === 0 ? commands : [...commands, ...this.extra]
  }

  private get fence() {
    const { stamp, known } = this
    return { stamp, recordCas: known.record?.cas, lockCas: known.lockCas }
  }

  private outcomeOf(replies: readonly Reply[]): Outcome {
    const changes = this.change.kind === 'none' ? 0 : 1
    const lock = replyAt(replies, changes)
    const done = lock.status === 'ok'
    // Kept or passed on, and its new version is not known: where a proxy lets the read overtake the store, say. The next
    // "exists" is then our own doing.
    const isHidden = done && this.exit.kind !== 'free' && lock.cas === undefined
    this.known.clouded ||= isHidden
    // A server that is out of memory refuses to prolong a lock, and leaves it where it is.
    const isElsewhere = lock.status === 'missing' || lock.status === 'exists'
    return {
      error: this.error,
      lock: done && !isHidden ? 'done' : isElsewhere && !this.known.clouded ? 'lost' : 'unclear',
      // Its next holder must read first where the record may have been destroyed since it was stored: without this version it does.
      lockCas: done && this.exit.kind !== 'free' && !this.passesOldRecord ? lock.cas : undefined,
      sentAtMs: this.sentAtMs,
      extra: this.extra.length === 0 ? NO_REPLIES : replies.slice(changes + 1),
    }
  }

  private get passesOldRecord(): boolean {
    return this.exit.kind === 'pass' && this.isRecordOld
  }

  /** Why the change was refused; a promise where that takes another look. */
  private judgeChange(reply: Reply): LatchkeyError | undefined | Promise<LatchkeyError | undefined> {
    switch (reply.status) {
      case 'ok':
        // No record was known, so this was a read in place of a delete: somebody has stored a session there meanwhile.
        if (this.change.kind === 'delete' && reply.value !== undefined) return this.isBurial ? this.bury() : this.fencedOff(fenced(this.id))
        this.recordIsNow(reply.cas)
        return undefined
      case 'missing':
        if (this.change.kind === 'delete') return this.missedByDelete(this.change)
        return this.change.kind === 'destroy' ? this.bury() : this.maybe(this.fencedOff(gone(this.id)))
      case 'exists':
        if (this.isBurial) return this.bury()
        // What one node has says nothing of the majority: a copy of ours there is no acknowledgement.
        return this.context.wire.quorum === undefined ? this.judgeExists() : this.maybe(this.fencedOff(fenced(this.id)))
      case 'tooLarge': {
        const sizeBytes = 'bytes' in this.change ? this.change.bytes.length : 0
        return this.maybe(tooLarge(this.context, this.id, sizeBytes, this.context.wire.maxValueBytes(this.id, this.keys.record)))
      }
      case 'outOfMemory':
        return this.maybe(serverRefused(this.context, this.id, reply))
    }
  }

  /** There is nothing to delete: a destroy has what it wants, and a deletion of the record that was read comes too late. */
  private missedByDelete({ isFenced }: Change & { kind: 'delete' }): LatchkeyError | undefined {
    const wasThere = this.known.record !== undefined
    this.known.record = undefined
    return isFenced && wasThere ? this.maybe(this.fencedOff(gone(this.id))) : undefined
  }

  /** Whether the session is to end whatever stands there by now, and not only the record that was read. */
  private get isBurial(): boolean {
    return this.change.kind === 'destroy' || (this.change.kind === 'delete' && !this.change.isFenced)
  }

  /** The server refused this attempt; an earlier attempt that was never answered may still have been stored. */
  private maybe(error: LatchkeyError): LatchkeyError {
    return this.unanswered && this.change.kind !== 'touch' ? outcomeUnknown(this.id) : error
  }

  /** Another version stands there: a stranger's, a tombstone, or our own write that went unanswered. */
  private async judgeExists(): Promise<LatchkeyError | undefined> {
    const seen = await this.look()
    if (seen instanceof FlightError) {
      // Whether it was stored by somebody, or only prolonged, is not known: by an earlier renewal of this very lock, say.
      const isUnclear = this.unanswered || this.change.kind === 'touch'
      return isUnclear ? outcomeUnknown(this.id, seen) : this.fencedOff(fenced(this.id, seen))
    }
    if (this.isStored(seen)) {
      this.recordIsNow(seen.record?.cas)
      return undefined
    }
    if (this.change.kind === 'touch') {
      // Another one has only prolonged it.
      const isProlonged = isSame(this.known.record, seen.record)
      // Its version has moved on, and the next write is to go by that. What somebody has stored is for the next holder
      // to start from: this one has not read it, and must not overwrite it.
      if (isProlonged || this.exit.kind === 'pass') this.known.record = seen.record
      if (isProlonged) return this.again(this.change)
      if (this.unanswered) return this.deathOf(seen.record)
    }
    // Its version alone has moved on: by a renewal of ours that was carried out late, or, through a proxy, by one whose
    // own write was refused.
    if (this.change.kind === 'write' && this.known.record !== undefined && isSame(this.known.record, seen.record)) {
      if (!this.wasHeld) return this.maybe(lossError(this.id, 'taken', this.context.limits.maxHoldMs))
      this.known.record = seen.record
      return this.again(this.change)
    }
    return this.unanswered ? outcomeUnknown(this.id) : this.refusedBy(seen.record)
  }

  /**
   * The record is the same under another version, and is changed by that. Without this a record that another one, whose
   * lifetime may be shorter, has prolonged would run out while its holder believes that it was prolonged.
   */
  private async again(change: Change & { kind: 'touch' | 'write' }): Promise<LatchkeyError | undefined> {
    const mayBeDone = this.unanswered || change.kind === 'touch'
    if (!this.hasTime || this.isVersionUnknown) return mayBeDone ? outcomeUnknown(this.id, NO_TIME) : unavailable(this.context, this.id, NO_TIME)
    try {
      return await this.judgeChange(replyAt(await fly(this.context, this.id, [changeCommand(this.keys.record, change, this.exit, this.fence)]), 0))
    } catch (thrown) {
      const failure = asFlightError(thrown)
      return mayBeDone || failure.outcome === 'unknown' ? outcomeUnknown(this.id, failure) : unavailable(this.context, this.id, failure)
    }
  }

  /** A touch only wants the session to live on: whoever has stored it since, the touch fails only if it is gone. */
  private deathOf(now: StoredRecord | undefined): LatchkeyError | undefined {
    return isSession(this.context, now) ? undefined : this.fencedOff(gone(this.id))
  }

  /**
   * The record that was to be destroyed has moved on; what stands there now is destroyed as by one without the lock.
   * Sent once: carried out late, a second one would destroy what was begun after this call.
   */
  private async bury(): Promise<LatchkeyError | undefined> {
    if (!this.hasTime) return this.unanswered ? outcomeUnknown(this.id) : unavailable(this.context, this.id, NO_TIME)
    if (this.context.wire.quorum !== undefined) return seizeAndEnd(this.context, this.id, this.keys)
    const flags = newStamp(this.context)
    try {
      const reply = replyAt(await fly(this.context, this.id, [ending(this.context, this.keys, flags)]), 0)
      if (!hasEnded(reply)) return this.maybe(serverRefused(this.context, this.id, reply))
      this.known.record = this.change.kind === 'delete' ? undefined : { bytes: EMPTY, flags, cas: undefined }
      return undefined
    } catch (thrown) {
      const failure = asFlightError(thrown)
      const isUnknown = this.unanswered || failure.outcome === 'unknown'
      return isUnknown ? outcomeUnknown(this.id, failure) : unavailable(this.context, this.id, failure)
    }
  }

  /** After a flight without replies: the outcome if that settles it; undefined to try again. */
  private async weigh(seen: Seen, failure: FlightError): Promise<Outcome | undefined> {
    if (this.unanswered && this.isStored(seen)) {
      this.recordIsNow(seen.record?.cas)
      this.change = NOTHING
      this.isRecordOld = true
    }
    if (!seen.mine) {
      if (!this.unanswered) {
        // What was not to be changed has not failed: letting go of a lock that is gone is no error.
        if (this.change.kind !== 'none') this.error = lossError(this.id, 'taken', this.context.limits.maxHoldMs)
        return this.end('lost')
      }
      if (this.change.kind !== 'touch') return this.giveUp(failure)
      this.error = this.deathOf(seen.record)
      return this.end('unclear')
    }
    this.known.lockCas = seen.lockCas
    if (this.change.kind === 'none') return undefined
    if (isSame(this.known.record, seen.record)) {
      this.known.record = seen.record
      return undefined
    }
    if (this.isBurial) this.error = await this.bury()
    else {
      const mayBeOurs = this.change.kind !== 'touch' && this.unanswered
      this.error = mayBeOurs ? outcomeUnknown(this.id, failure) : this.refusedBy(seen.record)
    }
    this.change = NOTHING
    return undefined
  }

  private isStored({ record, mine }: Seen): boolean {
    const { change } = this
    if (change.kind === 'delete') return record === undefined && !change.isFenced
    // Records without stamps (PHP's) do not say who wrote them. While the lock is ours nobody else has written these bytes.
    if (!this.context.dialect.hasStamps && !(mine && this.unanswered)) return false
    if (record?.flags !== this.stamp) return false
    return change.kind === 'write' ? areSameBytes(record.bytes, change.bytes) : change.kind === 'destroy'
  }

  private recordIsNow(cas: Cas | undefined): void {
    const { change, known, stamp: flags } = this
    if ('bytes' in change) known.record = { bytes: change.bytes, flags, cas }
    if (change.kind === 'destroy') known.record = { bytes: EMPTY, flags, cas }
    if (change.kind === 'delete') known.record = undefined
  }

  private refusedBy(now: StoredRecord | undefined): LatchkeyError {
    return this.fencedOff(isSession(this.context, now) ? fenced(this.id) : gone(this.id))
  }

  private fencedOff(error: LatchkeyError): LatchkeyError {
    this.context.counters.fenced++
    if (channels.fenced.isObserved) tellFenced(this.context, this.id, this.token, error.code)
    return error
  }

  /** The server cannot be asked any more. What was not to be changed has not failed. */
  private giveUp(cause: FlightError): Outcome {
    if (this.change.kind !== 'none') {
      if (this.unanswered) this.context.counters.unknown++
      this.error ??= this.unanswered ? outcomeUnknown(this.id, cause) : unavailable(this.context, this.id, cause)
    }
    return this.end('unclear')
  }

  private end(lock: Outcome['lock']): Outcome {
    return { error: this.error, lock, lockCas: undefined, sentAtMs: this.sentAtMs, extra: NO_REPLIES }
  }
}

function ignore(): void {
  // Nobody waits yet.
}
