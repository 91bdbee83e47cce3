import { prolongAfterMs, renewAfterMs, usableLeaseMs } from '../protocol/lease.js'
import type { LockLimits } from '../protocol/lock-context.js'

/** What is due for a lock that is held. */
export type Due = 'heldTooLong' | 'lapsed' | 'renewal' | 'nothing'

/** When what is due for one lock that is held: arithmetic alone. Times are the clock's monotonic milliseconds. */
export class Timetable {
  leaseUntilMs: number
  private readonly endsAtMs: number
  private slowAtMs: number
  private renewAtMs: number
  /** When the next renewal has to keep the record alive as well. */
  private prolongAtMs = Infinity
  /** How long the record is to live from each prolonging on; undefined: nobody knows. */
  private lifetimeSec: number | undefined

  /** @param sentAtMs when the command that took the lock was sent: the lease runs from there, and so does the hold. */
  constructor(
    private readonly limits: LockLimits,
    private readonly sentAtMs: number,
  ) {
    this.leaseUntilMs = sentAtMs + usableLeaseMs(limits.leaseSec)
    this.renewAtMs = sentAtMs + renewAfterMs(limits.leaseSec)
    this.slowAtMs = sentAtMs + limits.slowHoldMs
    this.endsAtMs = sentAtMs + limits.maxHoldMs
  }

  /** When there is something to do next. */
  get nextMs(): number {
    return Math.min(this.renewAtMs, this.prolongAtMs, this.leaseUntilMs, this.endsAtMs, this.slowAtMs)
  }

  dueAt(nowMs: number): Due {
    if (this.isOverAt(nowMs)) return 'heldTooLong'
    if (nowMs >= this.leaseUntilMs) return 'lapsed'
    return nowMs < this.renewAtMs && nowMs < this.prolongAtMs ? 'nothing' : 'renewal'
  }

  isOverAt(nowMs: number): boolean {
    return nowMs >= this.endsAtMs
  }

  /** Whether the hold is to be reported as a slow one: once. */
  takeSlow(nowMs: number): boolean {
    if (nowMs < this.slowAtMs) return false
    this.slowAtMs = Infinity
    return true
  }

  /** The lease counts from the sending, because the server's count starts later. */
  renewed(sentAtMs: number): void {
    this.leaseUntilMs = sentAtMs + usableLeaseMs(this.limits.leaseSec)
    this.renewAtMs = sentAtMs + renewAfterMs(this.limits.leaseSec)
  }

  /** After a renewal that failed, or could not be sent: when the next one is due. */
  retryFrom(nowMs: number): void {
    this.renewAtMs = nowMs + this.retryMs
  }

  /** As retryFrom, and the same for the record. */
  retryAllFrom(nowMs: number): void {
    this.prolongAtMs = Math.max(this.prolongAtMs, nowMs + this.retryMs)
    this.retryFrom(nowMs)
  }

  /** For how long the next renewal is to let the record live; undefined: it leaves it as it is. */
  prolongingAt(nowMs: number): number | undefined {
    return nowMs >= this.prolongAtMs ? this.lifetimeSec : undefined
  }

  /** What is left of the record's time cannot be known: it is given a new one with the first renewal. */
  keepAlive(lifetimeSec: number | undefined): void {
    this.lifetimeSec = lifetimeSec
    this.prolongAtMs =
      lifetimeSec === undefined ? Infinity : Math.min(this.renewAtMs, this.sentAtMs + prolongAfterMs(lifetimeSec))
  }

  livesFrom(sentAtMs: number, lifetimeSec: number): void {
    this.lifetimeSec = lifetimeSec
    this.prolongAtMs = sentAtMs + prolongAfterMs(lifetimeSec)
  }

  /** The record is another's by now. */
  neverProlong(): void {
    this.prolongAtMs = Infinity
  }

  retryProlonging(nowMs: number, lifetimeSec: number): void {
    this.prolongAtMs = nowMs + Math.min(this.retryMs, prolongAfterMs(lifetimeSec) / 4)
  }

  private get retryMs(): number {
    return renewAfterMs(this.limits.leaseSec) / 4
  }
}
