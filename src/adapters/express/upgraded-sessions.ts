import type { SessionData } from 'express-session'
import { FencedError, SessionGoneError } from '../../errors.js'
import type { SessionManager } from '../../session/session-manager.js'
import { hashOf } from '../../system/session-hash.js'
import { BareSessions } from '../http/bare-sessions.js'
import { CallLine } from '../http/call-line.js'
import { type AnySession, BareStore, type ExpressRecord } from './bare-store.js'

/**
 * The session of a WebSocket, which lives for hours without a lock: what it stores must follow from what it read or
 * stored last, or somebody else's change would be lost, and a session that was ended would come back.
 */
class UpgradedSessions extends BareSessions<AnySession, SessionData> {
  private known: { readonly sid: string; readonly text: string } | undefined
  private readonly calls = new CallLine()

  override overwrite(sid: string, session: AnySession): Promise<void> {
    const text = this.record.encode(sid, session)
    return this.calls.inTurn(() => super.overwrite(sid, session, text))
  }

  protected override saw(sid: string, text: string): void {
    this.known = { sid, text }
  }

  /** Its cookie may have changed: requests prolong the session. */
  protected override assertMayReplace(sid: string, stored: string): void {
    const known = this.known?.sid === sid ? this.known.text : ''
    if (stored === known) return
    const details = { session: hashOf(sid) }
    if (stored === '') throw new SessionGoneError('The session has ended since this WebSocket read it.', details)
    const read = known === '' ? undefined : this.record.decode(sid, known)
    if (read !== undefined && !this.record.isModified(sid, read, stored)) return
    throw new FencedError('The session was changed since this WebSocket read it: reload() it, change it, save() it.', details)
  }
}

/** The store of one WebSocket's session. */
export class UpgradedStore extends BareStore {
  constructor(
    manager: SessionManager,
    record: ExpressRecord,
    /** Told of every save that was refused: `req.session.save()` is mostly called without a callback. */
    private readonly onFailure: (error: unknown) => void,
  ) {
    super(new UpgradedSessions(manager, record))
  }

  override set(...args: Parameters<BareStore['set']>): Promise<void> {
    const storing = super.set(...args)
    storing.catch(this.onFailure)
    return storing
  }
}
