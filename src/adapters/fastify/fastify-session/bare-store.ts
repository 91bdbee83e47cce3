import type { Session } from 'fastify'
import type { LatchkeyError } from '../../../errors.js'
import type { SessionManager } from '../../../session/session-manager.js'
import type { BareSessions } from '../../http/bare-sessions.js'
import { type AnySession, hasCookie, lacksCookie, SessionRecord, type Ttl as TtlOf } from '../../http/session-record.js'
import { type Callback, settle } from '../../http/settle.js'

/** Seconds, or a function that says them for a session. */
export type Ttl = TtlOf<Session>

export type FastifyRecord = SessionRecord<Session>

/** How @fastify/session's sessions become records. It takes a session without a cookie, and gives it one. */
export function recordOf(manager: SessionManager, ttl: Ttl | undefined, touchAfterSec: number): FastifyRecord {
  const isSession = (data: object): data is Session => lacksCookie(data) || hasCookie(data)
  return new SessionRecord<Session>(manager, ttl, (data) => (isSession(data) ? data : undefined), touchAfterSec)
}

/** A session of a list, which otherwise could not be told from the others. */
export type ListedSession = Session & { readonly id: string }

/**
 * Sessions outside of a locked request: `app.decryptSession()` for what is no request.
 *
 * `get` takes no lock and never waits. `set` locks the session, writes over what is there, and lets go; an object that
 * `get` has given is stored only if the session is still what it was then, its cookie aside.
 */
export class BareStore {
  constructor(
    protected readonly sessions: BareSessions<Session>,
    /** Told of each record that `all` cannot read. */
    private readonly onUnreadable: (error: LatchkeyError) => void,
  ) {}

  /** As BareSessions; promises and callbacks alike. */
  get(sid: string | number, callback?: Callback<Session | null>): Promise<Session | null> {
    return settle(this.sessions.peek(String(sid)), callback)
  }

  set(sid: string | number, session: Session, callback?: Callback<void>): Promise<void> {
    return settle(this.overwrite(String(sid), session), callback)
  }

  private async overwrite(sid: string, session: Session): Promise<void> {
    await this.sessions.overwrite(sid, session, this.sessions.record.encode(sid, plainOf(session)))
  }

  destroy(sid: string | number, callback?: Callback<void>): Promise<void> {
    return settle(this.sessions.destroy(String(sid)), callback)
  }

  touch(sid: string | number, session: Session, callback?: Callback<void>): Promise<void> {
    return settle(this.sessions.prolong(String(sid), plainOf(session)), callback)
  }

  /** A record that cannot be read is left out, and its error told to the application's log. */
  all(callback?: Callback<ListedSession[]>): Promise<ListedSession[]> {
    return settle(this.sessions.list(this.onUnreadable), callback)
  }

  ids(callback?: Callback<string[]>): Promise<string[]> {
    return settle(this.sessions.ids(), callback)
  }

  length(callback?: Callback<number>): Promise<number> {
    return settle(this.sessions.length(), callback)
  }

  clear(callback?: Callback<void>): Promise<void> {
    return settle(this.sessions.clear(), callback)
  }
}

/** What @fastify/session keeps under symbols is not data; not every serializer passes over it. */
export function plainOf<S extends AnySession>(session: S): S {
  const plain = { ...session }
  for (const symbol of Object.getOwnPropertySymbols(plain)) Reflect.deleteProperty(plain, symbol)
  return plain
}
