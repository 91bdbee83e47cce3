import { type LatchkeyError, SessionGoneError } from '../../errors.js'
import { ownAll } from '../../session/protect.js'
import type { SessionManager } from '../../session/session-manager.js'
import { BareSessions } from './bare-sessions.js'
import { HeldText } from './held-text.js'
import type { AnySession, SessionRecord } from './session-record.js'

/** The session of a request in a framework's form: HeldText, with its cookie. Calls must come one after the other. */
export class HeldSession<S extends AnySession, Loaded extends S = S> extends BareSessions<S, Loaded> {
  private readonly held: HeldText
  /** A copy that regenerate() left behind: the session goes on under another id. */
  retiredSid: string | undefined

  constructor(manager: SessionManager, record: SessionRecord<S, Loaded>, label: string | undefined) {
    super(manager, record)
    this.held = new HeldText(manager, label, (sid, read, stored) => {
      record.assertFollows(sid, read, stored)
    })
  }

  /** The id of what is held. */
  get sid(): string | undefined {
    return this.held.sid
  }

  /** The id of a session that is to go on under another, which is not stored yet. */
  get replacedSid(): string | undefined {
    return this.held.replacedSid
  }

  /** Whether the session was found, or stored by this request. */
  isKnown(sid: string): boolean {
    return this.held.textOf(sid) !== ''
  }

  /** Whether `session` differs from what is stored. A new one differs when there is anything in it. */
  isModified(sid: string, session: S): boolean {
    return this.record.isModified(sid, session, this.held.textOf(sid))
  }

  /** Whether the request has read the session, and has `session` as it was. */
  isUnchanged(sid: string, session: S): boolean {
    return this.held.isRead(sid) && !this.isModified(sid, session)
  }

  /**
   * Whether it need not be stored where it cannot be any more: it is as it was. Throws why it cannot otherwise: `letGo`,
   * of a request that may store nothing any more; or that it was not there any more when it was read again.
   */
  isLeftAsItWas(sid: string, session: S, letGo?: LatchkeyError): boolean {
    if (letGo === undefined && !this.held.isGone(sid)) return false
    if (this.isUnchanged(sid, session)) return true
    throw letGo ?? new SessionGoneError('The session was not there any more when it was reloaded.')
  }

  /** Whether it need not be prolonged (SessionRecord.isFresh). */
  isFresh(sid: string, session: S): boolean {
    return this.sid === sid && this.record.isFresh(sid, this.held.textOf(sid), session)
  }

  giveUpWaiting(): void {
    this.held.giveUpWaiting()
  }

  /** Null when there is none. As HeldText.read; of any other session than that of the request it has a look. */
  async read(sid: string): Promise<Loaded | null> {
    const { held } = this
    if (this.manager.flawOf(sid) !== undefined) return null
    // It waits for nobody here: its lock is held.
    if (held.replacedSid === sid) return null
    if ((held.sid !== undefined && held.sid !== sid) || held.isGone(sid)) return this.peek(sid)
    const wasHeld = held.sid === sid
    const text = await held.read(sid)
    let session: Loaded | undefined
    try {
      session = this.decoded(sid, text)
      if (session !== undefined) held.keepAlive(this.record.keptSec(session))
      if (session !== undefined && held.isRetired) this.retiredSid = sid
    } finally {
      if (session === undefined && held.sid === sid) await (wasHeld ? held.dropGone(sid) : held.drop())
    }
    return session ?? null
  }

  /** As it is now, of a session that is not held any more (HeldText.look). */
  async look(sid: string): Promise<Loaded | null> {
    if (!this.held.isRead(sid) || this.sid !== undefined) return this.peek(sid)
    return this.decoded(sid, await this.held.look(sid)) ?? null
  }

  write(sid: string, text: string, lifetimeSec: number, isLast: boolean): Promise<void> {
    return this.held.write(sid, text, lifetimeSec, isLast)
  }

  store(sid: string, text: string, lifetimeSec: number, isLast: boolean): Promise<void> {
    return this.held.store(sid, text, lifetimeSec, isLast)
  }

  /** Prolongs what is held, with the cookie of `session`, whose expiry is part of the record; `isLast` lets go as well. */
  async touch(sid: string, session: S, isLast: boolean): Promise<void> {
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.destroy(sid)
    if (isLast && this.isFresh(sid, session)) return this.letGo()
    await this.store(sid, this.record.withCookie(sid, this.held.textOf(sid), session), lifetimeSec, isLast)
  }

  /** What was set aside is about to end. */
  override async prolong(sid: string, session: S): Promise<void> {
    if (this.replacedSid !== sid) await super.prolong(sid, session)
  }

  override destroy(sid: string): Promise<void> {
    return this.held.destroy(sid)
  }

  setAside(sid: string): Promise<void> {
    return this.held.setAside(sid)
  }

  endOld(): Promise<void> {
    return this.held.endOld()
  }

  letGo(): Promise<void> {
    return this.held.letGo()
  }

  private decoded(sid: string, text: string): Loaded | undefined {
    const session = text === '' ? undefined : this.record.decode(sid, text)
    return session && ownAll(session)
  }
}
