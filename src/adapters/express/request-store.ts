import type { SessionData } from 'express-session'
import { MisuseError, SessionGoneError } from '../../errors.js'
import type { SessionManager } from '../../session/session-manager.js'
import type { SessionStore } from '../../session/session-store.js'
import { type AnySession, BareStore, type ExpressRecord, settle } from './bare-store.js'
import { ClientGoneError, type SessionHttpError, toHttpError } from '../http/http-error.js'

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
  private turn: Promise<unknown> = Promise.resolve()
  private pending = 0
  private failed: { readonly sid: string; readonly error: SessionHttpError; readonly isTold: boolean } | undefined
  private readonly gone = new AbortController()
  /** express-session's `res.end` is under way: the next write or touch is the last, and lets go. */
  ending = false

  constructor(
    manager: SessionManager,
    record: ExpressRecord,
    private readonly label: string | undefined,
  ) {
    super(manager, record)
  }

  /** Why the session is not stored as it is. */
  get failure(): SessionHttpError | undefined {
    return this.failed?.error
  }

  /** `save()`, or another call before the response's end, came back with the failure. */
  get isFailureTold(): boolean {
    return this.failed?.isTold === true
  }

  get isHolding(): boolean {
    return this.held !== undefined
  }

  /** Nothing is held and nothing under way. */
  get isIdle(): boolean {
    return this.held === undefined && this.pending === 0
  }

  override get(sid: string, callback?: (error: unknown, session?: SessionData | null) => void): Promise<SessionData | null> {
    const reading = this.inTurn(() => this.read(sid))
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
    return quiet(settle(this.changing(sid, () => this.write(sid, session)), callback))
  }

  override touch(sid: string, session: AnySession, callback?: (error: unknown) => void): Promise<void> {
    return quiet(settle(this.inTurn(() => this.keep(sid, session)), callback))
  }

  override destroy(sid: string, callback?: (error: unknown) => void): Promise<void> {
    // express-session, with `unset: 'destroy'`, takes a session that could not be read for one that is not wanted.
    const work = (): Promise<void> => (this.ending && this.reading === 'failed' ? Promise.resolve() : this.end(sid))
    return quiet(settle(this.changing(sid, work), callback))
  }

  /** Nobody waits for the answer any more: neither does this request for its session. */
  giveUpWaiting(): void {
    this.gone.abort(new ClientGoneError('The client has gone.'))
  }

  /** Lets go of what is still held, after what is under way; then every change is refused. Throws nothing. */
  async finish(): Promise<void> {
    if (this.reading === 'under way') this.giveUpWaiting()
    await this.inTurn(() => {
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
    if (this.held !== undefined || this.released || this.goneSid === sid) return this.peek(sid)
    const text = await this.lock(sid, this.gone.signal)
    try {
      const session = text === '' ? undefined : this.record.decode(sid, text)
      if (session === undefined) await this.letGo()
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

  private async write(sid: string, session: AnySession): Promise<void> {
    if (this.held !== undefined && this.held.sid !== sid) return this.overwrite(sid, session)
    if (this.released || this.goneSid === sid) {
      if (this.known?.sid === sid && !this.isModified(sid, session)) return
      throw this.released
        ? new MisuseError('The session was let go already (a stream began, or its client left): it cannot be changed.')
        : new SessionGoneError('The session was not there any more when it was reloaded.')
    }
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.end(sid)
    const text = this.record.encode(sid, session)
    if (this.held === undefined) await this.lock(sid)
    await this.store(sid, text, lifetimeSec)
  }

  private async keep(sid: string, session: AnySession): Promise<void> {
    const { held, known } = this
    if (held === undefined) return
    if (held.sid !== sid || known === undefined) return this.prolong(sid, session)
    // What a save() before it left undone is not mended by a touch.
    if (this.failed !== undefined) throw this.failed.error
    return this.noting(sid, async () => {
      const lifetimeSec = this.record.ttlSec(session)
      if (lifetimeSec <= 0) return this.end(sid)
      // An expiry that has moved is in the record as well.
      const text = this.record.withCookie(sid, known.text, session)
      if (text !== known.text || !this.ending) return this.store(sid, text, lifetimeSec)
      await this.last(held, (store) => store.updateTimestamp(sid, text, { lifetimeSec }))
    })
  }

  private async store(sid: string, text: string, lifetimeSec: number): Promise<void> {
    const { held } = this
    if (held === undefined) return
    if (this.ending) await this.last(held, (store) => store.write(sid, text, { lifetimeSec }))
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

  private async lock(sid: string, signal?: AbortSignal): Promise<string> {
    const store = this.manager.store()
    try {
      const text = await store.read(sid, { signal, label: this.label })
      // Whoever waited for it has gone in the meantime.
      signal?.throwIfAborted()
      this.held = { sid, store }
      this.known = { sid, text }
      return text
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

  private changing(sid: string, work: () => Promise<void>): Promise<void> {
    const { ending } = this
    return this.inTurn(() => this.noting(sid, work, ending))
  }

  /** Notes whether it failed; a later change of the same session that is stored makes up for one that was not. */
  private async noting(sid: string, work: () => Promise<void>, wasEnding = this.ending): Promise<void> {
    try {
      await work()
      if (this.failed?.sid === sid) this.failed = undefined
    } catch (thrown) {
      const error = toHttpError(thrown)
      this.failed = { sid, error, isTold: !wasEnding && !this.ending }
      throw error
    }
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.pending++
    const run = this.turn.then(work).finally(() => this.pending--)
    this.turn = run.catch(() => undefined)
    return run
  }
}

/** express-session drops the promise; that it failed is noted, and told with the response. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
