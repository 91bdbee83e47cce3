import type { Clock, Timer } from '../../../src/system/clock.js'

interface Event extends Timer {
  readonly atMs: number
  readonly order: number
  run: (() => void) | undefined
}

/**
 * The time of a simulated world: events in order, and between two of them everything that promises alone can do.
 *
 * Much cheaper than a turn of the event loop per event: `process.nextTick` asked for in a microtask comes when no
 * microtask is left, however long the chain of promises was. Code that waits for sockets or files does not belong here.
 */
export class SimulatedTime {
  /** Runs after every event, once all promises have settled. */
  afterEach: () => void = () => undefined
  /** More events than this, all in all, and `run` rejects: something goes round in circles. */
  maxEvents = Infinity
  private currentMs = 0
  private count = 0
  private ran = 0
  /** A binary heap by (atMs, order). */
  private readonly heap: Event[] = []

  get nowMs(): number {
    return this.currentMs
  }

  /** Runs `run` once, after `delayMs`; events of the same moment come in the order of their asking. */
  after(delayMs: number, run: () => void): Timer {
    const event: Event = {
      atMs: this.currentMs + Math.max(delayMs, 0),
      order: this.count++,
      run,
      cancel() {
        event.run = undefined
      },
    }
    this.push(event)
    return event
  }

  /** Lets time pass up to `untilMs`, or until `isOver`; time then stands at the last event, or at `untilMs`. */
  run(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (): void => {
        process.nextTick(step)
      }
      const step = (): void => {
        try {
          this.afterEach()
          const event = isOver() ? undefined : this.next(untilMs)
          if (event === undefined) {
            if (!isOver()) this.currentMs = Math.max(this.currentMs, untilMs)
            resolve()
            return
          }
          if (++this.ran > this.maxEvents) throw new Error(`more than ${String(this.maxEvents)} events`)
          this.currentMs = event.atMs
          event.run?.()
        } catch (failure) {
          reject(failure instanceof Error ? failure : new Error(String(failure)))
          return
        }
        queueMicrotask(next)
      }
      queueMicrotask(next)
    })
  }

  private next(untilMs: number): Event | undefined {
    for (let first = this.heap[0]; first !== undefined && first.atMs <= untilMs; first = this.heap[0]) {
      this.pop()
      if (first.run !== undefined) return first
    }
    return undefined
  }

  private push(event: Event): void {
    const { heap } = this
    let index = heap.length
    heap.push(event)
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || isBefore(parent, event)) break
      heap[index] = parent
      index = above
    }
    heap[index] = event
  }

  private pop(): void {
    const { heap } = this
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let index = 0
    for (;;) {
      let below = 2 * index + 1
      let child = heap[below]
      const right = heap[below + 1]
      if (child !== undefined && right !== undefined && isBefore(right, child)) {
        child = right
        below++
      }
      if (child === undefined || isBefore(last, child)) break
      heap[index] = child
      index = below
    }
    heap[index] = last
  }
}

const isBefore = (one: Event, other: Event): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)

/**
 * One simulated process, as a clock: it can be paused (SIGSTOP, a long garbage collection) and it can die.
 *
 * While it is paused time goes on and nothing of it runs; what fell due meanwhile runs when it wakes.
 */
export class SimulatedHost implements Clock {
  /** Timers that would keep the process alive. */
  openTimers = 0
  private dead = false
  private pausedAtMs: number | undefined
  private pausedBeforeMs = 0
  private missed: { readonly run: () => void; readonly isTimer: boolean }[] = []

  /** @param startMs where this process's monotonic clock stands at the beginning; `skewMs` goes on its wall clock. */
  constructor(
    private readonly time: SimulatedTime,
    private readonly startMs = 0,
    private readonly skewMs = 0,
  ) {}

  get isPaused(): boolean {
    return this.pausedAtMs !== undefined
  }

  get isDead(): boolean {
    return this.dead
  }

  /** How long it has been paused so far, all in all. */
  get pausedMs(): number {
    return this.pausedBeforeMs + (this.pausedAtMs === undefined ? 0 : this.time.nowMs - this.pausedAtMs)
  }

  nowMs(): number {
    return this.startMs + this.time.nowMs
  }

  wallMs(): number {
    return Math.floor(1_767_225_600_000 + this.skewMs + this.time.nowMs)
  }

  setTimer(fn: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer {
    const weight = options?.background === true ? 0 : 1
    let isSet = true
    const unset = (): void => {
      if (isSet) this.openTimers -= weight
      isSet = false
    }
    this.openTimers += weight
    const timer = this.time.after(delayMs, () => {
      this.deliver(() => {
        if (!isSet) return
        unset()
        fn()
      }, true)
    })
    return {
      cancel() {
        unset()
        timer.cancel()
      },
    }
  }

  /** A timer of this process, as a promise: it does not settle while the process is paused. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.setTimer(resolve, delayMs))
  }

  /** Runs `run` in this process: now, when it wakes, or never. */
  deliver(run: () => void, isTimer = false): void {
    if (this.dead) return
    if (this.pausedAtMs === undefined) run()
    else this.missed.push({ run, isTimer })
  }

  /** Stops the process where it is, as SIGSTOP does; what comes for it meanwhile waits. */
  pause(): void {
    if (!this.dead) this.pausedAtMs ??= this.time.nowMs
  }

  /**
   * Continues a paused process.
   *
   * @param timersFirst what is due by time runs before what came by network: an event loop may do either.
   */
  wake(timersFirst: boolean): void {
    if (this.pausedAtMs === undefined) return
    this.pausedBeforeMs += this.time.nowMs - this.pausedAtMs
    this.pausedAtMs = undefined
    const missed = this.missed
    this.missed = []
    if (timersFirst) missed.sort((one, other) => Number(other.isTimer) - Number(one.isTimer))
    for (const { run, isTimer } of missed) {
      this.time.after(0, () => {
        this.deliver(run, isTimer)
      })
    }
  }

  /** Nothing of it runs any more. What it has sent may still be carried out. */
  kill(): void {
    this.dead = true
    this.missed = []
  }
}
