import type { Context } from 'koa'
import type { CreateSessionOptions } from 'koa-session'
import { checkedIds } from '../http/checked-id.js'
import type { SessionManager } from '../../session/session-manager.js'

/** koa-session's options, but for `store` and `ContextStore`, and these. */
export interface LatchkeyOptions extends Omit<CreateSessionOptions, 'store' | 'ContextStore'> {
  /** Where the sessions are, and how they are locked. One per process. */
  readonly manager: SessionManager
  /**
   * Whether a request only reads its session: without waiting and without a lock; an attempt to change it throws
   * LATCHKEY_READ_ONLY. Default: none does.
   */
  readonly readOnly?: (ctx: Context) => boolean
  /** What the holder of a lock calls itself, for whoever waits for it. Default: method and path. */
  readonly label?: (ctx: Context) => string
  /** Milliseconds that a handler may hold the session of a client that has gone. 0 to 3 600 000. Default 10 000. */
  readonly graceMs?: number
}

/** What koa-session is given, and what is latchkey's own. */
export interface Settings {
  readonly manager: SessionManager
  readonly isReadOnly: (ctx: Context) => boolean
  readonly labelOf: (ctx: Context) => string
  readonly graceMs: number
  /** koa-session's `autoCommit`. */
  readonly isCommitting: boolean
  /** The name of the cookie. */
  readonly key: string
  readonly rest: CreateSessionOptions
}

/** Of options that are right (checkOptions). */
export function settingsOf(options: LatchkeyOptions): Settings {
  const { manager, readOnly, label, graceMs = 10_000, ...rest } = options
  const createSid = (): string => `${rest.prefix ?? ''}${manager.createSid()}`
  const genid = checkedIds<[Context]>({ name: 'genid', make: rest.genid }, createSid)
  return {
    manager,
    isReadOnly: (ctx) => readOnly?.(ctx) === true,
    labelOf: label ?? ((ctx) => `${ctx.method} ${ctx.path}`),
    graceMs,
    isCommitting: rest.autoCommit ?? true,
    key: rest.key ?? 'koa.sess',
    rest: { ...rest, genid },
  }
}
