import type { Context } from 'koa'
import { MisuseError, ReadOnlyError } from '../../errors.js'
import type { HeldText } from '../../request/held-text.js'
import { own, protect } from '../../session/protect.js'
import { settle } from '../http/settle.js'
import { lifetimeSecOf, withoutOwnFields } from './koa-form.js'
import type { KoaRequest } from './koa-request.js'
import type { KoaSession } from './koa-session.js'

/** Requests that have come to latchkey's middleware. */
export const served = new WeakMap<Context, KoaRequest>()

/** Requests whose `ctx.session` was looked at by a middleware above. */
const lookedAt = new WeakSet<Context>()

/** One request's store, as koa-session sees it, and makes it at the first look at `ctx.session`: its calls are those of a HeldText. */
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
    return request && settle(request.held.read(sid), undefined)
  }

  /** `maxAgeMs` is no number where the cookie ends with the browser. */
  async set(sid: string, session: object, maxAgeMs: unknown): Promise<void> {
    const request = served.get(this.ctx)
    if (request === undefined) return
    // At once: what is changed while the call waits for its turn is not part of it.
    const { held, isLast } = request
    const { manager } = held
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
    const { held, inUse: { isRegenerating } } = request
    if (isRegenerating || held.readOnly !== 'retired') assertChangeable(held)
    await held.calls.inTurn(async () => {
      if (!isRegenerating) await end(held, sid)
      // koa-session's regenerate() ends the old session first; here it ends when the new one is stored.
      else if (held.sid === sid) await held.setAside(sid)
    })
  }
}

async function end(held: HeldText<object>, sid: string): Promise<void> {
  // Of a new session nothing was stored; but what it was to replace ends with it.
  if (held.sid === sid || held.textOf(sid) !== '' || held.replacedSid !== undefined) await held.destroy(sid)
}

function assertChangeable({ readOnly }: HeldText<object>): void {
  if (readOnly !== undefined) throw new ReadOnlyError(readOnly)
}

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
