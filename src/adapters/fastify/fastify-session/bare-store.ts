import type { Session } from 'fastify'
import type { SessionManager } from '../../../session/session-manager.js'
import { type AnySession, hasCookie, SessionRecord, type Ttl as TtlOf } from '../../http/session-record.js'
import { type Callback, settle } from './settle.js'

/** Seconds, or a function that says them for a session. */
export type Ttl = TtlOf<Session>

export type FastifyRecord = SessionRecord<Session>

/** How @fastify/session's sessions become records. It takes a session without a cookie, and gives it one. */
export function recordOf(manager: SessionManager, ttl: Ttl | undefined, touchAfterSec: number): FastifyRecord {
  const isSession = (data: object): data is Session => !('cookie' in data) || hasCookie(data)
  return new SessionRecord<Session>(manager, ttl, isSession, touchAfterSec)
}

/** A session of a list, which otherwise could not be told from the others. */
export type ListedSession = Session & { readonly id: string }

/**
 * Sessions outside of a locked request: WebSocket upgrades, and `app.decryptSession()` for what is no request.
 *
 * `get` takes no lock and never waits. `set` locks the session, writes over what is there, and lets go.
 */
export class BareStore {
  constructor(
    protected readonly manager: SessionManager,
    protected readonly record: FastifyRecord,
  ) {}

  /** One flight, without a lock. */
  get(sid: string, callback?: Callback<Session | null>): Promise<Session | null> {
    return settle(this.peek(sid), callback)
  }

  /** Locks, writes, lets go: two flights. */
  set(sid: string, session: Session, callback?: Callback<void>): Promise<void> {
    return settle(this.overwrite(sid, session), callback)
  }

  /** One flight. Whoever holds the session is fenced. */
  destroy(sid: string, callback?: Callback<void>): Promise<void> {
    return settle(this.remove(sid), callback)
  }

  /** Prolongs the session, takes over its cookie, and leaves its data alone. Two flights. */
  touch(sid: string, session: Session, callback?: Callback<void>): Promise<void> {
    return settle(this.prolong(sid, session), callback)
  }

  /**
   * Every session under the manager's prefix, each with its `id`. Cost and errors as of `manager.all()`: for scripts,
   * not for requests.
   */
  all(callback?: Callback<ListedSession[]>): Promise<ListedSession[]> {
    return settle(this.list(), callback)
  }

  /** How many there are. Cost and errors as of `manager.length()`. */
  length(callback?: Callback<number>): Promise<number> {
    return settle(this.manager.length(), callback)
  }

  /** Destroys them all; nothing else on the server is touched. Cost and errors as of `manager.clear()`. */
  clear(callback?: Callback<void>): Promise<void> {
    const clearing = this.manager.clear().then(() => undefined)
    return settle(clearing, callback)
  }

  protected async list(): Promise<ListedSession[]> {
    const found: ListedSession[] = []
    for await (const { id, data } of this.manager.all()) {
      const session = this.record.loaded(data)
      if (session !== undefined) found.push({ ...session, id })
    }
    return found
  }

  protected async peek(sid: string): Promise<Session | null> {
    if (this.manager.flawOf(sid) !== undefined) return null
    const text = await this.manager.store().peek(sid)
    return text === '' ? null : (this.record.decode(sid, text) ?? null)
  }

  protected async overwrite(sid: string, session: Session): Promise<void> {
    const plain = plainOf(session)
    const lifetimeSec = this.record.ttlSec(plain)
    if (lifetimeSec <= 0) return this.remove(sid)
    const store = this.manager.store()
    const text = this.record.encode(sid, plain)
    try {
      await store.read(sid)
      await store.write(sid, text, { lifetimeSec })
    } finally {
      await store.close()
    }
  }

  protected async prolong(sid: string, session: Session): Promise<void> {
    const plain = plainOf(session)
    const lifetimeSec = this.record.ttlSec(plain)
    if (lifetimeSec <= 0) return this.remove(sid)
    if (this.manager.flawOf(sid) !== undefined) return
    const store = this.manager.store()
    try {
      const text = await store.read(sid)
      if (text === '' || store.isRetired) return
      const renewed = this.record.withCookie(sid, text, plain)
      if (renewed === text) await store.updateTimestamp(sid, text, { lifetimeSec })
      else await store.write(sid, renewed, { lifetimeSec })
    } finally {
      await store.close()
    }
  }

  protected async remove(sid: string): Promise<void> {
    if (this.manager.flawOf(sid) === undefined) await this.manager.store().destroy(sid)
  }
}

/** What @fastify/session keeps under symbols is not data; not every serializer passes over it. */
export function plainOf<S extends AnySession>(session: S): S {
  const plain = { ...session }
  for (const symbol of Object.getOwnPropertySymbols(plain)) Reflect.deleteProperty(plain, symbol)
  return plain
}
