import type { Clock, Timer } from '../system/clock.js'
import { checkNames } from '../system/option-names.js'

interface Entry {
  readonly atMs: number
  readonly fn: () => void
}

const START_OPTIONS = new Set(['nowMs', 'wallMs'])

/**
 * A clock that stands still until it is told to move, so that tests never sleep and every run is the same.
 *
 * Time passes only within `advance` and `runUntil`. Between two timers all promises settle that can settle, so that
 * code under test sees the same order as on a real clock of infinite precision. Do not use it for code that waits for
 * real sockets or files: those need turns of the event loop that this clock does not wait for.
 */
export class VirtualClock implements Clock {
  private readonly startMs: number
  private readonly startWallMs: number
  private currentMs: number
  private moving = false
  /** Sorted by time; entries of one time in the order in which they were set. */
  private readonly entries: Entry[] = []

  /**
   * @param start.nowMs the start of the monotonic clock, in milliseconds. Default 0.
   * @param start.wallMs the same moment in milliseconds since 1970. Default 2026-01-01T00:00:00Z.
   */
  constructor(start: { readonly nowMs?: number; readonly wallMs?: number } = {}) {
    checkNames(start, START_OPTIONS)
    this.startMs = start.nowMs ?? 0
    this.startWallMs = start.wallMs ?? Date.UTC(2026, 0, 1)
    this.currentMs = this.startMs
  }

  nowMs(): number {
    return this.currentMs
  }

  wallMs(): number {
    return this.startWallMs + Math.floor(this.currentMs - this.startMs)
  }

  /** Sets a timer, as `Clock` says. A delay below 0 counts as 0, and `background` makes no difference. */
  setTimer(fn: () => void, delayMs: number): Timer {
    const entry: Entry = { atMs: this.currentMs + Math.max(0, delayMs), fn }
    if (Number.isNaN(entry.atMs)) throw new RangeError('a timer needs a delay in milliseconds, not NaN')
    // The new entry goes behind all entries of the same time.
    const later = this.entries.findLastIndex((other) => other.atMs <= entry.atMs) + 1
    this.entries.splice(later, 0, entry)
    return {
      cancel: () => {
        const index = this.entries.indexOf(entry)
        if (index >= 0) this.entries.splice(index, 1)
      },
    }
  }

  /** How many timers are set. */
  get pendingTimers(): number {
    return this.entries.length
  }

  /**
   * Lets `ms` milliseconds pass: runs the timers that fall due, in order and each at its own time, and lets promises
   * settle before the first, between any two and after the last. `advance(0)` only lets promises settle.
   *
   * @throws what a timer's function throws, at once; Error when another call is moving the time already.
   */
  async advance(ms: number): Promise<void> {
    const untilMs = this.currentMs + ms
    await this.move(async () => {
      await settle()
      while (this.runNext(untilMs)) await settle()
      this.currentMs = untilMs
    })
  }

  /**
   * Moves from timer to timer until `promise` settles, and returns its value.
   *
   * @param limitMs how much virtual time may pass, in milliseconds. Default 120 000.
   * @throws what `promise` rejects with; Error when it is still pending at the limit, or when no timer is left that
   *   could change that; what a timer's function throws.
   */
  async runUntil<T>(promise: Promise<T>, limitMs = 120_000): Promise<T> {
    const fromMs = this.currentMs
    let pending = true
    const settled = (): void => {
      pending = false
    }
    promise.then(settled, settled)
    await this.move(async () => {
      await settle()
      while (pending && this.runNext(fromMs + limitMs)) await settle()
    })
    if (!pending) return promise
    const next = this.entries[0]
    throw new Error(
      next === undefined
        ? `still pending after ${this.currentMs - fromMs} ms of virtual time, and no timer is left to wait for`
        : `still pending after ${limitMs} ms of virtual time (the next timer is due at +${next.atMs - fromMs} ms)`,
    )
  }

  /** Runs the first timer that is due by `untilMs`; returns false if there is none. */
  private runNext(untilMs: number): boolean {
    const next = this.entries[0]
    if (next === undefined || next.atMs > untilMs) return false
    this.entries.shift()
    this.currentMs = next.atMs
    next.fn()
    return true
  }

  private async move(run: () => Promise<void>): Promise<void> {
    if (this.moving) throw new Error('the virtual clock is being moved already: await the other advance or runUntil')
    this.moving = true
    try {
      await run()
    } finally {
      this.moving = false
    }
  }
}

/** Waits for one turn of the event loop. It comes when no microtask is left, however long the chain of promises is. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
