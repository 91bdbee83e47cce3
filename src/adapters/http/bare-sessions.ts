import type { SessionManager } from '../../session/session-manager.js'
import type { AnySession, SessionRecord } from './session-record.js'

/**
 * A manager's sessions in a framework's form, each call for itself: what is locked is let go by the same call.
 * An id that no key can be made of is no session's.
 */
export class BareSessions<S extends AnySession, Loaded extends S = S> {
  constructor(
    protected readonly manager: SessionManager,
    readonly record: SessionRecord<S, Loaded>,
  ) {}

  /** Null when there is none. One flight, without a lock. */
  async peek(sid: string): Promise<Loaded | null> {
    if (this.manager.flawOf(sid) !== undefined) return null
    const text = await this.manager.store().peek(sid)
    this.saw(sid, text)
    return text === '' ? null : (this.record.decode(sid, text) ?? null)
  }

  /** Locks, writes over what is there, lets go: two flights. `encoded`: the session as it was when it was to be stored. */
  async overwrite(sid: string, session: S, encoded?: string): Promise<void> {
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.destroy(sid)
    const store = this.manager.store()
    const text = encoded ?? this.record.encode(sid, session)
    try {
      this.assertMayReplace(sid, await store.read(sid))
      await store.write(sid, text, { lifetimeSec })
      this.saw(sid, text)
    } finally {
      await store.close()
    }
  }

  /** What is stored now, as far as is known. */
  protected saw(_sid: string, _text: string): void {
    // Each call is for itself.
  }

  /** Throws where what is stored must not be written over. */
  protected assertMayReplace(_sid: string, _stored: string): void {
    // Whoever overwrites knows the whole session.
  }

  /** Takes over the session's cookie, and leaves the stored data alone. Two flights. */
  async prolong(sid: string, session: S): Promise<void> {
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.destroy(sid)
    if (this.manager.flawOf(sid) !== undefined) return
    const store = this.manager.store()
    try {
      const text = await store.read(sid)
      if (text === '' || store.isRetired) return
      const renewed = this.record.withCookie(sid, text, session)
      if (renewed === text) await store.updateTimestamp(sid, text, { lifetimeSec })
      else await store.write(sid, renewed, { lifetimeSec })
    } finally {
      await store.close()
    }
  }

  /** One flight. Whoever holds it is fenced. */
  async destroy(sid: string): Promise<void> {
    if (this.manager.flawOf(sid) === undefined) await this.manager.store().destroy(sid)
  }

  /** Each with its id, without which it could not be told from the others. Cost and errors as of `manager.all()`. */
  async list(): Promise<(Loaded & { readonly id: string })[]> {
    const found: (Loaded & { readonly id: string })[] = []
    for await (const { id, data } of this.manager.all()) {
      const session = this.record.loaded(data)
      if (session !== undefined) found.push({ ...session, id })
    }
    return found
  }

  /** Cost and errors as of `manager.length()`. */
  length(): Promise<number> {
    return this.manager.length()
  }

  /** Cost and errors as of `manager.clear()`. */
  async clear(): Promise<void> {
    await this.manager.clear()
  }
}
