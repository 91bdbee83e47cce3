import type session from 'express-session'
// By name: where default imports of CommonJS are not allowed, the options keep their types.
import type { SessionOptions } from 'express-session'
import type { LockOptions } from '../http/options.js'
import type { KeepingOptions } from '../http/session-record.js'
import type { AnySession } from './bare-store.js'

/** What express-session's middleware is called with: Express has types of its own, which are not needed here. */
export type Request = Parameters<ReturnType<typeof session>>[0]
export type Response = Parameters<ReturnType<typeof session>>[1]
export type Next = (error?: unknown) => void

/**
 * express-session's options, but for `store`, and these. `label` and `readOnly` get Express's request; where the middleware is socket.io's
 * (`io.engine.use`) it is Node's, without what Express adds.
 */
export interface LatchkeyOptions extends Omit<SessionOptions, 'store' | 'secret'>, LockOptions<Request>, KeepingOptions<AnySession> {
  /** As of express-session; `false` with the manager's `php`: PHP's cookie is not signed. */
  readonly secret: SessionOptions['secret'] | false
}
