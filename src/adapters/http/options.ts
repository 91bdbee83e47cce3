import type { SessionManager } from '../../session/session-manager.js'

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
