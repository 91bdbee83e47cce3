import type session from 'express-session'
import { MisuseError, ReadOnlyError, SessionGoneError } from '../../errors.js'
import { hashOf } from '../../system/session-hash.js'
import type { HeldSession } from '../http/held-session.js'
import { type SessionHttpError, toHttpError } from '../http/http-error.js'
import { quiet } from '../../request/quiet.js'
import { type Callback, settle } from '../http/settle.js'
import { type AnySession, BareStore } from './bare-store.js'

/** One request's store, as express-session sees it: its calls are those of a HeldText, which holds the lock in between. */
export class ExpressStore extends BareStore {
  /** Ids whose sessions this request has destroyed, or regenerated: nothing is stored under them again. */
  private ended: readonly string[] = NONE
  /** The id of the session that was released. */
  private readOnlySid: string | undefined
  /** The request has a session, or another in its place. */
  onSession: (session: object) => void = () => undefined

  constructor(
    readonly held: HeldSession<AnySession, session.SessionData>,
    /** The response's end is decided, or there is none (a WebSocket): no later call may keep a lock. */
    private isAnswered = false,
  ) {
    super(held.bare)
    held.calls.isAnswering = isAnswered
  }

  /** express-session asks to be told when its store comes and goes: this one does neither. */
  override on(...[event, listener]: Parameters<BareStore['on']>): this {
    return event === 'connect' || event === 'disconnect' ? this : super.on(event, listener)
  }

  /**
   * The response's end is decided. What the application still does (socket.io keeps the session of its handshake) is
   * done call by call: reads take no lock, and what is stored must follow from what was read.
   */
  endAnswer(): void {
    this.isAnswered = true
    if (this.held.firstRead === 'to come') this.held.firstRead = 'done'
    // Of a response that was given up, express-session's own end has not run: each write is the last one all the same.
    this.held.calls.isAnswering = true
  }

  /** Why `session` cannot be written down; undefined when it can. */
  flawOf(sid: string, session: AnySession): SessionHttpError | undefined {
    try {
      this.sessions.record.assertCookie(session)
      this.sessions.record.encode(sid, session)
      return undefined
    } catch (error) {
      return toHttpError(error)
    }
  }

  override get(sid: string, callback?: Callback<session.SessionData | null>): Promise<session.SessionData | null> {
    return quiet(settle(this.held.read(sid), callback))
  }

  override set(sid: string, session: AnySession, callback?: Callback<void>): Promise<void> {
    const { calls } = this.held
    const refusal = this.refusalOf(sid)
    if (refusal === undefined) return this.told(calls.inTurn(this.write, sid, sid, session), callback)
    // At a response's end express-session stores as its options say, changed or not: of what is only read, nothing.
    if (calls.isAnswering) return quiet(settle(calls.inTurn(nothing), callback))
    return this.told(calls.inTurn(() => Promise.reject(refusal), sid), callback)
  }

  override touch(sid: string, session: AnySession, callback?: Callback<void>): Promise<void> {
    return quiet(settle(this.held.calls.inTurn(() => this.keep(sid, session)), callback))
  }

  override destroy(sid: string, callback?: Callback<void>): Promise<void> {
    const { held } = this
    // A copy that regenerate() left behind may be destroyed: it is no way to the session that went on.
    const refusal = held.readOnly === 'retired' ? undefined : this.refusalOf(sid)
    // express-session, with `unset: 'destroy'`, takes a session that could not be read for one that is not wanted.
    const isUnread = (): boolean => held.calls.isAnswering && held.firstRead === 'failed'
    const work = (): Promise<void> => (isUnread() ? nothing() : this.end(sid, () => held.destroy(sid), refusal))
    return this.told(held.calls.inTurn(work, sid), callback)
  }

  /**
   * express-session's Session.regenerate(). The old session stays as it is, and locked, until the new one is stored, or the
   * response ends without it (HeldText.endOld). Sends nothing by itself.
   */
  override regenerate(req: Parameters<session.Store['regenerate']>[0], callback: (error: unknown) => void): void {
    const sid = req.sessionID
    const done = (error: unknown): void => {
      // What can only be read goes on being what it is.
      if (this.held.readOnly === undefined) {
        try {
          req.sessionStore.generate(req)
        } catch (thrown) {
          // The application's `genid`. There is no session under another id then, and this one goes on.
          callback(toHttpError(thrown))
          return
        }
        // An application's `genid` may make the same one again.
        this.ended = this.ended.filter((id) => id !== req.sessionID)
        this.onSession(req.session)
      }
      callback(error)
    }
    const refusal = this.refusalOf(sid)
    void this.told(this.held.calls.inTurn(() => this.end(sid, () => this.held.setAside(sid), refusal), sid), done)
  }

  override createSession(...given: Parameters<BareStore['createSession']>): ReturnType<BareStore['createSession']> {
    const created = super.createSession(...given)
    this.onSession(created)
    return created
  }

  /**
   * Stores the session if `mustSave`, else prolongs it, and lets go: all in one flight. From this call on it can only
   * be read. Throws when it cannot be written down.
   */
  release(sid: string, session: AnySession, mustSave: boolean): Promise<void> {
    const text = mustSave ? this.sessions.record.encode(sid, session) : undefined
    const storing = async (): Promise<void> => {
      try {
        if (text === undefined) await this.keep(sid, session, true)
        else await this.write(sid, session, true, text)
        await this.held.endOld()
      } finally {
        this.held.isOver = true
        await this.held.letGo()
      }
    }
    const releasing = this.told(this.held.calls.inTurn(storing, sid))
    this.readOnlySid = sid
    this.held.readOnly = 'released'
    return releasing
  }

  /** Prolongs the session and lets go, in one flight. It may still be changed, and stored as HeldText.write says. */
  letGoUnchanged(sid: string, session: AnySession): Promise<void> {
    return this.told(this.held.calls.inTurn(() => this.keep(sid, session, true), sid))
  }

  private told(change: Promise<void>, callback?: Callback<void>): Promise<void> {
    const changed = quiet(settle(change, callback))
    // After the response's end an application mostly gives no callback.
    if (this.isAnswered) changed.catch(this.sessions.onFailure)
    return changed
  }

  /** `isLast` lets go as well; `text` is what the session was when it was to be stored. */
  private readonly write = async (sid: string, session: AnySession, isLast = this.held.calls.isAnswering, text?: string): Promise<void> => {
    const { held, isAnswered } = this
    if (this.ended.includes(sid)) throw new SessionGoneError('This request has ended the session: it cannot be stored again.')
    // With `resave` express-session stores it again at the end, after the head of a stream has stored it and let go.
    if (isLast && !isAnswered && held.sid === undefined && held.isUnchanged(sid, session)) return
    const letGo = held.isOver && !isAnswered ? new MisuseError(LET_GO) : undefined
    await held.store(sid, session, isLast, letGo, text)
  }

  private async keep(sid: string, session: AnySession, isLast = this.held.calls.isAnswering): Promise<void> {
    const { held } = this
    if (held.sid === undefined) return
    const touching = (): Promise<void> => held.touch(sid, session, isLast)
    if (held.sid !== sid) return touching()
    // A save() that failed before is not made good by a touch.
    if (held.calls.failure !== undefined) throw held.calls.failure
    return held.calls.noting(sid, touching)
  }

  /** Where the session can only be read: decided when a change is called, not when its turn comes. */
  private refusalOf(sid: string): ReadOnlyError | undefined {
    const { readOnly, retiredSid } = this.held
    // The response's session, whichever it is, where the request as a whole only reads.
    if (readOnly === undefined || (this.readOnlySid ?? retiredSid ?? sid) !== sid) return undefined
    return new ReadOnlyError(readOnly, { session: hashOf(sid) })
  }

  private async end(sid: string, work: () => Promise<void>, refusal: ReadOnlyError | undefined): Promise<void> {
    if (refusal !== undefined) throw refusal
    await work()
    this.ended = [...this.ended, sid]
  }
}

const LET_GO = 'The session was let go already (its client left): it cannot be changed.'
const NONE: readonly string[] = []
const nothing = (): Promise<void> => Promise.resolve()
