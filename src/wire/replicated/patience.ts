import type { Clock, Timer } from '../../system/clock.js'

/**
 * How long all wait for a node when enough others have answered, in milliseconds: longer than a busy machine is late, and short
 * enough that a node that stands still is hardly noticed. Then the node is a suspect, and nobody waits for it until it answers.
 */
const PATIENCE_MS = 40

/** A round that may go on without the nodes that are late. Only `Patience` sets the fields. */
export abstract class Patient {
  dueMs = 0
  isWaiting = false
  earlier: Patient | undefined
  later: Patient | undefined

  /** Called when the time is up. */
  abstract giveUp(): void
}

/**
 * Those who wait, in the order of their beginning, which is that of their end: all wait equally long, behind one timer. Who is
 * over leaves the list at once, as nothing of a round is to stay in memory for longer than the round.
 */
export class Patience {
  private first: Patient | undefined
  private last: Patient | undefined
  private timer: Timer | undefined
  private untilMs = 0

  constructor(private readonly clock: Clock) {}

  add(patient: Patient): void {
    if (patient.isWaiting) return
    patient.isWaiting = true
    patient.dueMs = this.clock.nowMs() + PATIENCE_MS
    patient.earlier = this.last
    if (this.last === undefined) this.first = patient
    else this.last.later = patient
    this.last = patient
    this.timer ??= this.clock.setTimer(this.onTimer, PATIENCE_MS)
  }

  remove(patient: Patient): void {
    if (!patient.isWaiting) return
    const { earlier, later } = patient
    patient.isWaiting = false
    if (earlier === undefined) this.first = later
    else earlier.later = later
    if (later === undefined) this.last = earlier
    else later.earlier = earlier
    patient.earlier = patient.later = undefined
  }

  close(): void {
    this.timer?.cancel()
  }

  private readonly onTimer = (): void => {
    // A process that was held up finds timers due before it has read what is there: it reads first.
    this.timer = this.clock.setTimer(this.onRead, 1)
    this.untilMs = this.clock.nowMs()
  }

  private readonly onRead = (): void => {
    this.timer = undefined
    for (let due = this.first; due !== undefined && due.dueMs <= this.untilMs; due = this.first) {
      this.remove(due)
      due.giveUp()
    }
    if (this.first !== undefined) this.timer ??= this.clock.setTimer(this.onTimer, Math.max(this.first.dueMs - this.clock.nowMs(), 1))
  }
}
