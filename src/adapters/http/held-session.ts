import { type LatchkeyError, type ReadOnlyReason, SessionGoneError } from '../../errors.js'
import { ownAll } from '../../session/protect.js'
import type { SessionManager } from '../../session/session-manager.js'
import type { BareSessions } from './bare-sessions.js'
import { type SessionHttpError, toHttpError } from './http-error.js'
import { HeldText } from '../../request/held-text.js'
import type { AnySession } from './session-record.js'

/**
 * The session of a request in a framework's form: HeldText, with its cookie. Of any other session, which it has no lock
 * of, each call is by itself (BareSessions).
 */
export class HeldSession<S extends AnySession, Loaded extends S = S> extends HeldText<SessionHttpError> {
  constructor(
    manager: SessionManager,
    private readonly bare: BareSessions<S, Loaded>,
    label: string | undefined,
    readOnly: ReadOnlyReason | undefined,
  ) {
    super(manager, label, bare.record, readOnly, toHttpError)
  }

  /** Whether the request has found the session, or stored it. */
  isKnown(sid: string): boolean {
    return this.textOf(sid) !== ''
  }

  /** Whether `session` differs from what is stored. A new one differs when there is anything in it. */
  isModified(sid: string, session: S): boolean {
    return this.bare.record.isModified(sid, session, this.textOf(sid))
  }

  /** Whether the request has read the session, and has `session` as it was. */
  isUnchanged(sid: string, session: S): boolean {
    return this.isRead(sid) && !this.isModified(sid, session)
  }

  /** Whether it need not be prolonged (SessionRecord.isFresh). */
  isFresh(sid: string, session: S): boolean {
    return this.sid === sid && this.bare.record.isFresh(sid, this.textOf(sid), session)
  }

  /** Null when there is none. As HeldText.read; of what is only read, or another session, it has a look. */
  async load(sid: string): Promise<Loaded | null> {
    if (this.manager.flawOf(sid) !== undefined) return null
    if (this.readOnly !== undefined) return this.bare.peek(sid)
    // This request holds its lock: to ask for it would be to wait for itself.
    if (this.replacedSid === sid) return null
    if (this.isAnother(sid) || this.isGone(sid)) return this.bare.peek(sid)
    const wasHeld = this.sid === sid
    const text = await this.read(sid)
    let session: Loaded | undefined
    try {
      session = this.decoded(sid, text)
      if (session !== undefined) this.keepAlive(this.bare.record.keptSec(session))
      if (session !== undefined && this.isRetired) this.readOnly = 'retired'
    } finally {
      if (session === undefined && this.sid === sid) await (wasHeld ? this.dropGone(sid) : this.drop())
    }
    return session ?? null
  }

  /** As it is now, of a session that is not held: what is stored later must follow from it (HeldText.look), if it `isOwn`. */
  async lookAt(sid: string, isOwn = this.isRead(sid)): Promise<Loaded | null> {
    if (!isOwn || this.sid !== undefined || this.manager.flawOf(sid) !== undefined) return this.bare.peek(sid)
    return this.decoded(sid, await this.look(sid)) ?? null
  }

  /**
   * Stores it; `text` is what it was when it was to be stored. What is as it was need not be stored where it cannot be any
   * more: because of `letGo`, or as it was not there any more when it was read again.
   */
  async store(sid: string, session: S, isLast: boolean, letGo?: LatchkeyError, text?: string): Promise<void> {
    const { record } = this.bare
    if (this.isAnother(sid) || this.bare.isKnownObject(sid, session)) return this.bare.overwrite(sid, session)
    if (letGo !== undefined || this.isGone(sid)) {
      if (this.isUnchanged(sid, session)) return
      throw letGo ?? new SessionGoneError('The session was not there any more when it was reloaded.')
    }
    record.assertCookie(session)
    const lifetimeSec = record.ttlSec(session)
    if (lifetimeSec <= 0) return this.destroy(sid)
    await this.write(sid, text ?? record.encode(sid, session), lifetimeSec, isLast)
  }

  /** Prolongs what is held, with the cookie of `session`, whose expiry is part of the record; `isLast` lets go as well. */
  async touch(sid: string, session: S, isLast: boolean): Promise<void> {
    const { record } = this.bare
    if (this.sid !== sid) {
      // A session that was set aside is about to end: prolonging it would do nothing.
      if (this.replacedSid !== sid) await this.bare.prolong(sid, session)
      return
    }
    record.assertCookie(session)
    const lifetimeSec = record.ttlSec(session)
    if (lifetimeSec <= 0) return this.destroy(sid)
    if (isLast && this.isFresh(sid, session)) return this.letGo()
    await this.write(sid, record.withCookie(sid, this.textOf(sid), session), lifetimeSec, isLast)
  }

  private isAnother(sid: string): boolean {
    return this.sid !== undefined && this.sid !== sid
  }

  private decoded(sid: string, text: string): Loaded | undefined {
    const session = text === '' ? undefined : this.bare.record.decode(sid, text)
    return session && ownAll(session)
  }
}
