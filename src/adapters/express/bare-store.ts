import session, { type SessionData, type SessionOptions } from 'express-session'
import { MisuseError } from '../../errors.js'
import type { SessionManager } from '../../session/session-manager.js'
import type { BareSessions } from '../http/bare-sessions.js'
import { toHttpError } from '../http/http-error.js'
import { hasCookie, lacksCookie, type Ttl as TtlOf, SessionRecord } from '../http/session-record.js'
import { type Callback, settle } from '../http/settle.js'
import { completeCookie, defaultCookie } from './default-cookie.js'

/** What the adapter needs to know of a session; applications add to SessionData as they please. */
export type AnySession = Pick<SessionData, 'cookie'>

/** Seconds, or a function that says them for a session. */
export type Ttl = TtlOf<AnySession>

export type ExpressRecord = SessionRecord<AnySession, SessionData>

/** What express-session's sessions need to become records. */
export interface Storing {
  readonly ttl: Ttl | undefined
  readonly touchAfterSec: number
  readonly cookie: SessionOptions['cookie']
}

export function recordOf(manager: SessionManager, { ttl, touchAfterSec, cookie }: Storing): ExpressRecord {
  const isSession = (data: object): data is SessionData => hasCookie(data)
  const asSession = (data: object): SessionData | undefined => {
    if (lacksCookie(data)) return { ...data, cookie: defaultCookie(cookie) }
    return isSession(data) ? data : undefined
  }
  return new SessionRecord(manager, ttl, asSession, touchAfterSec)
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

/** A session of a list, which otherwise could not be told from the others. */
export type ListedSession = SessionData & { readonly id: string }

/**
 * Sessions outside of any request (socket.io, scripts): `latchkey(...).store`. Callbacks and promises alike. An id that is
 * a number is its decimal text, and one that no key can be made of has no session: to `set` it is LATCHKEY_INVALID_ID.
 *
 * `get` takes no lock and never waits. `set` locks the session, writes over what is there, and lets go: it is for
 * whoever knows the whole session. An object that `get` has given is stored only if the session is still what it was
 * then, its cookie aside. To change a part of it, use `manager.run(id, ...)`.
 *
 * Emits `failure` (SessionHttpError) for what no error handler could answer: a stream whose session was not stored, a
 * `set`, `touch` or `destroy` without a callback; and for each record that `all` cannot read.
 */
export class BareStore extends session.Store {
  constructor(protected readonly sessions: BareSessions<AnySession, SessionData>) {
    super()
  }

  /** One flight, without a lock. */
  override get(sid: string | number, callback?: Callback<SessionData | null>): Promise<SessionData | null> {
    return settle(this.sessions.peek(String(sid)), callback)
  }

  /** Locks, writes, lets go: two flights. LATCHKEY_FENCED or LATCHKEY_SESSION_GONE for an object that `get` gave before that. */
  override set(sid: string | number, data: AnySession, callback?: Callback<void>): Promise<void> {
    return this.settled(async () => this.sessions.overwrite(String(sid), data), callback)
  }

  /** Prolongs the session, takes over its cookie, and leaves its data alone. Two flights. */
  override touch(sid: string | number, data: AnySession, callback?: Callback<void>): Promise<void> {
    return this.settled(async () => this.sessions.prolong(String(sid), data), callback)
  }

  /** One flight. Whoever holds the session is fenced. */
  override destroy(sid: string | number, callback?: Callback<void>): Promise<void> {
    return this.settled(async () => this.sessions.destroy(String(sid)), callback)
  }

  /** express-session makes its Session of what `get` has given. */
  override createSession(...[req, data]: Parameters<session.Store['createSession']>): ReturnType<session.Store['createSession']> {
    completeCookie(req, data)
    const created = super.createSession(req, data)
    this.sessions.follow(created, data)
    return created
  }

  /**
   * What `work` throws is a rejection as well: data that cannot be written down is refused before anything is sent. A
   * failure that no callback is told of goes to the event, or a promise that is dropped would end the process.
   */
  private settled(work: () => Promise<void>, callback: Callback<void> | undefined): Promise<void> {
    const settled = settle(work(), callback)
    if (callback === undefined) settled.catch((error: unknown) => void this.emit('failure', error))
    return settled
  }

  /**
   * Every session under the manager's prefix, each with its `id`. Cost and errors as of `manager.all()`: for scripts,
   * not for requests. A record that cannot be read is left out, and its error told by the event `failure`.
   */
  override all(callback?: Callback<ListedSession[]>): Promise<ListedSession[]> {
    return settle(this.sessions.list((error) => void this.emit('failure', toHttpError(error))), callback)
  }

  /** Their ids, readable or not. Cost and errors as of `manager.ids()`. */
  ids(callback?: Callback<string[]>): Promise<string[]> {
    return settle(this.sessions.ids(), callback)
  }

  /** How many there are. Cost and errors as of `manager.length()`. */
  override length(callback?: Callback<number>): Promise<number> {
    return settle(this.sessions.length(), callback)
  }

  /** Destroys them all; nothing else on the server is touched. Cost and errors as of `manager.clear()`. */
  override clear(callback?: Callback<void>): Promise<void> {
    return settle(this.sessions.clear(), callback)
  }
}
