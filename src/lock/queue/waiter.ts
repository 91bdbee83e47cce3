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
  /** Whether the request found the session locked, and so has waited: from then on its deadline counts. */
  hasWaited = false
  readonly arrivedAtMs: number
  private readonly tick: number
  private readonly foundRecord: boolean

  constructor(
    private readonly asker: Asker,
    { atMs, tick, foundRecord }: Arrival,
    private readonly owner: WaiterOwner,
  ) {
    this.arrivedAtMs = atMs
    this.tick = tick
    this.foundRecord = foundRecord
    const { signal } = asker.options
    if (signal !== undefined) listenTo(signal, this)
  }

  get label(): string | undefined {
    return this.asker.options.label
  }

  /** Whether it does not wait: a session that is locked is refused to it at once. */
  get triesOnce(): boolean {
    return this.asker.options.triesOnce === true
  }

  /** Called by the signal when it is aborted. The waiter itself is the listener, so that a wait needs no closure. */
  handleEvent(): void {
    const { signal } = this.asker.options
    this.refuse(signal?.reason)
    this.owner.onGone(this, signal?.reason)
  }

  /** Whether a record was seen while this request waited. If so, and its turn finds none, the session is gone. */
  sawRecord(recordSeenTick: number): boolean {
    return this.foundRecord || recordSeenTick > this.tick
  }

  accept(handle: Handle): void {
    this.stopListening()
    this.asker.acquired(handle)
  }

  refuse(reason: unknown): void {
    this.stopListening()
    this.asker.refused(reason)
  }

  private stopListening(): void {
    const { signal } = this.asker.options
    if (signal !== undefined) stopListening(signal, this)
  }
}
