import type { SessionManager } from '../../session/session-manager.js'
import type { CookieSession, SessionRecord } from './session-record.js'

/** The record that a session object was made of. */
interface Source {
  readonly sid: string
  readonly text: string
}

/**
 * A manager's sessions in a framework's form, outside of any request: what a call locks, the same call lets go.
 * No session has an id that no key can be made of.
 */
export class BareSessions<S extends CookieSession, Loaded extends S = S> {
  /** What was stored when `peek` made the object, or when it was last stored. */
  private readonly sources = new WeakMap<object, Source>()

  constructor(
    readonly manager: SessionManager,
    readonly record: SessionRecord<S, Loaded>,
    /** Told of what no error handler could answer, and no callback. */
    readonly onFailure: (error: unknown) => void,
  ) {}

  /** Null when there is none. One flight, without a lock. */
  async peek(sid: string): Promise<Loaded | null> {
    if (this.manager.flawOf(sid) !== undefined) return null
    const text = await this.manager.peekText(sid)
    const session = text === '' ? undefined : this.record.decode(sid, text)
    if (session !== undefined) this.sources.set(session, { sid, text })
    return session ?? null
  }

  /** `copy` stands for a session that `peek` has given: express-session makes an object of its own of it. */
  follow(copy: object, session: object): void {
    const source = this.sources.get(session)
    if (source !== undefined) this.sources.set(copy, source)
  }

  /** Whether `peek` has given it, as the session of this id. */
  isKnownObject(sid: string, session: object): boolean {
    return this.sources.get(session)?.sid === sid
  }

  /**
   * Locks, writes, lets go: two flights. Over whatever is there, but for an object that `peek` has given: what is stored
   * must be what it was made of then (SessionRecord.assertFollows). What cannot be written down is refused at once.
   */
  async overwrite(sid: string, session: S): Promise<void> {
    const { record, sources } = this
    const lifetimeSec = record.ttlSec(session)
    if (lifetimeSec <= 0) return this.destroy(sid)
    const text = record.encode(sid, session)
    const source = sources.get(session)
    const isFollowing = source?.sid === sid
    const held = await this.manager.lock(sid)
    try {
      if (isFollowing) record.assertFollows(sid, source.text, held.text)
      await held.commit(text, lifetimeSec)
    } finally {
      await held.release()
    }
    if (isFollowing) sources.set(session, { sid, text })
  }

  /** Takes over the session's cookie, and leaves the stored data alone. Two flights. */
  async prolong(sid: string, session: S): Promise<void> {
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.destroy(sid)
    if (this.manager.flawOf(sid) !== undefined) return
    const held = await this.manager.lock(sid)
    try {
      const { text, isRetired } = held
      if (text === '' || isRetired) return
      const renewed = this.record.withCookie(sid, text, session)
      if (renewed === text) await held.touch(lifetimeSec)
      else await held.commit(renewed, lifetimeSec)
    } finally {
      await held.release()
    }
  }

  /** One flight. Whoever holds it is fenced. */
  async destroy(sid: string): Promise<void> {
    if (this.manager.flawOf(sid) === undefined) await this.manager.destroy(sid)
  }
}
