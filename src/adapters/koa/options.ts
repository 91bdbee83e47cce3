import type { Context } from 'koa'
import type { CreateSessionOptions } from 'koa-session'
import { checkedIds } from '../http/checked-id.js'
import type { LockOptions } from '../http/options.js'
import { formOf } from './koa-form.js'
import { sharedCookieOf } from '../http/shared-cookie.js'
import { phpSettings } from './php-session.js'

/** koa-session's options, but for `store` and `ContextStore`, and these. */
export interface LatchkeyOptions extends Omit<CreateSessionOptions, 'store' | 'ContextStore'>, LockOptions<Context> {}

/** What koa-session is given, and what is latchkey's own. */
export type KoaSettings = ReturnType<typeof koaSettingsOf>

/** Of options that are right (checkOptions). */
export function koaSettingsOf(options: LatchkeyOptions) {
  const { manager, readOnly, label = labelOf, clientGoneMs, ...rest } = options
  const createSid = (): string => `${rest.prefix ?? ''}${manager.createSid()}`
  const php = sharedCookieOf(manager)
  const genid = checkedIds<[Context]>({ name: 'genid', make: rest.genid }, createSid)
  const ofKoaSession: CreateSessionOptions = { ...(php && phpSettings(php)), ...rest, genid }
  const key = php?.name ?? rest.key ?? 'koa.sess'
  const isCommitting = rest.autoCommit ?? true
  return { manager, form: formOf(manager), readOnly, label, clientGoneMs, isCommitting, key, ofKoaSession }
}

const labelOf = ({ method, path }: Context): string => `${method} ${path}`
