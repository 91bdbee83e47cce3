import { performance } from 'node:perf_hooks'

/** The source of time. It is injected, so that tests and simulations can run on a virtual clock. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start. Does not jump when the wall clock is set. */
  nowMs(): number
  /** Milliseconds since 1970. For people and cookies, never for leases: the wall clock may jump. */
  wallMs(): number
  /** Runs `fn` once after `delayMs`. `background` timers do not keep the process alive. */
  setTimer(fn: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer
}

/** A function that will run later. */
export interface Timer {
  /** Prevents the function from running. Does nothing after it has run. */
  cancel(): void
}

class SystemTimer implements Timer {
  constructor(private readonly timeout: NodeJS.Timeout) {}
  cancel(): void {
    clearTimeout(this.timeout)
  }
}

/** The longest delay that setTimeout takes: 31 bits, about 24 days. */
const MAX_DELAY_MS = 0x7fffffff

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(fn, delayMs, options) {
    // Rounded up, because setTimeout cuts fractions off and a lease timer must never fire early. Capped, because
    // setTimeout fires at once when the delay is above its limit.
    const timeout = setTimeout(fn, Math.min(Math.ceil(delayMs), MAX_DELAY_MS))
    if (options?.background === true) timeout.unref()
    return new SystemTimer(timeout)
  },
}
