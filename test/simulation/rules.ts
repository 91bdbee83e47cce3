import { prolongAfterMs, renewAfterMs } from '../../src/lock/protocol/lease.js'
import { type ErrorCode, LatchkeyError } from '../../src/errors.js'
import type { LostEvent } from '../../src/session/session-engine.js'
import { hashOf } from '../../src/system/session-hash.js'
import { FlightError } from '../../src/wire/wire.js'
import type { Attempt, Destroy, ServerLock, SessionTruth } from './truth.js'
import { nameOf, type Request } from './request.js'
import { isShort } from './scenario.js'
import type { SimulatedProcess, World } from './world.js'

/** The longest pause of the back-off with its jitter, and the time of one or two flights when nothing goes wrong. */
const PROMPT_MS = 1960

/** For how long after a request the next request of the session does not count as alone with it. */
const AFTERMATH_MS = 50

const COVERAGE: Partial<Record<ErrorCode, string>> = {
  LATCHKEY_FENCED: 'fenced',
  LATCHKEY_SESSION_GONE: 'gone',
  LATCHKEY_LOCK_TIMEOUT: 'lockTimeout',
  LATCHKEY_TOO_MANY_WAITERS: 'tooManyWaiters',
  LATCHKEY_LOCK_LOST: 'lockLost',
  LATCHKEY_HELD_TOO_LONG: 'heldTooLong',
  LATCHKEY_SERVER_UNAVAILABLE: 'unavailable',
  LATCHKEY_SERVER_REFUSED: 'serverRefused',
  LATCHKEY_OUTCOME_UNKNOWN: 'unknownOutcome',
  LATCHKEY_CLOSED: 'closed',
}

/** The errors that a request may get although nothing goes wrong in the world. */
const CALM_FAILURES = new Set<ErrorCode>([
  'LATCHKEY_FENCED',
  'LATCHKEY_SESSION_GONE',
  'LATCHKEY_LOCK_TIMEOUT',
  'LATCHKEY_TOO_MANY_WAITERS',
  'LATCHKEY_HELD_TOO_LONG',
])

/** The rules that need more than one command, or need to know what a client was told. */
export class Rules {
  private readonly accused = new Set<string>()
  private readonly watched = new Set<SessionTruth>()
  /** When a request last ended: by "process/session" in that process, by "session" in any process. */
  private readonly endedAtMs = new Map<string, number>()

  /** The requests that ended before they were given their session. */
  private readonly gaveUp = new Set<string>()

  /** The requests that were given their session since the last event. */
  private readonly newHolders: Request[] = []

  constructor(private readonly world: World) {}

  arrived(request: Request): void {
    const { world } = this
    if (world.time.nowMs - (this.endedAtMs.get(request.session) ?? -Infinity) < AFTERMATH_MS) request.isAlone = false
    // A lock that was granted to this process, or was taken for a request that has given up, must be taken over, and
    // that costs a flight.
    const { lock } = this.truthOf(request)
    if (lock !== undefined && (lock.label === undefined || this.gaveUp.has(lock.label))) request.isAlone = false
    for (const other of world.active) {
      if (other === request || other.session !== request.session) continue
      other.isAlone = false
      request.isAlone = false
    }
  }

  /** Called when a request has released its session, or goes on under another id. */
  ended(request: Request): void {
    const { nowMs } = this.world.time
    if (request.heldSinceMs === Infinity) this.gaveUp.add(request.name)
    this.endedAtMs.set(request.session, nowMs)
    this.endedAtMs.set(`${String(request.process.actor)}/${request.session}`, nowMs)
  }

  /** Rule: while a handle says that it is held, the server's lock is its own. */
  held(): void {
    for (let one = this.newHolders.pop(); one !== undefined; one = this.newHolders.pop()) this.holdsAlone(one)
    for (const request of this.world.active) {
      if (request.phase !== 'held' || request.isDead || !request.believesHeld) continue
      const truth = this.truthOf(request)
      this.world.history.expire(truth)
      if (this.isItsLock(request, truth) || truth.robbed.has(request.lockLabel ?? '')) continue
      this.once('heldButNotOwner', request.name, () => `${request.name} believes to hold ${truth.id}, but the server's lock is ${truth.lock?.label ?? 'none'}`)
    }
  }

  /**
   * Rule: one lock is given to one request. On the server a lock that a process gave to two requests looks like one.
   */
  private holdsAlone(request: Request): void {
    for (const other of this.world.active) {
      if (other === request || other.process !== request.process || other.session !== request.session) continue
      if (other.phase !== 'held' || other.isDead || !other.believesHeld) continue
      this.once('heldTwice', request.name, () => `${request.name} was given ${request.session}, which ${other.name} holds`)
    }
  }

  /**
   * Checks the rules at the moment at which a lock expires: that is when a
   * holder may still believe that it has the lock.
   */
  watchExpiry(truth: SessionTruth): void {
    if (this.watched.has(truth) || truth.lock === undefined) return
    this.watched.add(truth)
    const { server, time, history } = this.world
    // The clock of a stopped server stands still: check again later.
    time.after(Math.max(server.untilSec(truth.lock.expiresAtSec), server.isStopped ? 100 : 0), () => {
      this.watched.delete(truth)
      history.expire(truth)
      this.watchExpiry(truth)
    })
  }

  /** Rule: a record does not expire while a request holds it that has had the time to prolong it. */
  recordExpires(truth: SessionTruth): void {
    const { time, server, scenario, flightMs } = this.world
    const endsMs = time.nowMs + server.untilSec(truth.recordExpiresAtSec)
    for (const request of this.world.active) {
      if (request.phase !== 'held' || request.isDead || !request.believesHeld) continue
      const { plan, process, base } = request
      if (request.session !== truth.id || base !== truth.text || !this.isItsLock(request, truth)) continue
      // The record was removed since this request read it, and another record of the same bytes stands there now.
      if (truth.removedAtMs >= request.baseAtMs) continue
      const firstMs = Math.min(renewAfterMs(scenario.leaseSec), prolongAfterMs(plan.lifetimeSec))
      const sinceMs = Math.max(request.heldSinceMs, process.quietSinceMs)
      if (plan.lifetimeSec < 2 || endsMs - sinceMs <= firstMs + 2 * flightMs) continue
      this.once('expiredWhileHeld', request.name, () => `${truth.id} ran out after ${request.name} had had it for ${(endsMs - sinceMs).toFixed()} ms`)
    }
  }

  /** Rule, checked before a lock changes: nobody has waited for too long for a lock that could have been taken. */
  lockChanges(truth: SessionTruth, next?: ServerLock): void {
    const { world } = this
    const { lock } = truth
    const nowMs = world.time.nowMs
    const holder = lock?.label === undefined ? undefined : [...world.active].find((one) => one.name === lock.label)
    if (lock !== undefined && next === undefined && lock.expiresAtSec <= world.server.nowSec && holder?.phase === 'held') {
      world.cover(holder.isDead ? 'expiryAfterCrash' : 'expiryWhileHeld')
    }
    if (lock !== undefined && lock.instance === next?.instance && lock.label !== next?.label && holder === undefined) {
      world.cover('takeover')
    }
    for (const waiter of world.active) {
      const { process } = waiter
      if (waiter.phase !== 'waiting' || waiter.session !== truth.id || process.host.isDead || process.host.isPaused) continue
      if (lock !== undefined && lock.actor !== process.actor) continue
      // The lock may have come when nobody looked for it any more, or may be a grant to a queue that had left the line
      // unheard. Its process no longer uses that instance id for this session, and the lock soon ends by itself.
      const mayBeOld = lock !== undefined && (lock.isLate || lock.label === undefined)
      if (mayBeOld && lock.instance !== truth.instances.get(process.actor)) continue
      if (process.isClosing || this.isBusy(process, truth.id)) continue
      const sinceMs = Math.max(
        lock?.sinceMs ?? truth.freeSinceMs,
        waiter.invokedAtMs,
        process.quietSinceMs,
        this.endedAtMs.get(`${String(process.actor)}/${truth.id}`) ?? 0,
      )
      if (nowMs - sinceMs <= PROMPT_MS) continue
      const what = lock === undefined ? 'free' : `its own process's orphan (${lock.label ?? 'granted'})`
      this.once('slowAcquire', waiter.name, () => `${waiter.name} has waited ${(nowMs - sinceMs).toFixed()} ms while ${truth.id} was ${what}`)
    }
  }

  lost(process: SimulatedProcess, event: LostEvent): void {
    this.world.cover('lost')
    if (event.reason !== 'taken') return
    for (const request of this.world.active) {
      if (request.process !== process || hashOf(request.session) !== event.session) continue
      if (request.phase !== 'held' && request.phase !== 'leaving') continue
      const truth = this.truthOf(request)
      this.world.history.expire(truth)
      if (this.isItsLock(request, truth)) this.once('falseLoss', request.name, () => `the lock of ${request.name} was called lost, and is there`)
    }
  }

  wasRead(request: Request, text: string): void {
    const truth = this.truthOf(request)
    this.world.history.expire(truth)
    request.lockLabel ??= truth.lock?.label === request.name ? request.name : this.heldLabel(request)
    const label = request.lockLabel
    this.newHolders.push(request)
    const lockedAtMs = label === undefined ? undefined : truth.lockedAtMs.get(label)
    if (lockedAtMs === undefined) {
      this.world.accuse('heldWithoutLock', `${request.name} was given ${truth.id}, and its lock never stood on the server`)
    } else if (!truth.was(text, lockedAtMs)) {
      this.world.accuse('wrongRead', `${request.name} read "${text}", which ${truth.id} has not been since it was locked`)
    }
  }

  wasPeeked(request: Request, text: string, sinceMs: number): void {
    const truth = this.truthOf(request)
    this.world.history.expire(truth)
    if (!truth.was(text, sinceMs)) this.world.accuse('wrongRead', `${request.name} saw "${text}", which ${truth.id} was not in that time`)
  }

  wasAcked(attempt: Attempt): void {
    if (attempt.stored === 0) this.world.accuse('ackedNotStored', `${attempt.op} was acknowledged and never stored`)
  }

  wasRefused(attempt: Attempt, failure: unknown): void {
    if (attempt.outcome === 'refused' && attempt.stored > 0) {
      this.world.accuse('refusedButStored', `${attempt.op} was stored, and refused with ${nameOf(failure)}`)
    }
    if (!(failure instanceof LatchkeyError)) return
    const truth = this.world.history.session(attempt.session)
    this.world.history.expire(truth)
    // With versions of our own the version may have moved on alone, and nobody could look.
    const isBlind = this.world.scenario.hasOwnVersions && failure.cause instanceof FlightError
    if (failure.code === 'LATCHKEY_FENCED' && !isBlind && !truth.changedSince(Math.min(attempt.baseAtMs, truth.lockedAtMs.get(attempt.request) ?? 0))) {
      this.world.accuse('falseFence', `${attempt.op} was fenced off though ${truth.id} never changed`)
    }
    if (failure.code === 'LATCHKEY_SESSION_GONE' && !truth.was('', Math.min(attempt.baseAtMs, truth.lockedAtMs.get(attempt.request) ?? 0))) {
      this.world.accuse('falseGone', `${attempt.op} was told that ${truth.id} is gone, which it never was`)
    }
  }

  wasDestroyed(request: Request, destroy: Destroy): void {
    const truth = this.world.history.session(destroy.session)
    this.world.history.expire(truth)
    // The record may also have gone by a restart, or by its expiry.
    const isGone = truth.text === '' && truth.removedAtMs >= destroy.invokedAtMs
    if (destroy.outcome === 'acked' && destroy.executed === 'no' && !isGone && !destroy.isRetiring) {
      this.world.accuse('ackedNotStored', `${request.name}'s destroy was acknowledged and never carried out`)
    }
    if (destroy.outcome === 'refused' && destroy.executed === 'yes') {
      this.world.accuse('refusedButStored', `${request.name}'s destroy was refused, and carried out`)
    }
  }

  /**
   * Rule: every call settles within its deadline. The time of waiting is added; a pause of the process does not count.
   */
  took(request: Request, what: string, tookMs: number, limitMs: number): void {
    if (tookMs > limitMs + 1) {
      this.world.accuse('deadline', `${request.name}'s ${what} took ${tookMs.toFixed()} ms, which may take ${limitMs.toFixed()}`)
    }
  }

  failed(request: Request, failure: unknown): void {
    const { world } = this
    if (!(failure instanceof LatchkeyError)) {
      world.accuse('untypedError', `${request.name}: ${nameOf(failure)}`)
      return
    }
    const coverage = COVERAGE[failure.code]
    if (coverage === undefined || (failure.code === 'LATCHKEY_CLOSED' && !request.process.isClosing)) {
      world.accuse('wrongError', `${request.name}: ${failure.code}: ${failure.message}`)
      return
    }
    world.cover(coverage)
    if (failure.code === 'LATCHKEY_LOCK_TIMEOUT') this.lockChanges(this.truthOf(request), this.truthOf(request).lock)
    if (!world.scenario.isCalm) return
    const isMaxHold = failure.code === 'LATCHKEY_HELD_TOO_LONG' && world.scenario.maxHoldMs > 20_000
    if (isMaxHold || !CALM_FAILURES.has(failure.code)) world.accuse('calmError', `${request.name}: ${failure.code} with nothing amiss`)
  }

  /** Rule: an uncontended request costs two flights, and one more for each save or reload. */
  flights(request: Request, flights: number, due: number): void {
    const { leaseSec, maxHoldMs, isCalm, plans } = this.world.scenario
    // A destroy needs one flight more where the record has expired in the meantime. A renewal is a flight, and so is
    // the removal of a lock that was held for too long.
    const heldMs = this.world.time.nowMs - request.arrivedAtMs
    if (!isCalm || plans.some(({ lifetimeSec }) => isShort(lifetimeSec)) || heldMs >= Math.min(renewAfterMs(leaseSec), maxHoldMs)) return
    this.world.cover('uncontended')
    if (flights > due) this.world.accuse('flights', `${request.name} was alone and cost ${String(flights)} flights, not ${String(due)}`)
  }

  /** Closes a manager. Rule: that takes no longer than its grace and two deadlines. */
  close(process: SimulatedProcess, graceMs: number): void {
    const { world } = this
    const startedMs = world.time.nowMs
    const pausedMs = process.host.pausedMs
    const limitMs = graceMs + 2 * world.scenario.deadlineMs
    process.isClosing = true
    process.manager.close({ graceMs }).then(
      () => {
        const tookMs = world.time.nowMs - startedMs - (process.host.pausedMs - pausedMs)
        if (tookMs > limitMs + 1) world.accuse('deadline', `close() took ${tookMs.toFixed()} ms, which may take ${limitMs.toFixed()}`)
      },
      (failure: unknown) => {
        world.accuse('untypedError', `close(): ${nameOf(failure)}`)
      },
    )
  }

  private isBusy(process: SimulatedProcess, session: string): boolean {
    for (const one of this.world.active) {
      if (one.process === process && one.session === session && (one.phase === 'held' || one.phase === 'leaving')) return true
    }
    return false
  }

  /**
   * The label on the lock that `request` has been given: its own name, or the name of a request that stood before it in
   * the queue and has given up. Only its process knows which, so the process is asked; that label must stand on the
   * server.
   */
  private heldLabel({ process, session }: Request): string | undefined {
    const hash = hashOf(session)
    return process.manager.locks().find((held) => held.session === hash)?.label
  }

  private isItsLock({ lockLabel }: Request, { lock, tokens }: SessionTruth): boolean {
    return lock !== undefined && lockLabel !== undefined && lock.token === tokens.get(lockLabel)
  }

  private truthOf(request: Request): SessionTruth {
    return this.world.history.session(request.session)
  }

  private once(rule: string, who: string, detail: () => string): void {
    const key = `${rule} ${who}`
    if (this.accused.has(key)) return
    this.accused.add(key)
    this.world.accuse(rule, detail())
  }
}
