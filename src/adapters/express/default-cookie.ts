import session, { type SessionData, type SessionOptions } from 'express-session'

type Cookie = SessionData['cookie']
type Request = Parameters<session.Store['createSession']>[0]

/** Cookies that are not stored. */
const madeUp = new WeakSet<object>()

/**
 * The cookie of a session that was stored without one, as far as the options say it: `manager.run()` under an id that
 * had no session, and other products, know nothing of cookies.
 */
export function defaultCookie(options: SessionOptions['cookie']): Cookie {
  const cookie: Cookie = Reflect.construct(session.Cookie, [typeof options === 'function' ? undefined : options])
  // Without a request, or over an insecure connection, it is this that express-session makes of 'auto'.
  if (cookie.secure === 'auto') cookie.secure = false
  if (String(cookie.sameSite) === 'auto') cookie.sameSite = 'lax'
  madeUp.add(cookie)
  return cookie
}

/** Within a request express-session itself knows the cookie: its options may be a function of the request, or 'auto'. */
export function completeCookie(req: Request, data: SessionData): void {
  const given: object = req
  if (!madeUp.has(data.cookie) || !('headers' in given)) return
  // express-session makes a whole new session; not in place of the one that is about to be made of `data`.
  const aside: Request = Object.create(req)
  req.sessionStore.generate(aside)
  data.cookie = { ...aside.session.cookie }
}
