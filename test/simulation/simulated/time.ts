import type { Clock, Timer } from '../../../src/system/clock.js'

interface Event extends Timer {
  readonly atMs: number
  readonly order: number
  run: (() => void) | undefined
}

/**
 * The time of a simulated world. It runs events in order, and between two events lets all promises settle that can.
 *
 * This is much cheaper than a turn of the event loop for each event: a `process.nextTick` that is asked for in a
 * microtask comes when no microtask is left, however long the chain of promises is. Code that waits for sockets or
 * files cannot run here.
 */
export class SimulatedTime {
  /** Called after every event, when all promises have settled. */
  afterEach: () => void = () => undefined
  /** The limit of all events together. Beyond it `run` rejects, because the code must be caught in a loop. */
  maxEvents = Infinity
  private currentMs = 0
  private count = 0
  private ran = 0
  /** A binary heap, ordered by (atMs, order). */
  private readonly heap: Event[] = []

  get nowMs(): number {
    return this.currentMs
  }

  /** Runs `run` once, after `delayMs`. Events of the same time come in the order in which they were asked for. */
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

  /** Lets time pass until `untilMs`, or until `isOver`. The time then stands at `untilMs`, or at the last event. */
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
 * One simulated process, as a clock. It can be paused (SIGSTOP, a long garbage collection), and it can die.
 *
 * While a process is paused time goes on and nothing in it runs. What falls due in the meantime runs when it wakes.
 */
export class SimulatedHost implements Clock {
  /** The number of timers that would keep the process alive. */
  openTimers = 0
  private dead = false
  private pausedAtMs: number | undefined
  private pausedBeforeMs = 0
  private missed: { readonly run: () => void; readonly isTimer: boolean }[] = []

  /** @param startMs the start of this process's monotonic clock; `skewMs` is added to its wall clock. */
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

  /** How long the process has been paused so far, all pauses together. */
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

  /** Sleeps on a timer of this process. The promise does not settle while the process is paused. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.setTimer(resolve, delayMs))
  }

  /** Runs `run` in this process: now, when the process wakes, or never. */
  deliver(run: () => void, isTimer = false): void {
    if (this.dead) return
    if (this.pausedAtMs === undefined) run()
    else this.missed.push({ run, isTimer })
  }

  /** Stops the process where it is, as SIGSTOP does. What arrives in the meantime waits. */
  pause(): void {
    if (!this.dead) this.pausedAtMs ??= this.time.nowMs
  }

  /**
   * Continues a paused process.
   *
   * @param timersFirst whether timers that are due run before what came over the network. An event loop may do either.
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

  /** Kills the process: nothing in it runs any more. Commands that it has sent may still be carried out. */
  kill(): void {
    this.dead = true
    this.missed = []
  }
}
