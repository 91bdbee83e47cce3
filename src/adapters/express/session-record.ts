import type { SessionData } from 'express-session'
import { UndecodableError } from '../../errors.js'
import type { SessionManager } from '../../session/session-manager.js'

/** Seconds that a session without a cookie expiry lives, where no `ttl` is given: what session stores have agreed on. */
const DEFAULT_TTL_SEC = 86_400

/** What the adapter needs to know of a session; applications add to SessionData as they please. */
export type AnySession = Pick<SessionData, 'cookie'>

/** Seconds, or a function that says them for a session. */
export type Ttl = number | ((session: AnySession) => number)

/** How express-session's session objects become records, and for how long. */
export class SessionRecord {
  constructor(
    private readonly manager: SessionManager,
    private readonly ttl: Ttl | undefined,
  ) {}

  encode(sid: string, session: AnySession): string {
    // A plain copy: serializers other than JSON know neither express-session's Session nor its Cookie.
    return this.manager.encode(sid, { ...session, cookie: plain(session.cookie) })
  }

  decode(sid: string, text: string): SessionData {
    const data = this.manager.decode(sid, text)
    if (isSessionData(data)) return data
    throw new UndecodableError('The stored record is not a session of express-session: it has no cookie.')
  }

  /** Whole seconds from now; 0 or less when it is over. */
  ttlSec(session: AnySession): number {
    const { expires } = session.cookie
    if (expires !== undefined && expires !== null) return Math.ceil((new Date(expires).getTime() - Date.now()) / 1000)
    if (typeof this.ttl === 'function') return Math.ceil(this.ttl(session))
    return this.ttl ?? this.manager.givenLifetimeSec ?? DEFAULT_TTL_SEC
  }

  /** The data without the cookie: what express-session compares to see whether a session was modified. */
  fingerprint(sid: string, session: AnySession): string {
    return this.manager.encode(sid, { ...session, cookie: undefined })
  }
}

function isSessionData(data: object): data is SessionData {
  return 'cookie' in data && typeof data.cookie === 'object' && data.cookie !== null
}

function plain(cookie: AnySession['cookie']): unknown {
  return 'toJSON' in cookie && typeof cookie.toJSON === 'function' ? (cookie.toJSON() as unknown) : cookie
}
