import { type LatchkeyError, type ReadOnlyReason, SessionGoneError } from '../../errors.js'
import { ownAll } from '../../session/protect.js'
import type { BareSessions } from './bare-sessions.js'
import { type SessionHttpError, toHttpError } from './http-error.js'
import { HeldText } from '../../request/held-text.js'
import type { CookieSession } from './session-record.js'

/**
 * The session of a request in a framework's form: HeldText, with its cookie. Of any other session, which it has no lock
 * of, each call is by itself (BareSessions).
 */
export class HeldSession<S extends CookieSession, Loaded extends S = S> extends HeldText<Loaded, SessionHttpError> {
  constructor(
    readonly bare: BareSessions<S, Loaded>,
    label: string | undefined,
    readOnly: ReadOnlyReason | undefined,
  ) {
    super(bare.manager, label, bare.record, readOnly, toHttpError)
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

  /** Of the request's own session: what is stored later must follow from what is seen now. */
  protected override lookAt(sid: string, isFirst: boolean): Promise<Loaded | null> {
    const isOwn = this.readOnly === undefined && this.isLeft && this.sid === undefined && (isFirst || this.isRead(sid))
    return isOwn ? super.lookAt(sid, isFirst) : this.bare.peek(sid)
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

  /** Whether it is another session than the one that is held. */
  isAnother(sid: string): boolean {
    return this.sid !== undefined && this.sid !== sid
  }

  protected override decoded(sid: string, text: string): Loaded | null {
    const session = super.decoded(sid, text)
    return session && ownAll(session)
  }
}
