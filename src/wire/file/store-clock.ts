/** The two clocks of a store that processes share, and that outlives them. */
import { readFileSync } from 'node:fs'
import { type Clock, systemClock } from '../../system/clock.js'

/** One moment, on both clocks. */
export interface Instant {
  /** Milliseconds since 1970. What records are counted on: they outlive a restart of the machine. */
  readonly wallMs: number
  /**
   * Milliseconds since the machine was started, or so: the same in all of its processes, and never set. What locks are
   * counted on: a wall clock that is set by an hour would free all of them, or none for an hour.
   */
  readonly bootMs: number
  /** Which start of the machine `bootMs` counts from. At least 1; 0 stands for the wall clock. */
  readonly boot: number
}

export interface StoreClock {
  now(): Instant
}

export function storeClock(clock: Clock): StoreClock {
  // performance.now() counts from the start of a process, and hrtime() on the same clock from the machine's.
  const isSystem = clock.nowMs === systemClock.nowMs
  const aheadMs = isSystem ? hrtimeMs() - clock.nowMs() : 0
  const boot = isSystem ? bootNumber() : 1
  return {
    now: () => ({ wallMs: Math.floor(clock.wallMs()), bootMs: Math.floor(clock.nowMs() + aheadMs), boot }),
  }
}

function hrtimeMs(): number {
  const [sec, ns] = process.hrtime()
  return sec * 1000 + ns / 1e6
}

/**
 * A number of this start of the machine. Only Linux has an id of it to read; elsewhere all starts have the same number,
 * and a lock of an earlier one is told by its date, which lies in the future, or lives for one lease at most.
 */
function bootNumber(): number {
  try {
    const id = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')
    return Number.parseInt(id.slice(0, 8), 16) || 1
  } catch {
    return 1
  }
}
