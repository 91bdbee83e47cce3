import type { IncomingMessage } from 'node:http'
import type { SessionOptions } from 'express-session'
import type { LockOptions } from '../http/options.js'
import type { KeepingOptions } from '../http/session-record.js'
import type { AnySession } from './bare-store.js'

/** express-session's options, but for `store`, and these. */
export interface LatchkeyOptions extends Omit<SessionOptions, 'store' | 'secret'>, LockOptions<IncomingMessage>, KeepingOptions<AnySession> {
  /** As of express-session; `false` with the manager's `php`: PHP's cookie is not signed. */
  readonly secret: SessionOptions['secret'] | false
}
