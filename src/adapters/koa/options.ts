import type { Context } from 'koa'
import type { CreateSessionOptions } from 'koa-session'
import { checkedIds } from '../http/checked-id.js'
import { DEFAULT_CLIENT_GONE_MS, type LockOptions } from '../http/options.js'
import { formOf } from './koa-store.js'
import type { Form } from '../../request/held-text.js'
import { sharedCookieOf } from '../http/shared-cookie.js'
import type { SessionManager } from '../../session/session-manager.js'
import { phpSettings } from './php-session.js'

/** koa-session's options, but for `store` and `ContextStore`, and these. */
export interface LatchkeyOptions extends Omit<CreateSessionOptions, 'store' | 'ContextStore'>, LockOptions<Context> {}

/** What koa-session is given, and what is latchkey's own. */
export interface KoaSettings {
  readonly manager: SessionManager
  readonly form: Form<object>
  readonly isReadOnly: (ctx: Context) => boolean
  readonly labelOf: (ctx: Context) => string
  readonly clientGoneMs: number
  /** koa-session's `autoCommit`. */
  readonly isCommitting: boolean
  /** The name of the cookie. */
  readonly key: string
  readonly rest: CreateSessionOptions
}

/** Of options that are right (checkOptions). */
export function koaSettingsOf(options: LatchkeyOptions): KoaSettings {
  const { manager, readOnly, label, clientGoneMs = DEFAULT_CLIENT_GONE_MS, ...rest } = options
  const createSid = (): string => `${rest.prefix ?? ''}${manager.createSid()}`
  const php = sharedCookieOf(manager)
  const genid = checkedIds<[Context]>({ name: 'genid', make: rest.genid }, createSid)
  return {
    manager,
    form: formOf(manager),
    isReadOnly: (ctx) => readOnly?.(ctx) === true,
    labelOf: label ?? ((ctx) => `${ctx.method} ${ctx.path}`),
    clientGoneMs,
    isCommitting: rest.autoCommit ?? true,
    key: php?.name ?? rest.key ?? 'koa.sess',
    rest: { ...(php && phpSettings(php)), ...rest, genid },
  }
}
