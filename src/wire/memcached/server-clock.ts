import type { Clock } from '../../system/clock.js'

/** memcached reads an expiration time above this as a date (protocol.txt, "Expiration times"). */
const RELATIVE_LIMIT_SEC = 30 * 24 * 3600

/** The last date, in 2038: the server keeps dates as signed 32-bit numbers. */
const LAST_DATE_SEC = 0x7fffffff

/**
 * How long a reading of the server's clock may be used. Clocks drift apart, and a suspended process does not notice.
 */
const READING_MS = 60_000

/**
 * The clock of one server, as `STAT time` told it. Lifetimes of more than 30 days are sent as dates, and the server
 * reads them by its own clock: with a date by our clock, a session would end at once where the two clocks are a month
 * apart.
 */
export class ServerClock {
  #toldSec: number | undefined
  #toldAtMs = 0

  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Sets the clock to the time that the server has told, in seconds since 1970. */
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

  /** The server's time; the time of our own wall clock where the server never told its time. */
  #nowSec(): number {
    if (this.#toldSec === undefined) return Math.floor(this.#clock.wallMs() / 1000)
    return this.#toldSec + Math.ceil((this.#clock.nowMs() - this.#toldAtMs) / 1000)
  }
}

/** Whether a lifetime is sent as a date. */
export const isDate = (ttlSec: number): boolean => ttlSec > RELATIVE_LIMIT_SEC
