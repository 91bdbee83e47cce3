import type { IncomingMessage } from 'node:http'
import type { SessionOptions } from 'express-session'
import type { SessionManager } from '../../session/session-manager.js'
import type { Ttl } from './bare-store.js'

/** express-session's options, but for `store`, and these. */
export interface LatchkeyOptions extends Omit<SessionOptions, 'store'> {
  /** Where the sessions are, and how they are locked. One per process. */
  readonly manager: SessionManager
  /**
   * Seconds that a session without a cookie expiry lives, or a function that says them; 0 or less destroys it.
   * Default: the manager's lifetimeSec if given, else 86 400.
   */
  readonly ttl?: Ttl
  /**
   * What the holder of a lock calls itself, for whoever waits for it. Default: method and path, without the query.
   */
  readonly label?: (req: IncomingMessage) => string
  /**
   * Whether a request only reads its session: it neither waits nor locks, stores and prolongs nothing, and sets no
   * session cookie; a change of the session throws LATCHKEY_READ_ONLY. One flight. Default: none does, but for routes
   * marked with `readOnly`, and polls of socket.io.
   */
  readonly readOnly?: (req: IncomingMessage) => boolean
  /**
   * Seconds within which a session that a request left as it was is not prolonged again: one flight that only lets go.
   * It may then end that much earlier than its `ttl` says. Needs `resave: false`. At least 0. Default 0: always prolonged.
   */
  readonly touchAfter?: number
  /** `true`: a session that a request left as it was is never prolonged. Default false. */
  readonly disableTouch?: boolean
  /** Milliseconds that a handler may go on holding the session when its client has gone. 0 to 3 600 000. Default 10 000. */
  readonly graceMs?: number
}
