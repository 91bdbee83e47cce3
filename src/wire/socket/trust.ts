/**
 * How long a version may be trusted that came through a proxy.
 *
 * A server behind a proxy restarts, and nobody here sees it: the connection to the proxy stays. The server then counts
 * its versions from 1 again, and one that was read before could be that of somebody else's record. So a version is sent
 * only while it is young. A server that stays down for longer than a version is young, and than the proxy holds a command
 * back, can then never be sent an old one. Without this rule a request that held its session while the server was
 * restarted would overwrite what was stored since.
 *
 * An older version costs a round trip: record and lock are read again, and count only with the same stamp and token.
 *
 * Errors are no sign to go by: where one of several servers is dead they come all the time, and whoever distrusted what
 * it has read from the others would never come to an end with their sessions.
 */
export class TrustByAge {
  readonly #mostAgeMs: number

  /** @param flightMs the deadline of a flight: what has just been read again is always younger when it is answered. */
  constructor(flightMs: number) {
    this.#mostAgeMs = flightMs
  }

  /** @param readAtMs when the reading of the oldest version was sent; Infinity where there is none. */
  isTrusted(readAtMs: number, nowMs: number): boolean {
    return nowMs - readAtMs <= this.#mostAgeMs
  }
}
