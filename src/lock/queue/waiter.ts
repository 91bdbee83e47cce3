import type { Clock, Timer } from '../../system/clock.js'
import { listenTo, stopListening } from '../../system/shared-signal.js'
import type { Asker, Handle } from '../protocol/handle.js'

/** What a waiter tells its queue. */
export interface WaiterOwner {
  /** Called when the waiter has given up because its signal was aborted with `reason`. */
  onGone(waiter: Waiter, reason: unknown): void
}

interface Arrival {
  readonly atMs: number
  /** The queue's count of arrivals and sightings of a record, when the waiter came. */
  readonly tick: number
  /** Whether the session was known to have a record when the waiter came. */
  readonly foundRecord: boolean
}

/** One request that waits for a session. A lock, an error, the deadline or the signal ends its wait, once. */
export class Waiter {
  /** The neighbours in the queue. Only `Waiters` sets them. */
  ahead: Waiter | undefined
  behind: Waiter | undefined
  private timer: Timer | undefined

  constructor(
    private readonly asker: Asker,
    private readonly arrival: Arrival,
    private readonly owner: WaiterOwner,
  ) {
    const { signal } = asker.options
    if (signal !== undefined) listenTo(signal, this)
  }

  get label(): string | undefined {
    return this.asker.options.label
  }

  get arrivedAtMs(): number {
    return this.arrival.atMs
  }

  /** Called by the signal when it is aborted. The waiter itself is the listener, so that a wait needs no closure. */
  handleEvent(): void {
    const { signal } = this.asker.options
    this.refuse(signal?.reason)
    this.owner.onGone(this, signal?.reason)
  }

  /** Whether a record was seen while this request waited. If so, and its turn finds none, the session is gone. */
  sawRecord(recordSeenTick: number): boolean {
    return this.arrival.foundRecord || recordSeenTick > this.arrival.tick
  }

  /** Sets the deadline. Only the first call counts. */
  arm(clock: Clock, deadlineMs: number, onDeadline: () => void): void {
    this.timer ??= clock.setTimer(onDeadline, Math.max(deadlineMs - clock.nowMs(), 0))
  }

  /** Whether the request found the session locked, and so has waited. */
  get hasWaited(): boolean {
    return this.timer !== undefined
  }

  accept(handle: Handle): void {
    this.disarm()
    this.asker.acquired(handle)
  }

  refuse(reason: unknown): void {
    this.disarm()
    this.asker.refused(reason)
  }

  private disarm(): void {
    this.timer?.cancel()
    const { signal } = this.asker.options
    if (signal !== undefined) stopListening(signal, this)
  }
}
