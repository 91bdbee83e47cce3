import type { Context } from 'koa'
import type { CreateSessionOptions } from 'koa-session'
import { checkedIds } from '../http/checked-id.js'
import type { LockOptions } from '../http/options.js'
import { formOf } from './koa-form.js'
import { type SharedCookie, sharedCookieOf } from '../http/shared-cookie.js'

/** koa-session's options, but for `store` and `ContextStore`, and these. */
export interface LatchkeyOptions extends Omit<CreateSessionOptions, 'store' | 'ContextStore'>, LockOptions<Context> {}

/** What koa-session is given, and what is latchkey's own. */
export type KoaSettings = ReturnType<typeof koaSettingsOf>

/** Of options that are right (checkOptions). */
export function koaSettingsOf(options: LatchkeyOptions) {
  const { manager, readOnly, label = labelOf, clientGoneMs, ...rest } = options
  const createSid = (): string => `${rest.prefix ?? ''}${manager.createSid()}`
  const php = sharedCookieOf(manager)
  const genid = checkedIds('genid', rest.genid, createSid)
  const ofKoaSession: CreateSessionOptions = { ...(php && phpSettings(php)), ...rest, genid }
  const key = php?.name ?? rest.key ?? 'koa.sess'
  const isCommitting = rest.autoCommit ?? true
  return { manager, form: formOf(manager), readOnly, label, clientGoneMs, isCommitting, key, ofKoaSession }
}

const labelOf = ({ method, path }: Context): string => `${method} ${path}`

/**
 * koa-session with PHP's cookie, which is percent-encoded and not signed. It is set with every response, and the session
 * prolonged as PHP prolongs it, also where nothing was changed.
 */
function phpSettings({ name, inMs }: SharedCookie): CreateSessionOptions {
  const options = { ...inMs, signed: false, overwrite: true }
  return {
    ...options,
    key: name,
    rolling: true,
    maxAge: inMs.maxAge ?? 'session',
    externalKey: {
      get: (ctx: Context) => decoded(ctx.cookies.get(name, { signed: false }) ?? ''),
      set: (ctx: Context, id: string) => void ctx.cookies.set(name, encodeURIComponent(id), options),
    },
  }
}

/** What cannot be decoded is no id, and no key can be made of it. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
