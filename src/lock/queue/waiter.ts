import type { Clock, Timer } from '../../system/clock.js'
import { listenTo, stopListening } from '../../system/shared-signal.js'
import type { AcquireOptions, Handle } from '../protocol/handle.js'

/** The queue that it stands in. */
export interface WaiterOwner {
  /** It gave up, for that reason. */
  onGone(waiter: Waiter, reason: unknown): void
}

/** One request that waits for a session: settled once, by a lock, an error, its deadline or its signal. */
export class Waiter {
  /** Its neighbours in the queue; theirs to keep. */
  ahead: Waiter | undefined
  behind: Waiter | undefined
  private timer: Timer | undefined

  constructor(
    readonly options: AcquireOptions,
    readonly arrivedAtMs: number,
    private readonly arrivalTick: number,
    /** There was a record when it came. */
    private readonly foundRecord: boolean,
    private readonly resolve: (handle: Handle) => void,
    private readonly reject: (reason: unknown) => void,
    private readonly owner: WaiterOwner,
  ) {
    if (options.signal !== undefined) listenTo(options.signal, this)
  }

  /** The signal's listener: an object, so that waiting costs no closure. */
  handleEvent(): void {
    this.refuse(this.options.signal?.reason)
    this.owner.onGone(this, this.options.signal?.reason)
  }

  /** Whether a record was seen in its time: then finding none at its turn means that the session is gone. */
  sawRecord(recordSeenTick: number): boolean {
    return this.foundRecord || recordSeenTick > this.arrivalTick
  }

  /** Sets the deadline, once. */
  arm(clock: Clock, deadlineMs: number, onDeadline: () => void): void {
    this.timer ??= clock.setTimer(onDeadline, Math.max(deadlineMs - clock.nowMs(), 0))
  }

  /** Whether it found the session locked. */
  get hasWaited(): boolean {
    return this.timer !== undefined
  }

  accept(handle: Handle): void {
    this.disarm()
    this.resolve(handle)
  }

  refuse(reason: unknown): void {
    this.disarm()
    this.reject(reason)
  }

  private disarm(): void {
    this.timer?.cancel()
    if (this.options.signal !== undefined) stopListening(this.options.signal, this)
  }
}
