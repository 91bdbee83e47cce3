import type { Clock, Timer } from '../../system/clock.js'
import { listenTo, stopListening } from '../../system/shared-signal.js'
import type { AcquireOptions, Handle } from '../protocol/handle.js'

/** The queue that it stands in. */
export interface WaiterOwner {
  /** It gave up, for that reason. */
  onGone(waiter: Waiter, reason: unknown): void
}

interface Arrival {
  readonly atMs: number
  /** In the queue's own count. */
  readonly tick: number
  /** There was a record when it came. */
  readonly foundRecord: boolean
}

/** Its call's promise. */
export interface Settle {
  readonly resolve: (handle: Handle) => void
  readonly reject: (reason: unknown) => void
}

/** One request that waits for a session: settled once, by a lock, an error, its deadline or its signal. */
export class Waiter {
  /** Its neighbours in the queue; theirs to keep. */
  ahead: Waiter | undefined
  behind: Waiter | undefined
  private timer: Timer | undefined

  constructor(
    readonly options: AcquireOptions,
    private readonly arrival: Arrival,
    private readonly settle: Settle,
    private readonly owner: WaiterOwner,
  ) {
    if (options.signal !== undefined) listenTo(options.signal, this)
  }

  get arrivedAtMs(): number {
    return this.arrival.atMs
  }

  /** The signal's listener: an object, so that waiting costs no closure. */
  handleEvent(): void {
    this.refuse(this.options.signal?.reason)
    this.owner.onGone(this, this.options.signal?.reason)
  }

  /** Whether a record was seen in its time: then finding none at its turn means that the session is gone. */
  sawRecord(recordSeenTick: number): boolean {
    return this.arrival.foundRecord || recordSeenTick > this.arrival.tick
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
    this.settle.resolve(handle)
  }

  refuse(reason: unknown): void {
    this.disarm()
    this.settle.reject(reason)
  }

  private disarm(): void {
    this.timer?.cancel()
    if (this.options.signal !== undefined) stopListening(this.options.signal, this)
  }
}
