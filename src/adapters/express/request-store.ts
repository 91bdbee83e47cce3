import type session from 'express-session'
import type { SessionData } from 'express-session'
import { MisuseError, ReadOnlyError, type ReadOnlyReason, SessionGoneError } from '../../errors.js'
import type { SessionManager } from '../../session/session-manager.js'
import { hashOf } from '../../system/session-hash.js'
import type { SessionStore } from '../../session/session-store.js'
import { type AnySession, BareStore, type ExpressRecord, settle } from './bare-store.js'
import { CallLine } from './call-line.js'
import { ClientGoneError, type SessionHttpError } from '../http/http-error.js'

/** The session of a request, between its read and the write that lets go of it. */
interface Held {
  readonly sid: string
  readonly store: SessionStore
}

/**
 * One request's store, as express-session sees it: the lock of the request's session is taken by `get` (or by the
 * first `set` of a new one) and let go by the last call of the request.
 *
 * Calls run one after the other, so an application need not wait for its own `req.session.save()`.
 */
export class RequestStore extends BareStore {
  private held: Held | undefined
  /** What is stored, as far as this request knows; outlives the lock. */
  private known: { readonly sid: string; readonly text: string } | undefined
  /** A session that reload() did not find any more. */
  private goneSid: string | undefined
  private reading: 'not yet' | 'under way' | 'done' | 'failed' = 'not yet'
  private released = false
  private readonly calls = new CallLine()
  /** The session that can only be read, and why. */
  private readOnly: { readonly sid: string; readonly reason: ReadOnlyReason } | undefined
  private readonly gone = new AbortController()
  /** The request has a session, or another in its place. */
  onSession: (session: object) => void = () => undefined

  constructor(
    manager: SessionManager,
    record: ExpressRecord,
    private readonly label: string | undefined,
    /** The request only reads: it neither waits nor locks. */
    private readonly isReading = false,
  ) {
    super(manager, record)
  }

  /** Why the session cannot be changed. */
  get readOnlyReason(): ReadOnlyReason | undefined {
    return this.isReading ? 'readOnly' : this.readOnly?.reason
  }

  /** express-session's `res.end` is under way: the next write or touch is the last, and lets go. */
  beginEnd(): void {
    this.calls.ending = true
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
    return this.held !== undefined
  }

  /** Nothing is held and nothing under way. */
  get isIdle(): boolean {
    return this.held === undefined && this.calls.isIdle
  }

  override get(sid: string, callback?: (error: unknown, session?: SessionData | null) => void): Promise<SessionData | null> {
    const reading = this.calls.inTurn(() => this.read(sid))
    if (this.reading === 'not yet') {
      this.reading = 'under way'
      reading.then(
        () => (this.reading = 'done'),
        () => (this.reading = 'failed'),
      )
    }
    return quiet(settle(reading, callback))
  }

  override set(sid: string, session: AnySession, callback?: (error: unknown) => void): Promise<void> {
    // At a response's end express-session stores as its options say, changed or not: of what is only read, nothing.
    if (this.calls.ending && this.isReadOnly(sid)) return quiet(settle(this.calls.inTurn(nothing), callback))
    return quiet(settle(this.calls.changing(sid, this.ifChangeable(sid, () => this.write(sid, session))), callback))
  }

  override touch(sid: string, session: AnySession, callback?: (error: unknown) => void): Promise<void> {
    return quiet(settle(this.calls.inTurn(() => this.keep(sid, session)), callback))
  }

  /**
   * express-session's Session.regenerate(). The old record is retired (SessionStore.retire) with the manager's
   * `graceSec`, only if nobody destroyed or changed it in the meantime. One flight.
   */
  override regenerate(req: Parameters<session.Store['regenerate']>[0], callback: (error: unknown) => void): void {
    const sid = req.sessionID
    const done = (error: unknown): void => {
      // What can only be read goes on being what it is.
      if (this.readOnlyReason === undefined) {
        req.sessionStore.generate(req)
        this.onSession(req.session)
      }
      callback(error)
    }
    const retiring = settle(this.calls.changing(sid, this.ifChangeable(sid, () => this.retire(sid))), undefined)
    retiring.then(
      () => {
        process.nextTick(done, null)
      },
      (error: unknown) => {
        process.nextTick(done, error)
      },
    )
  }

  override createSession(...given: Parameters<session.Store['createSession']>): ReturnType<session.Store['createSession']> {
    const created = super.createSession(...given)
    this.onSession(created)
    return created
  }

  /**
   * Stores the session if `mustSave`, else prolongs it, and lets go: all in one flight. From this call on it can only
   * be read. Throws when it cannot be written down.
   */
  release(sid: string, session: AnySession, mustSave: boolean): Promise<void> {
    const text = mustSave ? this.record.encode(sid, session) : undefined
    const releasing = this.calls.changing(sid, async () => {
      try {
        if (text === undefined) await this.keep(sid, session, true)
        else await this.write(sid, session, { isLast: true, text })
      } finally {
        this.released = true
        await this.letGo()
      }
    })
    this.readOnly = { sid, reason: 'released' }
    return quiet(settle(releasing, undefined))
  }

  override destroy(sid: string, callback?: (error: unknown) => void): Promise<void> {
    // express-session, with `unset: 'destroy'`, takes a session that could not be read for one that is not wanted.
    const work = (): Promise<void> => (this.calls.ending && this.reading === 'failed' ? nothing() : this.end(sid))
    // A copy that regenerate() left behind may be destroyed: it is no way to the session that went on.
    const isRetired = this.readOnly?.reason === 'retired'
    return quiet(settle(this.calls.changing(sid, isRetired ? work : this.ifChangeable(sid, work)), callback))
  }

  /** Nobody waits for the answer any more: neither does this request for its session. */
  giveUpWaiting(): void {
    this.gone.abort(new ClientGoneError('The client has gone.'))
  }

  /** Lets go of what is still held, after what is under way; then every change is refused. Throws nothing. */
  async finish(): Promise<void> {
    if (this.reading === 'under way') this.giveUpWaiting()
    await this.calls.inTurn(() => {
      this.released = true
      return this.letGo()
    }).catch(() => {
      // A lock that could not be let go is swept, or dies with its lease; the session itself is decided.
    })
  }

  /** Whether `session` differs from what is stored. A new one differs when there is anything in it. */
  isModified(sid: string, session: AnySession): boolean {
    return this.record.isModified(sid, session, this.known?.sid === sid ? this.known.text : '')
  }

  private async read(sid: string): Promise<SessionData | null> {
    if (this.manager.flawOf(sid) !== undefined) return null
    if (this.held?.sid === sid) return this.readAgain(this.held)
    if (this.isReading || this.readOnly !== undefined) return this.peek(sid)
    if (this.held !== undefined || this.released || this.goneSid === sid) return this.peek(sid)
    const { text, isRetired } = await this.lock(sid, this.gone.signal)
    try {
      const session = text === '' ? undefined : this.record.decode(sid, text)
      if (session === undefined || isRetired) await this.letGo()
      if (session !== undefined && isRetired) this.readOnly = { sid, reason: 'retired' }
      return session ?? null
    } catch (undecodable) {
      await this.letGo()
      throw undecodable
    }
  }

  private async readAgain({ sid, store }: Held): Promise<SessionData | null> {
    const text = await store.read(sid)
    const session = text === '' ? undefined : this.record.decode(sid, text)
    if (session === undefined) {
      // `known` stays: what was not changed since is no loss.
      this.goneSid = sid
      await this.letGo()
      return null
    }
    this.known = { sid, text }
    return session
  }

  private async write(
    sid: string,
    session: AnySession,
    { isLast = this.calls.ending, text }: { isLast?: boolean; text?: string } = {},
  ): Promise<void> {
    if (this.held !== undefined && this.held.sid !== sid) return this.overwrite(sid, session)
    if (this.released || this.goneSid === sid) {
      if (this.known?.sid === sid && !this.isModified(sid, session)) return
      throw this.released
        ? new MisuseError('The session was let go already (a stream began, or its client left): it cannot be changed.')
        : new SessionGoneError('The session was not there any more when it was reloaded.')
    }
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.end(sid)
    const encoded = text ?? this.record.encode(sid, session)
    if (this.held === undefined) await this.lock(sid)
    await this.store(sid, encoded, lifetimeSec, isLast)
  }

  private async keep(sid: string, session: AnySession, isLast = this.calls.ending): Promise<void> {
    const { held, known } = this
    if (held === undefined) return
    if (held.sid !== sid || known === undefined) return this.prolong(sid, session)
    // What a save() before it left undone is not mended by a touch.
    if (this.failure !== undefined) throw this.failure
    return this.calls.noting(sid, async () => {
      const lifetimeSec = this.record.ttlSec(session)
      if (lifetimeSec <= 0) return this.end(sid)
      if (isLast && this.record.isFresh(sid, known.text, session)) return this.letGo()
      // An expiry that has moved is in the record as well.
      const text = this.record.withCookie(sid, known.text, session)
      if (text !== known.text || !isLast) return this.store(sid, text, lifetimeSec, isLast)
      await this.last(held, (store) => store.updateTimestamp(sid, text, { lifetimeSec }))
    })
  }

  private async store(sid: string, text: string, lifetimeSec: number, isLast: boolean): Promise<void> {
    const { held } = this
    if (held === undefined) return
    if (isLast) await this.last(held, (store) => store.write(sid, text, { lifetimeSec }))
    else await held.store.save(sid, text, { lifetimeSec })
    this.known = { sid, text }
  }

  /** The call that lets go. */
  private async last(held: Held, call: (store: SessionStore) => Promise<unknown>): Promise<void> {
    this.held = undefined
    try {
      await call(held.store)
    } finally {
      await held.store.close()
    }
  }

  private async end(sid: string): Promise<void> {
    if (this.known?.sid === sid) this.known = undefined
    if (this.held?.sid !== sid) return this.remove(sid)
    await this.last(this.held, (store) => store.destroy(sid))
  }

  private async retire(sid: string): Promise<void> {
    const { held } = this
    // Nothing of it was stored, or it is gone: what may be stored there later is not this session.
    if (held?.sid !== sid) return this.end(sid)
    this.known = undefined
    await this.last(held, (store) => store.retire(sid, this.manager.graceSec))
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

  private async lock(sid: string, signal?: AbortSignal): Promise<{ text: string; isRetired: boolean }> {
    const store = this.manager.store()
    try {
      const text = await store.read(sid, { signal, label: this.label })
      // Whoever waited for it has gone in the meantime.
      signal?.throwIfAborted()
      this.held = { sid, store }
      this.known = { sid, text }
      return { text, isRetired: store.isRetired }
    } catch (error) {
      await store.close()
      throw error
    }
  }

  private async letGo(): Promise<void> {
    const { held } = this
    this.held = undefined
    await held?.store.close()
  }
}

const nothing = (): Promise<void> => Promise.resolve()

/** express-session drops the promise; that it failed is noted, and told with the response. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
