import type { SessionData } from 'express-session'
import type { SessionManager } from '../../session/session-manager.js'
import { BareSessions } from '../http/bare-sessions.js'
import { CallLine } from '../http/call-line.js'
import { toHttpError } from '../http/http-error.js'
import { type AnySession, BareStore, type ExpressRecord } from './bare-store.js'

/** The session of a WebSocket, which lives for hours without a lock: what it stores must follow from what it read or stored last. */
class UpgradedSessions extends BareSessions<AnySession, SessionData> {
  private known: { readonly sid: string; readonly text: string } | undefined
  private readonly calls = new CallLine(toHttpError)

  override async peek(sid: string): Promise<SessionData | null> {
    const text = this.manager.flawOf(sid) === undefined ? await this.manager.store().peek(sid) : ''
    this.known = { sid, text }
    return text === '' ? null : (this.record.decode(sid, text) ?? null)
  }

  override async overwrite(sid: string, session: AnySession): Promise<void> {
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.destroy(sid)
    const text = this.record.encode(sid, session)
    await this.calls.inTurn(async () => {
      await this.replace(sid, text, lifetimeSec, this.known?.sid === sid ? this.known.text : '')
      this.known = { sid, text }
    })
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
