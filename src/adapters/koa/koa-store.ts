import type { Context } from 'koa'
import { MisuseError, ReadOnlyError } from '../../errors.js'
import type { Form, HeldText } from '../../request/held-text.js'
import { own, ownAll, protect } from '../../session/protect.js'
import type { SessionManager } from '../../session/session-manager.js'
import { settle } from '../http/settle.js'
import type { KoaSession } from './koa-session.js'
import { assertFitsKoa, withoutOwnFields } from './php-session.js'

/** Seconds that a session lives whose cookie has no end, where the manager was given no `lifetimeSec`. */
const DEFAULT_LIFETIME_SEC = 86_400

/** One request's session, as the store of it sees that. */
export interface Stored {
  readonly manager: SessionManager
  readonly held: HeldText<object>
  /** `set` lets go. */
  readonly isLast: boolean
  /** `destroy` comes from regenerate(). */
  readonly isRegenerating: boolean
  /** What was read of a session that is shared with PHP: koa-session makes one of its own of it. */
  origin: object | null
}

/** Requests that have come to latchkey's middleware. */
export const served = new WeakMap<Context, Stored>()

/** Requests whose `ctx.session` was looked at by a middleware above. */
const lookedAt = new WeakSet<Context>()

/**
 * One request's store, as koa-session sees it, and makes it at the first look at `ctx.session`: `get` takes the lock (or
 * the first `set` of a new session does), and the last `set` of the request lets go in the flight that stores.
 */
export class KoaStore {
  private isRead = false

  constructor(private readonly ctx: Context) {
    if (!('req' in ctx)) throw new MisuseError(NO_REQUEST)
    if (!served.has(ctx)) lookedAt.add(ctx)
  }

  get(sid: string): Promise<object | null> | undefined {
    const request = served.get(this.ctx)
    if (this.isRead) throw new MisuseError(TWO_SESSIONS)
    this.isRead = true
    const reading = request && settle(request.held.read(sid), undefined)
    if (request?.manager.php === undefined) return reading
    return reading?.then((found) => (request.origin = found))
  }

  /** `maxAgeMs` is no number where the cookie ends with the browser. */
  async set(sid: string, session: object, maxAgeMs: unknown): Promise<void> {
    const request = served.get(this.ctx)
    if (request === undefined) return
    // At once: what is changed while the call waits for its turn is not part of it.
    const { held, manager, isLast } = request
    assertChangeable(held)
    const text = manager.encode(sid, manager.php === undefined ? session : withoutOwnFields(session))
    const lifetimeSec = lifetimeSecOf(manager, maxAgeMs)
    await held.calls.inTurn(async () => {
      // What was found was not taken for a session (`valid`, or its time is over): this is another one.
      if (held.sid !== undefined && held.sid !== sid) await held.letGo()
      if (lifetimeSec > 0) await held.write(sid, text, lifetimeSec, isLast)
      else await end(held, sid)
    })
  }

  async destroy(sid: string): Promise<void> {
    const request = served.get(this.ctx)
    if (request === undefined) return
    const { held, isRegenerating } = request
    if (isRegenerating || held.readOnly !== 'retired') assertChangeable(held)
    await held.calls.inTurn(async () => {
      if (!isRegenerating) await end(held, sid)
      // koa-session's regenerate() ends the old session first; here it ends when the new one is stored.
      else if (held.sid === sid) await held.setAside(sid)
    })
  }
}

/** As koa-session stores its sessions. */
export const formOf = (manager: SessionManager): Form<object> => ({
  decode: (sid, text) => {
    const data = ownAll(manager.decode(sid, text))
    if (manager.php !== undefined) assertFitsKoa(data)
    return data
  },
  keptSec: (session) => leftSec(manager, session),
})

async function end(held: HeldText<object>, sid: string): Promise<void> {
  // Of a new session nothing was stored; but what it was to replace ends with it.
  if (held.sid === sid || held.textOf(sid) !== '' || held.replacedSid !== undefined) await held.destroy(sid)
}

function assertChangeable({ readOnly }: HeldText<object>): void {
  if (readOnly !== undefined) throw new ReadOnlyError(readOnly)
}

/** How long a session has left, if it says so: for no longer is it kept alive. What is over, koa-session has yet to see. */
function leftSec(manager: SessionManager, session: object): number | undefined {
  if (manager.php !== undefined) return manager.givenLifetimeSec
  const endsMs = '_expire' in session ? session._expire : undefined
  return typeof endsMs === 'number' ? Math.max(lifetimeSecOf(manager, endsMs - Date.now()), 1) : undefined
}

const lifetimeSecOf = (manager: SessionManager, maxAgeMs: unknown): number =>
  typeof maxAgeMs === 'number' && manager.php === undefined ? Math.ceil(maxAgeMs / 1000) : (manager.givenLifetimeSec ?? DEFAULT_LIFETIME_SEC)

/** What a middleware above was shown is no session of this request: it was not read yet. */
export function endEarlyLook(ctx: Context): void {
  if (!lookedAt.has(ctx)) return
  const early: KoaSession | null = ctx['session']
  const refused = (): MisuseError => new MisuseError(TOO_EARLY)
  if (early === null || early.populated || early._requireSave) throw refused()
  protect(own(early), refused)
}

export const TWO_SESSIONS =
  'Another session middleware runs below latchkey in the same request, and ctx.session is one: take one of them out.'
const NO_REQUEST =
  'ctx.session belongs to a request. To put something in its place for all of them (in a test, say): ' +
  "Object.defineProperty(app.context, 'session', { value, writable: true })."
const TOO_EARLY =
  'ctx.session was changed by a middleware above latchkey, before the session was read: nothing of it would be ' +
  'stored. Mount latchkey above that middleware.'
