import type { SessionManager } from '../../session/session-manager.js'
import type { AnySession, Ttl } from './session-record.js'

/** What adapters have of their own, beside the options of their framework's sessions. */
export interface LockOptions<Request> {
  /** Where the sessions are, and how they are locked. One per process. */
  readonly manager: SessionManager
  /**
   * Whether a request only reads its session: it neither waits nor locks, stores and prolongs nothing, and sets no
   * session cookie; a change of the session throws LATCHKEY_READ_ONLY. One flight. Default: none does, but for what is
   * marked: in Express by the middleware `readOnly`, and polls of socket.io; in Fastify routes with
   * `config: { session: 'readOnly' }`, and WebSocket upgrades.
   */
  readonly readOnly?: (request: Request) => boolean
  /**
   * What the holder of a lock calls itself, for whoever waits for it. Default: method and path, without the query; in
   * Fastify method and route, `GET /cart/:id`.
   */
  readonly label?: (request: Request) => string
  /** Milliseconds that a handler may go on holding the session when its client has gone. 0 to 3 600 000. Default 10 000. */
  readonly clientGoneMs?: number
}

export const DEFAULT_CLIENT_GONE_MS = 10_000

/** For how long sessions are kept that carry their cookie. */
export interface KeepingOptions<S extends AnySession> {
  /**
   * Seconds that a session without a cookie expiry lives, or a function that says them; 0 or less destroys it.
   * Default: the manager's lifetimeSec if given, else 86 400.
   */
  readonly ttl?: Ttl<S>
  /**
   * Seconds within which a session that a request left as it was is not prolonged again: one flight that only lets go.
   * It may then end that much earlier than its `ttl` says. Of use with `resave: false` in Express, with `rolling` in
   * Fastify. At least 0. Default 0: always prolonged.
   */
  readonly touchAfter?: number
  /** `true`: a session that a request left as it was is never prolonged. Default false. */
  readonly disableTouch?: boolean
}
