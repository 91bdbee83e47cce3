import type { Clock } from '../../system/clock.js'

/** memcached's protocol.txt, "Expiration times": what is above this is read as a date. */
const RELATIVE_LIMIT_SEC = 30 * 24 * 3600

/** Dates end in 2038: the server keeps them in 32 bits with a sign. */
const LAST_DATE_SEC = 0x7fffffff

/** Clocks drift apart, and a process that was suspended does not notice: a reading is good for this long. */
const READING_MS = 60_000

/**
 * The clock of one server, as `STAT time` told it. Lifetimes over 30 days travel as dates, and the server reads them by
 * this clock: a date by our own clock would end a session at once where the two are a month apart.
 */
export class ServerClock {
  #toldSec: number | undefined
  #toldAtMs = 0

  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The server has told its time: seconds since 1970. */
  set(timeSec: number): void {
    this.#toldSec = timeSec
    this.#toldAtMs = this.#clock.nowMs()
  }

  /** Whether the server should be asked again. A server that never told its time is not asked. */
  get isStale(): boolean {
    return this.#toldSec !== undefined && this.#clock.nowMs() - this.#toldAtMs > READING_MS
  }

  /** A lifetime in the form that the server reads: relative up to 30 days, a date above. */
  exptimeOf(ttlSec: number): number {
    return isDate(ttlSec) ? Math.min(this.#nowSec() + ttlSec, LAST_DATE_SEC) : ttlSec
  }

  /** Our own wall clock stands in for a server that does not tell its time. */
  #nowSec(): number {
    if (this.#toldSec === undefined) return Math.floor(this.#clock.wallMs() / 1000)
    return this.#toldSec + Math.ceil((this.#clock.nowMs() - this.#toldAtMs) / 1000)
  }
}

/** Whether a lifetime travels as a date. */
export const isDate = (ttlSec: number): boolean => ttlSec > RELATIVE_LIMIT_SEC
