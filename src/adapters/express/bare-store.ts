import session, { type SessionData } from 'express-session'
import type { SessionManager } from '../../session/session-manager.js'
import { toHttpError } from '../http/http-error.js'
import { hasCookie, type Ttl as TtlOf, SessionRecord } from '../http/session-record.js'

/** What the adapter needs to know of a session; applications add to SessionData as they please. */
export type AnySession = Pick<SessionData, 'cookie'>

/** Seconds, or a function that says them for a session. */
export type Ttl = TtlOf<AnySession>

export type ExpressRecord = SessionRecord<AnySession, SessionData>

/** How express-session's sessions become records. */
export function recordOf(manager: SessionManager, ttl: Ttl | undefined, touchAfterSec: number): ExpressRecord {
  return new SessionRecord(manager, ttl, (data): data is SessionData => hasCookie(data), touchAfterSec)
}

/** A session of a list, which otherwise could not be told from the others. */
export type ListedSession = SessionData & { readonly id: string }

type Callback<T> = (error: unknown, value?: T) => void

/**
 * Sessions outside of any request (socket.io, scripts): `latchkey(...).store`. Callbacks and promises alike.
 *
 * `get` takes no lock and never waits. `set` locks the session, writes over what is there, and lets go: it is for
 * whoever knows the whole session. To change a part of it, use `manager.run(id, ...)`.
 *
 * Emits `failure` (SessionHttpError) for what no error handler could answer: a stream whose session was not stored.
 */
export class BareStore extends session.Store {
  constructor(
    protected readonly manager: SessionManager,
    protected readonly record: ExpressRecord,
  ) {
    super()
  }

  /** One flight, without a lock. */
  override get(sid: string, callback?: Callback<SessionData | null>): Promise<SessionData | null> {
    return settle(this.peek(sid), callback)
  }

  /** Locks, writes, lets go: two flights. */
  override set(sid: string, data: AnySession, callback?: Callback<void>): Promise<void> {
    return settle(this.overwrite(sid, data), callback)
  }

  /** Prolongs the session, takes over its cookie, and leaves its data alone. Two flights. */
  override touch(sid: string, data: AnySession, callback?: Callback<void>): Promise<void> {
    return settle(this.prolong(sid, data), callback)
  }

  /** One flight. Whoever holds the session is fenced. */
  override destroy(sid: string, callback?: Callback<void>): Promise<void> {
    return settle(this.remove(sid), callback)
  }

  /**
   * Every session under the manager's prefix, each with its `id`. Cost and errors as of `manager.all()`: for scripts,
   * not for requests.
   */
  override all(callback?: Callback<ListedSession[]>): Promise<ListedSession[]> {
    return settle(this.list(), callback)
  }

  /** How many there are. Cost and errors as of `manager.length()`. */
  override length(callback?: Callback<number>): Promise<number> {
    return settle(this.manager.length(), callback)
  }

  /** Destroys them all; nothing else on the server is touched. Cost and errors as of `manager.clear()`. */
  override clear(callback?: Callback<void>): Promise<void> {
    return settle(
      this.manager.clear().then(() => undefined),
      callback,
    )
  }

  protected async list(): Promise<ListedSession[]> {
    const found: ListedSession[] = []
    for await (const { id, data } of this.manager.all()) {
      const session = this.record.loaded(data)
      if (session !== undefined) found.push({ ...session, id })
    }
    return found
  }

  protected async peek(sid: string): Promise<SessionData | null> {
    if (this.manager.flawOf(sid) !== undefined) return null
    const store = this.manager.store()
    const text = await store.peek(sid)
    return text === '' ? null : (this.record.decode(sid, text) ?? null)
  }

  protected async overwrite(sid: string, data: AnySession): Promise<void> {
    const lifetimeSec = this.record.ttlSec(data)
    if (lifetimeSec <= 0) {
      await this.remove(sid)
      return
    }
    const store = this.manager.store()
    const text = this.record.encode(sid, data)
    try {
      await store.read(sid)
      await store.write(sid, text, { lifetimeSec })
    } finally {
      await store.close()
    }
  }

  protected async prolong(sid: string, data: AnySession): Promise<void> {
    const lifetimeSec = this.record.ttlSec(data)
    if (lifetimeSec <= 0) {
      await this.remove(sid)
      return
    }
    if (this.manager.flawOf(sid) !== undefined) return
    const store = this.manager.store()
    try {
      const text = await store.read(sid)
      if (text === '' || store.isRetired) return
      const renewed = this.record.withCookie(sid, text, data)
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

/**
 * A promise, and the callback if there is one. A callback that throws does so on its own turn, as after any I/O, and
 * with a callback the promise fails nobody.
 */
export function settle<T>(work: Promise<T>, callback: Callback<T> | undefined): Promise<T> {
  const told = work.catch((error: unknown) => {
    throw toHttpError(error)
  })
  if (callback === undefined) return told
  told.then(
    (value) => {
      process.nextTick(callback, null, value)
    },
    (error: unknown) => {
      process.nextTick(callback, error)
    },
  )
  return told
}
