import type { Form } from '../../request/held-text.js'
import { ownAll } from '../../session/protect.js'
import type { SessionManager } from '../../session/session-manager.js'
import { assertFitsKoa } from './php-session.js'

/** Seconds that a session lives whose cookie has no end, where the manager was given no `lifetimeSec`. */
const DEFAULT_LIFETIME_SEC = 86_400

/** As koa-session stores its sessions. */
export const formOf = (manager: SessionManager): Form<object> => ({
  decode: (sid, text) => {
    const data = ownAll(manager.decode(sid, text))
    if (manager.php !== undefined) assertFitsKoa(data)
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
