/** A small weakening of the shipped code, applied to its source text from outside. */
export interface Mutant {
  readonly name: string
  /** The fault of the weakened code. */
  readonly flaw: string
  readonly edits: readonly Edit[]
}

export interface Edit {
  /** The text to replace. It must stand exactly once in all of src, in any file. */
  readonly find: string
  readonly replace: string
}

const one = (name: string, flaw: string, find: string, replace: string): Mutant => ({ name, flaw, edits: [{ find, replace }] })

const ACQUIRES = `const replies = await fly(this.context, this.session.id, poll.commands)`

/** The line in the commands of an exchange that says what a change puts into the record. */
const VALUE = `const value = change.kind === 'destroy' ? EMPTY : change.bytes`

/** Makes the first attempt work like the attempts after it. */
const FIRST_AS_OTHERS: Edit = {
  find: `send(this.context, this.session.id, this.first.commands, this)`,
  replace: `void this.goOn(this.attempt(head, nowMs))`,
}

/** Each of these mutants must be caught by a rule. */
export const mutants: readonly Mutant[] = [
  // Locks of other processes
  one(
    'blindDeleteOnRelease',
    'The lock is deleted at the end, whoever has it by then.',
    `return { op: 'cad', key, cas }`,
    `return { op: 'delete', key }`,
  ),
  one(
    'renewalByTouch',
    'A renewal prolongs whatever lock stands there.',
    `return { op: 'cas', cas, wantCas: true, key, value: exit.token, ttlSec: exit.ttlSec }`,
    `return exit.kind === 'keep'
    ? { op: 'touch', key, ttlSec: exit.ttlSec }
    : { op: 'cas', cas, wantCas: true, key, value: exit.token, ttlSec: exit.ttlSec }`,
  ),
  one(
    'takeoverWithoutCas',
    "An orphan is overwritten though somebody else's lock may stand there by now.",
    `{ op: 'cas', key: this.session.keys.lock, cas, value: token, ttlSec: this.context.limits.leaseSec, wantCas: true },`,
    `{ op: 'set', key: this.session.keys.lock, value: token, ttlSec: this.context.limits.leaseSec },`,
  ),
  one(
    'sweepWithoutCas',
    'The sweeper deletes what stands where its orphan was.',
    `[{ op: 'cad', key: lock, cas: occupant.cas }]`,
    `[{ op: 'delete', key: lock }]`,
  ),
  one(
    'sweepsActive',
    'The sweeper takes off a lock that was acquired while it looked.',
    `if (this.isActive(id)) return true`,
    ``,
  ),
  one(
    'casTrustedOnYoungerConnection',
    'After a restart the same numbers are handed out again, and a CAS from before is sent.',
    // This text is in the simulated wire, which keeps the same rule as the memcached wire.
    `return command.cas.asOf >= connection.openedAt && this.trust`,
    `return connection.openedAt >= 0 && this.trust`,
  ),

  // Behind a proxy
  one(
    'oldVersionThroughProxy',
    'A version that came through a proxy is sent however old it is: the server may have been restarted since.',
    `return nowMs - readAtMs <= this.#mostAgeMs`,
    `return nowMs - readAtMs <= this.#mostAgeMs * 1e6`,
  ),

  one(
    'overtakenReadCounts',
    'A read that a proxy let overtake the renewal of a lock tells the version that was replaced, and that one is kept.',
    // This text is in the simulated wire, which keeps the same rule as the text codec.
    `const isReplaced = command.op === 'cas' && cas?.version === command.cas.version`,
    `const isReplaced = command.op === 'touch' && cas?.version === ''`,
  ),
  one(
    'hiddenVersionIgnored',
    'A lock was kept, its new version is not known, and what the old one is answered is taken for a loss.',
    `this.known.clouded ||= isHidden`,
    ``,
  ),
  one(
    'hiddenLockForgotten',
    'A lock was added, its version is not known, and it is left there.',
    `if (added.status === 'ok') this.mayHaveLeft()`,
    ``,
  ),

  one(
    'ownVersionComesAgain',
    'A version of our own making is one that was there before.',
    `String(LEAST + (nonceOf(random).wide() % COUNT))`,
    `String(LEAST + (nonceOf(random).wide() % 3n))`,
  ),
  one(
    'revisedIsAnothers',
    'Whoever was fenced off gives the record another version, and the holder takes it for a stranger’s.',
    `if (this.change.kind === 'write' && this.known.record !== undefined && isSame`,
    `if (this.change.kind === 'write' && this.known.record === undefined && isSame`,
  ),

  // Requests that meet nobody
  one(
    'takenUnlocked',
    'Who comes to a locked session takes the lock that is there for its own.',
    `if (added?.status === 'ok' && added.cas !== undefined) {`,
    `if (added?.cas !== undefined) {`,
  ),
  one(
    'leftUnchecked',
    'Whatever the server answers to a commit, it was stored.',
    `if (replies.every(({ status }) => status === 'ok')) end.ended()`,
    `if (replies.length > 0) end.ended()`,
  ),
  one(
    'contestedStart',
    'Who was contested while its lock was being asked for takes it without a word to the queue.',
    `if (this.heirs !== undefined) return this.landed(startReplies(found))`,
    ``,
  ),
  one(
    'contestedEnd',
    'Who was contested while it let go tells nobody that it has.',
    `if (this.heirs !== undefined) return this.landed(endReplies(isChanged ? 2 : 1))`,
    ``,
  ),
  one(
    'alarmNotSet',
    'A lock that nobody else asked for is not renewed.',
    `context.alarms.set(this, this.sentAtMs + Math.min(renewAfterMs(leaseSec), slowHoldMs, maxHoldMs))`,
    `this.atMs = this.sentAtMs + Math.min(renewAfterMs(leaseSec), slowHoldMs, maxHoldMs) + 1e9`,
  ),

  // The lease
  one(
    'leaseFromReply',
    'The lease counts from the reply, not from the sending.',
    `this.times = new Timetable(context.limits, acquired.sentAtMs)`,
    `this.times = new Timetable(context.limits, acquired.sentAtMs)
    this.times.leaseUntilMs += context.clock.nowMs() - acquired.sentAtMs`,
  ),
  one(
    'renewedFromReply',
    'A renewed lease counts from the reply, not from the sending.',
    `this.times.renewed(outcome.sentAtMs)`,
    `this.times.renewed(this.context.clock.nowMs())`,
  ),
  one(
    'ttlOffByOne',
    'A TTL of t seconds is believed to live for t seconds.',
    `(leaseSec - 1) * 1000`,
    `leaseSec * 1000`,
  ),
  one(
    'renewalBesideCommit',
    'A renewal and a commit of one lock are under way at once, and one is fenced off by the other.',
    `if (this.busy === undefined) return this.leaveNow(`,
    `if (this.isSet || !this.isSet) return this.leaveNow(`,
  ),
  one(
    'renewalBesideSave',
    'A renewal and a save of one lock are under way at once.',
    `    while (this.busy !== undefined) await this.busy
    const run = work()`,
    `    const run = work()`,
  ),
  one('holdsForEver', 'maxHoldMs is hardly looked at.', `maxHoldMs: checked(options, 'maxHoldMs', 60_000)`, `maxHoldMs: 1e7`),
  one(
    'refusalTakenForLoss',
    'A renewal that the server has no memory for is taken for a lost lock.',
    `const isElsewhere = lock.status === 'missing' || lock.status === 'exists'`,
    `const isElsewhere = !done`,
  ),
  one(
    'renewalKeepsOldCas',
    'The version that a renewal or a save gave the lock is forgotten.',
    `if (outcome.lockCas !== undefined) this.known.lockCas = outcome.lockCas`,
    ``,
  ),

  // The record
  one(
    'writeWithoutCas',
    'The record is written over whatever stands there.',
    `return { op: 'cas', cas, wantCas: exit.kind !== 'free', key, value, ttlSec, flags }`,
    `return { op: 'set', key, value, ttlSec, flags }`,
  ),
  one(
    'touchWithoutFence',
    'Whoever changed nothing prolongs what stands there, whoever has stored it by then.',
    VALUE,
    `if (change.kind === 'touch') return { op: 'touch', key, ttlSec }
  ${VALUE}`,
  ),
  one(
    'recordNotKeptAlive',
    'A record runs out while a request has it.',
    `return nowMs >= this.prolongAtMs ? this.lifetimeSec : undefined`,
    `return nowMs < 0 ? this.lifetimeSec : undefined`,
  ),
  one(
    'keptAliveForLong',
    'The renewal lets every session live for a day.',
    `lifetimeSec === undefined ? NOTHING : this.prolonging(lifetimeSec)`,
    `lifetimeSec === undefined ? NOTHING : this.prolonging(Math.max(lifetimeSec, 86_401))`,
  ),
  one(
    'createWithoutFence',
    'A new session is set where there was nothing.',
    `if (cas === undefined) return { op: 'add', key, value, ttlSec, flags }`,
    `if (cas === undefined) return { op: 'set', key, value, ttlSec, flags }`,
  ),
  one(
    'createAfterDestroy',
    'A tombstone is taken for nothing: the next session is created there, not compared and set.',
    `reply.status === 'ok' && reply.value !== undefined ?`,
    `reply.status === 'ok' && reply.value !== undefined && reply.value.length > 0 ?`,
  ),
  {
    name: 'bareDeleteOnDestroy',
    flaw: 'Destroy leaves nothing behind that could fence off a slower request.',
    edits: [
      {
        find: `  op: 'set',
  key: keys.record,
  value: EMPTY,
  ttlSec: tombstoneSec(context.limits),
  flags,
})`,
        replace: `  ...{ op: 'delete', key: keys.record, flags },
} as Command)`,
      },
      {
        find: VALUE,
        replace: `if (change.kind === 'destroy') return { op: 'delete', key }
  ${VALUE}`,
      },
      {
        find: `return this.change.kind === 'destroy' ? this.bury() : this.maybe(this.fencedOff(gone(this.id)))`,
        replace: `return this.change.kind === 'destroy' ? undefined : this.maybe(this.fencedOff(gone(this.id)))`,
      },
    ],
  },
  one(
    'shortTombstone',
    'A tombstone is gone before the requests that it is to fence off.',
    `limits.leaseSec + Math.ceil((limits.maxHoldMs + limits.waitMs) / 1000) + STANDSTILL_SEC`,
    `limits.leaseSec > 0 ? 1 : 0`,
  ),
  one(
    'tombstonesLookAlike',
    'Two records of the same bytes count as one: a session destroyed twice is as it was.',
    `other?.flags === one.flags && areSameBytes(other.bytes, one.bytes)`,
    `other !== undefined && areSameBytes(other.bytes, one.bytes)`,
  ),
  one(
    'destroyResent',
    'A destroy that was not answered is sent again without a fence; the first may be carried out much later.',
    VALUE,
    `if (change.kind === 'destroy') return { op: 'set', key, value: EMPTY, ttlSec, flags }
  ${VALUE}`,
  ),

  // Processes that are resumed from one memory
  one(
    'instanceOfTheProcess',
    'A process bears one name for good, which it had before it was resumed.',
    `return nonceOf(this.random).name()`,
    `return ((this as { known?: string }).known ??= nonceOf(this.random).name())`,
  ),

  // Unknown outcomes
  one(
    'unknownIsStored',
    'A write that was not answered counts as stored.',
    `if (this.unanswered && this.isStored(seen)) {`,
    `if (this.unanswered) {`,
  ),
  one(
    'unknownIsRefused',
    'A write that was not answered counts as not stored.',
    `this.error ??= this.unanswered ? outcomeUnknown(this.id, cause) : unavailable(this.context, this.id, cause)`,
    `this.error ??= unavailable(this.context, this.id, cause)`,
  ),
  one(
    'oneLockForAll',
    'Everybody who waits in a process is given its lock at once.',
    `      next.accept(this.handleOf(lock))
      return`,
    `      next.accept(this.handleOf(lock))
      if (this.waiters.first === undefined) return`,
  ),
  one(
    'stampIgnored',
    'Whatever stands there after an unanswered write counts as its doing.',
    `if (record?.flags !== this.stamp) return false
    return change.kind === 'write' ? areSameBytes(record.bytes, change.bytes) : change.kind === 'destroy'`,
    `return change.kind === 'write' ? record !== undefined : change.kind === 'destroy'`,
  ),
  one(
    'refusedAfterUnanswered',
    'A definite no although the first sending, unanswered, may have been stored and destroyed since.',
    `const mayBeOurs = this.change.kind !== 'touch' && this.unanswered`,
    `const mayBeOurs = false`,
  ),
  one(
    'noToSecondSending',
    'A definite no to the second sending of a write is told, though the first may yet be carried out.',
    `return this.unanswered && this.change.kind !== 'touch' ? outcomeUnknown(this.id) : error`,
    `return error`,
  ),
  one(
    'cloudIgnored',
    'After an unanswered renewal "exists" is taken for a loss, though it may be our own doing.',
    `isElsewhere && !this.known.clouded ? 'lost' : 'unclear'`,
    `isElsewhere ? 'lost' : 'unclear'`,
  ),
  {
    name: 'addResent',
    flaw: 'An unanswered add is sent again blindly, and nobody watches for the first.',
    edits: [
      FIRST_AS_OTHERS,
      {
        find: ACQUIRES,
        replace: `const ask = () => fly(this.context, this.session.id, poll.commands)
    const replies = await ask().catch(ask)`,
      },
    ],
  },
  one(
    'orphansUnswept',
    'Nobody takes off the locks that unanswered commands leave behind.',
    `    if (this.isClosed) return
    const name`,
    `    if (!this.isClosed) return
    const name`,
  ),
  one(
    'lossUnwatched',
    'What a lost lock leaves on the server is nobody’s business.',
    `      this.markOrphan()
      if (this.waiters.size === 0) void lock`,
    `      if (this.waiters.size === 0) void lock`,
  ),
  one(
    'ownLockAwaited',
    'A lock that an unanswered add of ours has left is waited for as if somebody had it.',
    `if (content?.instance === this.session.instance && occupant.cas !== undefined) {`,
    `if (content?.instance === '' && occupant.cas !== undefined) {`,
  ),

  // A session that goes on under another id
  one(
    'unknownEndUndone',
    'An end of the old session that was not answered counts as none: the new session is destroyed.',
    `      if (!(error instanceof OutcomeUnknownError)) throw error
      if (record`,
    `      throw error
      if (record`,
  ),
  one(
    'neverEndedLater',
    'An old session whose end was not answered is left as it is.',
    `engine.lateEndings.add({ id, was: record, copy })`,
    `engine.lateEndings.close()`,
  ),
  one(
    'endedLaterBlindly',
    'What another has stored under the old id in the meantime is ended with it.',
    `if (record === undefined || !areSameBytes(record, was)) await`,
    `if (record === undefined || (record.length === 0 && !areSameBytes(record, was))) await`,
  ),

  // Waiting and handing on
  one(
    'handOffAfterFailure',
    'The next one starts from a record that was refused, without a read.',
    `if (handOff !== undefined && outcome.error === undefined && this.handOn(`,
    `if (handOff !== undefined && this.handOn(`,
  ),
  one(
    'handOffUnread',
    'A lock handed on without a write takes the record along as it was read long ago.',
    `handOff !== undefined && change.kind === 'none' ?`,
    `handOff !== undefined && change.kind === 'none' && change.kind !== 'none' ?`,
  ),
  one(
    'handOffAfterUnanswered',
    'A record that was found to be stored some time ago is handed on without a read.',
    `return this.exit.kind === 'pass' && this.isRecordOld`,
    `return this.exit.kind !== 'pass' && this.isRecordOld`,
  ),
  one(
    'handOffKeepsOldCas',
    'The next holder is given the lock’s version from before the hand-off.',
    `lockCas: done && this.exit.kind !== 'free' && !this.passesOldRecord ? lock.cas : undefined,`,
    `lockCas: done && this.exit.kind !== 'free' && !this.passesOldRecord ? this.known.lockCas : undefined,`,
  ),
  one(
    'handOffUnconfirmed',
    'The lock is handed on though the server did not say that it was passed on.',
    `if (outcome.lock !== 'done' || outcome.lockCas === undefined) return false`,
    `if (outcome.lock === 'lost' && outcome.lockCas === undefined) outcome = { ...outcome, lockCas: Object.freeze({ version: '1', asOf: 1e9 }) }
    if (outcome.lockCas === undefined) return false`,
  ),
  {
    name: 'recordReadBeforeLock',
    flaw: 'The record is read before the lock is taken.',
    edits: [
      FIRST_AS_OTHERS,
      {
        find: ACQUIRES,
        replace: `const [early] = await fly(this.context, this.session.id, [{ op: 'get', key: this.session.keys.record }])
    const replies = [...(await fly(this.context, this.id, poll.commands))]
    if (early !== undefined) replies[poll.asksWho ? 2 : 1] = early`,
      },
    ],
  },
  one('abortIgnored', 'A request that gave up is still waiting.', `this.refuse(signal?.reason)`, ``),
  one(
    'deadlineIgnored',
    'waitMs is never looked at.',
    `this.deadline = clock.setTimer(this.onDeadline, Math.max(atMs - clock.nowMs(), 0))`,
    `this.deadline = clock.setTimer(() => undefined, Math.max(atMs - clock.nowMs(), this.onDeadline.length))`,
  ),
  one(
    'deadlineOnce',
    'When the first of a queue has given up, or has left, the deadlines of the others are forgotten.',
    `if (nowMs < waiter.arrivedAtMs + this.context.limits.waitMs) return this.watch(waiter)`,
    `if (nowMs < waiter.arrivedAtMs + this.context.limits.waitMs) return`,
  ),
  one('lazyPolls', 'A free session is found ten seconds later.', `const CAP_MS = 1600`, `const CAP_MS = 10_000`),
  one(
    'waiterForgotten',
    'After a hand-off failed nobody polls for those who still wait.',
    `    this.afterExit(lock, outcome, handOff)
    this.proceed()`,
    `    this.afterExit(lock, outcome, handOff)
    if (handOff === undefined) this.proceed()`,
  ),
  one(
    'closeKeepsLock',
    'close() without a write leaves the lock to its lease.',
    `return this.taken?.release() ?? Promise.resolve()`,
    `return this.taken?.isHeld === true ? Promise.resolve() : (this.taken?.release() ?? Promise.resolve())`,
  ),
  // What neighbours say
  one(
    'brokenOffIsDead',
    'A link that breaks off says that the process at its other end has ended.',
    `  onEnd(how: LinkEnd): void {
    const [, next`,
    `  onEnd(why: LinkEnd): void {
    const how = why === 'ended' ? ('refused' as LinkEnd) : why
    const [, next`,
  ),
  one(
    'notReachedIsDead',
    'A holder whose door is not found has ended.',
    `if (how === 'refused') for (const visit of`,
    `for (const visit of`,
  ),
  one(
    'oneDeathForAll',
    'When the holder that was visited has ended, whatever lock stands there is taken over.',
    `return this.visit?.instance === instance && this.visit.isDeserted`,
    `return this.visit?.isDeserted === true && instance !== ''`,
  ),
  one(
    'holdersWordIsEnough',
    'As long as the holder says that it has the lock, the server is not asked.',
    `const TRUSTED_MS = 1750`,
    `const TRUSTED_MS = 160_000`,
  ),
  // Errors in place of replies
  one(
    'refusedReadIsEmpty',
    'A read that the server refused counts as one that found nothing.',
    `this.answer(connection, flight, BUSY, fate.downMs)`,
    `this.answer(connection, flight, flight.commands.map(({ op }, at) => (op === 'get' ? undefined : replies[at]) ?? { status: 'missing', value: undefined, flags: 0, cas: undefined }), fate.downMs)`,
  ),
  one(
    'errorMeansNotDone',
    'An error of which nobody knows what it says counts as "nothing was carried out".',
    `const BUSY = new FlightError('unknown', `,
    `const BUSY = new FlightError('not-sent', `,
  ),
]
