import type { Context } from 'koa'
import type { CreateSessionOptions } from 'koa-session'
import { InvalidOptionError } from '../../errors.js'
import { checkedIds } from '../http/checked-id.js'
import { SessionManager } from '../../session/session-manager.js'

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

const MAX_GRACE_MS = 3_600_000

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with the value and the limit. */
export function settingsOf(options: LatchkeyOptions): Settings {
  const { manager, readOnly, label, graceMs = 10_000, ...rest } = options
  if (!(manager instanceof SessionManager)) {
    throw new InvalidOptionError('manager is missing: app.use(latchkey({ manager: new SessionManager(), ... }, app)).')
  }
  for (const name of ['store', 'ContextStore']) {
    if (!(name in rest)) continue
    throw new InvalidOptionError(`${name} cannot be given: the sessions are kept by the manager (its savePath).`)
  }
  if (typeof graceMs !== 'number' || !(graceMs >= 0 && graceMs <= MAX_GRACE_MS)) {
    throw new InvalidOptionError(`graceMs is ${String(graceMs)}; it must be from 0 to ${String(MAX_GRACE_MS)}.`)
  }
  for (const [name, value] of Object.entries({ readOnly, label })) {
    if (value === undefined || typeof value === 'function') continue
    throw new InvalidOptionError(`${name} is ${String(value)}; it must be a function of the context.`)
  }
  // koa-session's own ids come from the process's memory: resumed twice from a snapshot, it makes the same ones again.
  const make = rest.genid ?? (() => `${rest.prefix ?? ''}${manager.createSid()}`)
  const genid = checkedIds<[Context]>({ name: 'genid', make })
  return {
    manager,
    isReadOnly: (ctx) => readOnly?.(ctx) === true,
    labelOf: label ?? ((ctx) => `${ctx.method} ${ctx.path}`),
    graceMs,
    isCommitting: rest.autoCommit ?? true,
    key: rest.key ?? 'koa.sess',
    rest: genid === undefined ? rest : { ...rest, genid },
  }
}
