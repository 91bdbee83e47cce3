import type { Context } from 'koa'
import type { CreateSessionOptions } from 'koa-session'
import { inherit } from '../../php/memory.js'
import { assertNamesAreFree, type SharedCookie } from '../http/shared-cookie.js'

/** What koa-session writes beside the data, for itself. */
const OWN_FIELDS = ['_expire', '_maxAge', '_session'] as const

/** What koa-session, and latchkey, put on every session. */
const OWN_NAMES: ReadonlySet<string> = new Set([
  ...[...OWN_FIELDS, '_requireSave', 'isNew', 'length', 'populated', 'maxAge', 'externalKey', 'save', 'regenerate', 'release'],
  ...['manuallyCommit', 'commit', 'toJSON', 'inspect', 'constructor'],
])

/**
 * koa-session with PHP's cookie, which is percent-encoded and not signed. It is set with every response, and the session
 * prolonged as PHP prolongs it, also where nothing was changed.
 */
export function phpSettings({ name, inMs }: SharedCookie): CreateSessionOptions {
  const options = { ...inMs, signed: false, overwrite: true }
  return {
    ...options,
    key: name,
    rolling: true,
    maxAge: inMs.maxAge ?? 'session',
    externalKey: {
      get: (ctx: Context) => decoded(ctx.cookies.get(name, { signed: false }) ?? ''),
      set: (ctx: Context, id: string) => {
        ctx.cookies.set(name, encodeURIComponent(id), options)
      },
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

/** A session of PHP's, before koa-session makes one of its own of it. @throws MisuseError LATCHKEY_MISUSE */
export function assertFitsKoa(data: object): void {
  assertNamesAreFree(data, (name) => OWN_NAMES.has(name))
}

/** All that PHP keeps in the session: koa-session leaves out what begins with an underscore, and it would be lost. */
export function phpData(session: object, origin: object | null): Record<string, unknown> {
  const fields = Object.entries(session).filter(([name, value]) => !OWN_NAMES.has(name) && typeof value !== 'function')
  const data = Object.fromEntries(fields) as Record<string, unknown>
  if (origin !== null) inherit(data, origin)
  return data
}

/** What koa-session wants to be stored, without what is its own. */
export function withoutOwnFields(data: object): object {
  for (const name of OWN_FIELDS) Reflect.deleteProperty(data, name)
  return data
}
