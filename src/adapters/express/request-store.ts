import type { SessionData } from 'express-session'
import { MisuseError } from '../../errors.js'
import type { SessionManager } from '../../session/session-manager.js'
import type { SessionStore } from '../../session/session-store.js'
import { BareStore, settle } from './bare-store.js'
import { type SessionHttpError, toHttpError } from './http-error.js'
import type { AnySession, SessionRecord } from './session-record.js'

/** The session of a request, between its read and the write that lets go of it. */
interface Held {
  readonly sid: string
  readonly store: SessionStore
  /** What is stored now; '' when nothing is. */
  text: string
}

/**
 * One request's store, as express-session sees it: the lock of the request's session is taken by `get` (or by the
 * first `set` of a new one) and let go by the last call of the request.
 *
 * Calls run one after the other, so an application need not wait for its own `req.session.save()`.
 */
export class RequestStore extends BareStore {
  private held: Held | undefined
  private loaded: { readonly sid: string; readonly session: AnySession } | undefined
  private released = false
  private turn: Promise<unknown> = Promise.resolve()
  private failed: SessionHttpError | undefined
  /** express-session's `res.end` is under way: the next write or touch is the last, and lets go. */
  ending = false

  constructor(
    manager: SessionManager,
    record: SessionRecord,
    private readonly label: string | undefined,
    /** Aborts when nobody waits for the answer any more. */
    private readonly signal: AbortSignal,
  ) {
    super(manager, record)
  }

  /** Why the session was not stored, once the response's end is under way. */
  get failure(): SessionHttpError | undefined {
    return this.failed
  }

  get isHolding(): boolean {
    return this.held !== undefined
  }

  override get(sid: string, callback?: (error: unknown, session?: SessionData | null) => void): Promise<SessionData | null> {
    return settle(this.inTurn(() => this.read(sid)), callback)
  }

  override set(sid: string, session: AnySession, callback?: (error: unknown) => void): Promise<void> {
    return settle(this.saving(() => this.write(sid, session)), callback)
  }

  override touch(sid: string, session: AnySession, callback?: (error: unknown) => void): Promise<void> {
    return settle(this.saving(() => this.keep(sid, session)), callback)
  }

  override destroy(sid: string, callback?: (error: unknown) => void): Promise<void> {
    return settle(this.saving(() => this.end(sid)), callback)
  }

  /** Lets go of what is still held; after it every change is refused. Throws nothing. */
  async finish(): Promise<void> {
    this.released = true
    await this.inTurn(() => this.letGo()).catch(() => {
      // A lock that could not be let go is swept, or dies with its lease; the session itself is decided.
    })
  }

  /** Whether `session` differs from what is stored. A new one differs when there is anything in it. */
  isModified(session: AnySession): boolean {
    const { loaded } = this
    const now = this.record.fingerprint('', session)
    return now !== (loaded === undefined ? this.record.fingerprint('', { cookie: session.cookie }) : this.stored(loaded.sid))
  }

  private stored(sid: string): string {
    const text = this.held?.text
    return text === undefined || text === '' ? '' : this.record.fingerprint(sid, this.record.decode(sid, text))
  }

  private async read(sid: string): Promise<SessionData | null> {
    if (this.manager.flawOf(sid) !== undefined) return null
    if (this.held?.sid === sid) {
      this.held.text = await this.held.store.read(sid)
      return this.held.text === '' ? null : this.record.decode(sid, this.held.text)
    }
    if (this.held !== undefined || this.released) return this.peek(sid)
    const held = await this.lock(sid)
    if (held.text === '') {
      await this.letGo()
      return null
    }
    try {
      const session = this.record.decode(sid, held.text)
      this.loaded = { sid, session }
      return session
    } catch (undecodable) {
      await this.letGo()
      throw undecodable
    }
  }

  private async write(sid: string, session: AnySession): Promise<void> {
    if (this.isForeign(sid)) return this.overwrite(sid, session)
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.end(sid)
    const text = this.record.encode(sid, session)
    const held = this.held ?? (await this.lock(sid))
    if (this.ending) {
      this.held = undefined
      try {
        await held.store.write(sid, text, { lifetimeSec })
      } finally {
        await held.store.close()
      }
    } else {
      await held.store.save(sid, text, { lifetimeSec })
      held.text = text
    }
  }

  private async keep(sid: string, session: AnySession): Promise<void> {
    const { held } = this
    if (held === undefined) return
    if (held.sid !== sid) return this.prolong(sid, session)
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.end(sid)
    if (!this.ending) {
      await held.store.save(sid, held.text, { lifetimeSec })
      return
    }
    this.held = undefined
    try {
      await held.store.updateTimestamp(sid, held.text, { lifetimeSec })
    } finally {
      await held.store.close()
    }
  }

  private async end(sid: string): Promise<void> {
    if (this.held?.sid !== sid) return this.remove(sid)
    try {
      await this.held.store.destroy(sid)
    } finally {
      await this.letGo()
    }
  }

  /** A session of somebody else's, which this request writes to as a script would. */
  private isForeign(sid: string): boolean {
    if (this.held !== undefined) return this.held.sid !== sid
    if (!this.released) return false
    throw new MisuseError('The session was let go already (a stream began, or the response ended): it cannot be changed.')
  }

  private async lock(sid: string): Promise<Held> {
    const store = this.manager.store()
    try {
      const held = { sid, store, text: await store.read(sid, { signal: this.signal, label: this.label }) }
      this.signal.throwIfAborted()
      this.held = held
      return held
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

  private async saving(work: () => Promise<void>): Promise<void> {
    try {
      await this.inTurn(work)
      if (this.ending) this.failed = undefined
    } catch (error) {
      if (this.ending) this.failed = toHttpError(error)
      throw error
    }
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.turn.then(work)
    this.turn = run.catch(() => undefined)
    return run
  }
}
