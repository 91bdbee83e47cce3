import { performance } from 'node:perf_hooks'

/** Time as the protocol sees it; injected, so that tests and simulations run on a virtual one. */
export interface Clock {
  /** Monotonic milliseconds, from an arbitrary start; never jumps with the wall clock. */
  nowMs(): number
  /** Milliseconds since 1970. For people and cookies; never for leases. */
  wallMs(): number
  /** Runs `fn` once after `delayMs`. `background` timers do not keep the process alive. */
  setTimer(fn: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer
}

/** Something that is to happen later. */
export interface Timer {
  /** It does not happen; without effect when it has. */
  cancel(): void
}

class SystemTimer implements Timer {
  constructor(private readonly timeout: NodeJS.Timeout) {}
  cancel(): void {
    clearTimeout(this.timeout)
  }
}

/** What setTimeout counts in: 31 bits, some 24 days. */
const MAX_DELAY_MS = 0x7fffffff

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(fn, delayMs, options) {
    // Rounded up: setTimeout truncates, and a lease timer must never fire early. Above its limit it would fire at once.
    const timeout = setTimeout(fn, Math.min(Math.ceil(delayMs), MAX_DELAY_MS))
    if (options?.background === true) timeout.unref()
    return new SystemTimer(timeout)
  },
}
