import type { Clock, Timer } from '../../system/clock.js'

/** Calls `ring()` at `atMs`, unless it is put off or cancelled first. Only the `Alarms` list sets the other fields. */
export interface Alarm {
  atMs: number
  earlier: Alarm | undefined
  later: Alarm | undefined
  isSet: boolean
  ring(): void
}

/**
 * The alarms of all held locks, sorted by time, behind one timer. Nearly every lock is released long before its renewal
 * is due, and a timer for each lock would cost more than the rest of the lock's bookkeeping.
 */
export class Alarms {
  private first: Alarm | undefined
  private last: Alarm | undefined
  private timer: Timer | undefined
  private timerAtMs = Infinity

  constructor(private readonly clock: Clock) {}

  /** Sets the alarm, or puts it off. The search starts at the end of the list, because most alarms belong there. */
  set(alarm: Alarm, atMs: number): void {
    this.cancel(alarm)
    let before = this.last
    while (before !== undefined && before.atMs > atMs) before = before.earlier
    alarm.atMs = atMs
    alarm.isSet = true
    alarm.earlier = before
    alarm.later = before === undefined ? this.first : before.later
    if (alarm.later === undefined) this.last = alarm
    else alarm.later.earlier = alarm
    if (before === undefined) this.first = alarm
    else before.later = alarm
    if (atMs < this.timerAtMs) this.arm(atMs)
  }

  /**
   * The timer keeps running: to find nothing due now and then costs less than to set the timer again at every request.
   */
  cancel(alarm: Alarm): void {
    if (!alarm.isSet) return
    alarm.isSet = false
    if (alarm.earlier === undefined) this.first = alarm.later
    else alarm.earlier.later = alarm.later
    if (alarm.later === undefined) this.last = alarm.earlier
    else alarm.later.earlier = alarm.earlier
    alarm.earlier = undefined
    alarm.later = undefined
  }

  close(): void {
    this.timer?.cancel()
    this.timerAtMs = -Infinity
  }

  private arm(atMs: number): void {
    this.timer?.cancel()
    this.timerAtMs = atMs
    this.timer = this.clock.setTimer(this.onTimer, Math.max(atMs - this.clock.nowMs(), 0), { background: true })
  }

  private readonly onTimer = (): void => {
    this.timerAtMs = Infinity
    const nowMs = this.clock.nowMs()
    for (let due = this.first; due !== undefined && due.atMs <= nowMs; due = this.first) {
      this.cancel(due)
      due.ring()
    }
    if (this.first !== undefined && this.first.atMs < this.timerAtMs) this.arm(this.first.atMs)
  }
}
