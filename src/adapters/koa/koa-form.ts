import { inherit } from '../../php/memory.js'
import type { Form } from '../../request/held-text.js'
import { ownAll } from '../../session/protect.js'
import type { SessionManager } from '../../session/session-manager.js'
import { assertNamesAreFree } from '../http/shared-cookie.js'

/** Seconds that a session lives whose cookie has no end, where the manager was given no `lifetimeSec`. */
const DEFAULT_LIFETIME_SEC = 86_400

/** What koa-session writes beside the data, for itself. */
const OWN_FIELDS = ['_expire', '_maxAge', '_session'] as const

/** What koa-session, and latchkey, put on every session. */
const OWN_NAMES: ReadonlySet<string> = new Set([
  ...[...OWN_FIELDS, '_requireSave', 'isNew', 'length', 'populated', 'maxAge', 'externalKey', 'save', 'regenerate', 'release'],
  ...['manuallyCommit', 'commit', 'toJSON', 'inspect', 'constructor'],
])

/** As koa-session stores its sessions. */
export const formOf = (manager: SessionManager): Form<object> => ({
  decode: (sid, text) => {
    const data = ownAll(manager.decode(sid, text))
    if (manager.php !== undefined) assertNamesAreFree(data, (name) => OWN_NAMES.has(name))
    return data
  },
  keptSec: (session) => leftSec(manager, session),
})

/** How long a session has left, if it says so: for no longer is it kept alive. What is over, koa-session has yet to see. */
function leftSec(manager: SessionManager, session: object): number | undefined {
  if (manager.php !== undefined) return manager.givenLifetimeSec
  const endsMs = '_expire' in session ? session._expire : undefined
  return typeof endsMs === 'number' ? Math.max(lifetimeSecOf(manager, endsMs - Date.now()), 1) : undefined
}

export const lifetimeSecOf = (manager: SessionManager, maxAgeMs: unknown): number =>
  typeof maxAgeMs === 'number' && manager.php === undefined ? Math.ceil(maxAgeMs / 1000) : (manager.givenLifetimeSec ?? DEFAULT_LIFETIME_SEC)

/** All that PHP keeps in the session: koa-session leaves out what begins with an underscore, and it would be lost. */
export function phpData(session: object, origin: object | null): Record<string, unknown> {
  const fields = Object.entries(session).filter(([name, value]) => !OWN_NAMES.has(name) && typeof value !== 'function')
  const data = Object.fromEntries(fields) as Record<string, unknown>
  if (origin !== null) inherit(data, origin)
  return data
}

/** What koa-session wants to be stored, as PHP knows it. */
export function withoutOwnFields(data: object): object {
  for (const name of OWN_FIELDS) Reflect.deleteProperty(data, name)
  return data
}
