import session, { type SessionData, type SessionOptions } from 'express-session'
import { MisuseError } from '../../errors.js'
import { inherit } from '../../php/memory.js'
import type { SessionManager } from '../../session/session-manager.js'
import { CommonStore } from '../http/common-store.js'
import { hasCookie, type KeepingOptions, lacksCookie, type TtlOf, SessionRecord } from '../http/session-record.js'

type Request = Parameters<session.Store['createSession']>[0]

/** As of `req.session`: what applications add to SessionData may be in it. */
export type AnySession = Pick<SessionData, 'cookie'> & Partial<SessionData>

/** Seconds, or a function that says them for a session. */
export type Ttl = TtlOf<AnySession>

/** What express-session's sessions need to become records. */
type Storing = KeepingOptions<AnySession> & Pick<SessionOptions, 'cookie'>

/** How express-session's sessions become records. */
export function expressRecordOf(manager: SessionManager, storing: Storing): SessionRecord<AnySession, SessionData> {
  const isSession = (data: object): data is SessionData => hasCookie(data)
  const asSession = (data: object): SessionData | undefined => {
    if (lacksCookie(data)) return { ...data, cookie: defaultCookie(storing.cookie) }
    return isSession(data) ? data : undefined
  }
  return new SessionRecord(manager, storing, asSession, (name) => OWN_NAMES.has(name) || name in session.Session.prototype)
}

/**
 * express-session sets `generate` on the object that it is given as its `store`. Given this one, which takes no lock in
 * `get`, it would run, and lose what other requests store: the mistake is caught when the middleware is made.
 */
export function refuseToBeTheStore(store: BareStore): void {
  Object.defineProperty(store, 'generate', {
    set() {
      throw new MisuseError(
        'latchkey({...}).store is for code outside of requests and cannot be express-session\'s "store": its requests would ' +
          'not lock. Write app.use(latchkey({ manager, secret, ... })) instead of app.use(session(...)).',
      )
    },
  })
}

/** express-session's store is one that `latchkey(...).store` is as well, for code outside of requests. */
export class BareStore extends CommonStore<AnySession, SessionData> {
  /** express-session makes its Session of what `get` has given. */
  createSession(req: Request, data: SessionData): ReturnType<session.Store['createSession']> {
    completeCookie(req, data)
    const created = Reflect.apply(ofExpressSession.createSession, this, [req, data])
    this.sessions.follow(created, data)
    inherit(created, data)
    return created
  }

  /** express-session's own: the session of an id, as `get` reads it. */
  load(...given: Parameters<session.Store['load']>): void {
    Reflect.apply(ofExpressSession.load, this, given)
  }

  /** express-session's own: a new session in the place of the request's. */
  regenerate(...given: Parameters<session.Store['regenerate']>): void {
    Reflect.apply(ofExpressSession.regenerate, this, given)
  }
}

/** What express-session, and latchkey, put on every session. */
const OWN_NAMES: ReadonlySet<string> = new Set(['id', 'req', 'cookie', 'release'])

const ofExpressSession = session.Store.prototype

/** Cookies that are not stored. */
const madeUp = new WeakSet<object>()

/**
 * The cookie of a session that was stored without one, as far as the options say it: `manager.run()` under an id that
 * had no session, and other products, know nothing of cookies.
 */
export function defaultCookie(options: SessionOptions['cookie']): SessionData['cookie'] {
  const cookie: SessionData['cookie'] = Reflect.construct(session.Cookie, [typeof options === 'function' ? undefined : options])
  // Without a request, or over an insecure connection, it is this that express-session makes of 'auto'.
  if (cookie.secure === 'auto') cookie.secure = false
  if (String(cookie.sameSite) === 'auto') cookie.sameSite = 'lax'
  madeUp.add(cookie)
  return cookie
}

/** Within a request express-session itself knows the cookie: its options may be a function of the request, or 'auto'. */
function completeCookie(req: Request, data: SessionData): void {
  const given: object = req
  if (!madeUp.has(data.cookie) || !('headers' in given)) return
  // express-session makes a whole new session; not in place of the one that is about to be made of `data`.
  const aside: Request = Object.create(req)
  req.sessionStore.generate(aside)
  data.cookie = { ...aside.session.cookie }
}
