import type session from 'express-session'
import type { SessionData } from 'express-session'
import { MisuseError, ReadOnlyError, type ReadOnlyReason, SessionGoneError } from '../../errors.js'
import type { SessionManager } from '../../session/session-manager.js'
import { hashOf } from '../../system/session-hash.js'
import { CallLine } from '../http/call-line.js'
import { HeldSession } from '../http/held-session.js'
import { type SessionHttpError, toHttpError } from '../http/http-error.js'
import { type Callback, ignore, quiet, settle } from '../http/settle.js'
import { type AnySession, BareStore, type ExpressRecord } from './bare-store.js'

/**
 * One request's store, as express-session sees it: the lock of the request's session is taken by `get` (or by the
 * first `set` of a new one) and let go by the last call of the request.
 */
export class RequestStore extends BareStore {
  private readonly held: HeldSession<AnySession, SessionData>
  private readonly calls = new CallLine(toHttpError)
  private reading: 'not yet' | 'under way' | 'done' | 'failed' = 'not yet'
  /** Let go of for good: what is changed from now on cannot be stored. */
  private isReleased = false
  /** The response's end is decided: nothing that comes after it may keep a lock. */
  private isAnswered = false
  /** What this request has destroyed, or goes on with under another id: nothing brings it back. */
  private ended: readonly string[] = NONE
  /** The session that can only be read, and why. */
  private readOnly: { readonly sid: string; readonly reason: ReadOnlyReason } | undefined
  /** The request has a session, or another in its place. */
  onSession: (session: object) => void = () => undefined
  /** A change that was refused after the response's end, when an application mostly gives no callback. */
  onLateFailure: (error: SessionHttpError) => void = () => undefined

  constructor(
    manager: SessionManager,
    record: ExpressRecord,
    label: string | undefined,
    /** The request only reads: it neither waits nor locks. */
    private readonly isReading = false,
  ) {
    const held = new HeldSession(manager, record, label)
    super(held)
    this.held = held
  }

  /** express-session asks to be told when its store comes and goes: this one does neither. */
  override on(...[event, listener]: Parameters<BareStore['on']>): this {
    return event === 'connect' || event === 'disconnect' ? this : super.on(event, listener)
  }

  /** Why the session cannot be changed. */
  get readOnlyReason(): ReadOnlyReason | undefined {
    return this.isReading ? 'readOnly' : this.readOnly?.reason
  }

  /** express-session's `res.end` is under way: the next write or touch is the last, and lets go. */
  beginEnd(): void {
    this.calls.isAnswering = true
  }

  /**
   * The response's end is decided. What the application still does (socket.io keeps the session of its handshake) is
   * done call by call: reads take no lock, and what is stored must follow from what was read.
   */
  endAnswer(): void {
    this.isAnswered = true
    // Of a response that was given up, express-session's own end has not run: each write is the last one all the same.
    this.calls.isAnswering = true
  }

  /** Why the session is not stored as it is. */
  get failure(): SessionHttpError | undefined {
    return this.calls.failure
  }

  /** `save()`, or another call before the response's end, came back with the failure. */
  get isFailureTold(): boolean {
    return this.calls.isFailureTold
  }

  get isHolding(): boolean {
    return this.held.sid !== undefined
  }

  /** Nothing is held and nothing under way. */
  get isIdle(): boolean {
    return !this.isHolding && this.held.replacedSid === undefined && this.calls.isIdle
  }

  /** Whether the session was found, or stored by this request. */
  isKnown(sid: string): boolean {
    return this.held.isKnown(sid)
  }

  /** Whether `session` differs from what is stored. A new one differs when there is anything in it. */
  isModified(sid: string, session: AnySession): boolean {
    return this.held.isModified(sid, session)
  }

  canMakeCookieOf(session: AnySession): boolean {
    return this.held.record.flawOfCookie(session) === undefined
  }

  /** Why `session` cannot be written down; undefined when it can. */
  flawOf(sid: string, session: AnySession): SessionHttpError | undefined {
    try {
      this.held.record.assertCookie(session)
      this.held.record.encode(sid, session)
      return undefined
    } catch (error) {
      return toHttpError(error)
    }
  }

  override get(sid: string, callback?: Callback<SessionData | null>): Promise<SessionData | null> {
    return quiet(settle(this.calls.inTurn(() => this.read(sid)), callback))
  }

  override set(sid: string, session: AnySession, callback?: Callback<void>): Promise<void> {
    // At a response's end express-session stores as its options say, changed or not: of what is only read, nothing.
    if (this.calls.isAnswering && this.isReadOnly(sid)) return quiet(settle(this.calls.inTurn(nothing), callback))
    return this.changing(sid, this.ifChangeable(sid, () => this.write(sid, session)), callback)
  }

  override touch(sid: string, session: AnySession, callback?: Callback<void>): Promise<void> {
    return quiet(settle(this.calls.inTurn(() => this.keep(sid, session)), callback))
  }

  override destroy(sid: string, callback?: Callback<void>): Promise<void> {
    // express-session, with `unset: 'destroy'`, takes a session that could not be read for one that is not wanted.
    const isUnread = (): boolean => this.calls.isAnswering && this.reading === 'failed'
    const work = (): Promise<void> => (isUnread() ? nothing() : this.end(sid, () => this.held.destroy(sid)))
    // A copy that regenerate() left behind may be destroyed: it is no way to the session that went on.
    const isRetired = this.readOnly?.reason === 'retired'
    return this.changing(sid, isRetired ? work : this.ifChangeable(sid, work), callback)
  }

  /**
   * express-session's Session.regenerate(). The old session stays locked and as it is until the new one is stored, or
   * the response ends without it; then it is retired (SessionStore.retire) with the manager's `graceSec`, only if nobody
   * destroyed or changed it in the meantime. Sends nothing by itself.
   */
  override regenerate(req: Parameters<session.Store['regenerate']>[0], callback: (error: unknown) => void): void {
    const sid = req.sessionID
    const done = (error: unknown): void => {
      // What can only be read goes on being what it is.
      if (this.readOnlyReason === undefined) {
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
    void this.changing(sid, this.ifChangeable(sid, () => this.end(sid, () => this.held.setAside(sid))), done)
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
    const releasing = this.changing(sid, async () => {
      try {
        if (text === undefined) await this.keep(sid, session, true)
        else await this.write(sid, session, true, text)
        await this.held.endOld()
      } finally {
        await this.letGo()
      }
    })
    this.readOnly = { sid, reason: 'released' }
    return releasing
  }

  /**
   * Prolongs the session and lets go, in one flight. It may still be changed: what is stored then must follow from what
   * was read (HeldSession.write).
   */
  letGoUnchanged(sid: string, session: AnySession): Promise<void> {
    return this.changing(sid, () => this.keep(sid, session, true))
  }

  /** Nobody waits for the answer any more: neither does this request for its session. */
  giveUpWaiting(): void {
    this.held.giveUpWaiting()
  }

  /** As `finish`, of a response that has ended: what regenerate() set aside ends, though nothing is stored in its place. */
  async complete(): Promise<void> {
    const ending = this.calls.endReplaced(this.held)
    if (ending !== undefined) await ending
    return this.finish()
  }

  /** Lets go of what is still held, after what is under way; then every change is refused. Throws nothing. */
  async finish(): Promise<void> {
    if (this.reading === 'under way') this.giveUpWaiting()
    // A lock that could not be let go is swept, or dies with its lease; the session itself is decided.
    await this.calls.inTurn(() => this.letGo()).catch(ignore)
  }

  private changing(sid: string, work: () => Promise<void>, callback?: Callback<void>): Promise<void> {
    const { isAnswered } = this
    const changed = quiet(settle(this.calls.changing(sid, work), callback))
    if (isAnswered) changed.catch((error: unknown) => {
      this.onLateFailure(toHttpError(error))
    })
    return changed
  }

  private async read(sid: string): Promise<SessionData | null> {
    const { held } = this
    if (this.readOnlyReason !== undefined) return held.peek(sid)
    // The request's last call has let go, or is about to.
    if (this.isReleased || (this.calls.isAnswering && !this.isHolding)) return held.look(sid)
    const isFirst = this.reading === 'not yet'
    let isRead = false
    if (isFirst) this.reading = 'under way'
    try {
      const session = await held.read(sid)
      isRead = true
      if (held.retiredSid !== undefined) this.readOnly = { sid: held.retiredSid, reason: 'retired' }
      return session
    } finally {
      if (isFirst) this.reading = isRead ? 'done' : 'failed'
    }
  }

  private async write(sid: string, session: AnySession, isLast = this.calls.isAnswering, text?: string): Promise<void> {
    const { held } = this
    if (this.ended.includes(sid)) throw new SessionGoneError('This request has ended the session: it cannot be stored again.')
    // Of another session it has no lock; what it had a look at it may have an object of.
    if ((held.sid !== undefined && held.sid !== sid) || held.isKnownObject(sid, session)) return held.overwrite(sid, session)
    const isOver = this.isReleased && !this.isAnswered
    if (held.isLeftAsItWas(sid, session, isOver ? new MisuseError(LET_GO) : undefined)) return
    // With `resave`, at the end of a response whose head has let go of it.
    if (isLast && !this.isAnswered && !this.isHolding && held.isUnchanged(sid, session)) return
    held.record.assertCookie(session)
    const lifetimeSec = held.record.ttlSec(session)
    if (lifetimeSec <= 0) return held.destroy(sid)
    await held.write(sid, text ?? held.record.encode(sid, session), lifetimeSec, isLast)
  }

  private async keep(sid: string, session: AnySession, isLast = this.calls.isAnswering): Promise<void> {
    const { held } = this
    if (!this.isHolding) return
    if (held.sid !== sid) return held.prolong(sid, session)
    // What a save() before it left undone is not mended by a touch.
    if (this.failure !== undefined) throw this.failure
    return this.calls.noting(sid, async () => {
      held.record.assertCookie(session)
      await held.touch(sid, session, isLast)
    })
  }

  /** The response's session, whichever it is, where the request as a whole only reads. */
  private isReadOnly(sid: string): boolean {
    return this.isReading || this.readOnly?.sid === sid
  }

  /** The work, or the refusal: by what the session is now, and not when it is its turn. */
  private ifChangeable(sid: string, work: () => Promise<void>): () => Promise<void> {
    const reason = this.readOnlyReason
    if (reason === undefined || !this.isReadOnly(sid)) return work
    return () => Promise.reject(new ReadOnlyError(reason, { session: hashOf(sid) }))
  }

  private async end(sid: string, work: () => Promise<void>): Promise<void> {
    await work()
    this.ended = [...this.ended, sid]
  }

  private letGo(): Promise<void> {
    this.isReleased = true
    return this.held.letGo()
  }
}

const LET_GO = 'The session was let go already (its client left): it cannot be changed.'
const NONE: readonly string[] = []
const nothing = (): Promise<void> => Promise.resolve()
