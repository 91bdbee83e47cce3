import type { Session } from 'fastify'
import { ReadOnlyError, type ReadOnlyReason, SessionGoneError } from '../../../errors.js'
import type { SessionManager } from '../../../session/session-manager.js'
import type { SessionStore } from '../../../session/session-store.js'
import { ClientGoneError, type SessionHttpError, toHttpError } from '../../http/http-error.js'
import { Calls } from '../calls.js'
import { BareStore, type FastifyRecord, plainOf } from './bare-store.js'
import { type Callback, settle } from './settle.js'

/** The session of a request, between its read and the write that lets go of it. */
interface Held {
  readonly sid: string
  readonly store: SessionStore
}

/**
 * One request's store, as @fastify/session sees it: the lock of the request's session is taken by `get` (or by the
 * first `set` of a new one) and let go by the last call of the request.
 */
export class RequestStore extends BareStore {
  private held: Held | undefined
  /** A session that goes on under another id, until that one is stored. */
  private old: Held | undefined
  /** What is stored, as far as this request knows; outlives the lock. */
  private known: { readonly sid: string; readonly text: string } | undefined
  /** A session that reload() did not find any more. */
  private goneSid: string | undefined
  private readonly destroyed = new Set<string>()
  /** Why regenerate() could not end the old session: a new one must not begin then. */
  private dead: SessionHttpError | undefined
  private released = false
  private readonly gone = new AbortController()
  readonly calls = new Calls()
  private readOnly: ReadOnlyReason | undefined
  /** The next write is the last, and lets go. */
  isLast = false
  /** `destroy` comes from regenerate(). */
  isRegenerating = false

  constructor(
    manager: SessionManager,
    record: FastifyRecord,
    private readonly label: string | undefined,
    /** Reads without waiting and without a lock, and changes nothing. */
    isReadOnly: boolean,
  ) {
    super(manager, record)
    if (isReadOnly) this.readOnly = 'readOnly'
  }

  /** Whether the session is one that can be stored; after release() it is still one whose cookie is set. */
  get mayChange(): boolean {
    return this.readOnly === undefined
  }

  /** Whether the session was found, or stored by this request. */
  isKnown(sid: string): boolean {
    return this.known?.sid === sid && this.known.text !== ''
  }

  /** Why nothing can be changed (any more). */
  get protection(): ReadOnlyReason | undefined {
    return this.readOnly ?? (this.released ? 'released' : undefined)
  }

  override get(sid: string, callback?: Callback<Session | null>): Promise<Session | null> {
    return settle(this.calls.inTurn(() => this.read(sid)), callback)
  }

  override set(sid: string, session: Session, callback?: Callback<void>): Promise<void> {
    return settle(this.calls.storing(sid, () => this.write(sid, plainOf(session))), callback)
  }

  override touch(sid: string, session: Session, callback?: Callback<void>): Promise<void> {
    const plain = plainOf(session)
    const work = (): Promise<void> => (this.held?.sid === sid ? this.keep(sid, plain) : this.prolong(sid, plain))
    return settle(this.calls.storing(sid, work), callback)
  }

  override destroy(sid: string, callback?: Callback<void>): Promise<void> {
    // At once: a response that does not wait for it must not store the session again.
    if (this.readOnly !== 'readOnly') this.destroyed.add(sid)
    const { isRegenerating } = this
    return settle(this.calls.storing(sid, () => (isRegenerating ? this.retire(sid) : this.end(sid))), callback)
  }

  /** Nobody waits for the answer any more: neither does this request for its session. */
  giveUpWaiting(): void {
    this.gone.abort(new ClientGoneError('The client has gone.'))
  }

  /** Lets go of what is still held, after what is under way; then every change is refused. Throws nothing. */
  async finish(): Promise<void> {
    await this.calls.inTurn(() => {
      this.released = true
      return this.letGo()
    }).catch(() => {
      // A lock that could not be let go is swept, or dies with its lease; the session itself is decided.
    })
  }

  private async read(sid: string): Promise<Session | null> {
    if (this.manager.flawOf(sid) !== undefined) return null
    if (this.held?.sid === sid) return this.readAgain(this.held)
    if (this.held !== undefined || this.protection !== undefined || this.goneSid === sid) return this.peek(sid)
    const text = await this.lock(sid, this.gone.signal)
    try {
      const session = text === '' ? undefined : this.record.decode(sid, text)
      if (this.isRetired) this.readOnly = 'retired'
      if (session === undefined || this.isRetired) await this.letGo()
      return session ?? null
    } catch (undecodable) {
      await this.letGo()
      throw undecodable
    }
  }

  private async readAgain({ sid, store }: Held): Promise<Session | null> {
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

  private async write(sid: string, session: Session): Promise<void> {
    if (this.readOnly !== undefined) throw new ReadOnlyError(this.readOnly)
    if (this.dead !== undefined) throw this.dead
    if (this.destroyed.has(sid)) return
    if (this.held !== undefined && this.held.sid !== sid) return this.overwrite(sid, session)
    if (this.released || this.goneSid === sid) {
      if (this.known?.sid === sid && !this.record.isModified(sid, session, this.known.text)) return
      throw this.released
        ? new ReadOnlyError('released')
        : new SessionGoneError('The session was not there any more when it was reloaded.')
    }
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) {
      if (this.old !== undefined) await this.endOld(this.old, sid)
      return this.end(sid)
    }
    const text = this.record.encode(sid, session)
    if (this.isLast && this.isFresh(sid, session)) return this.letGo()
    if (this.held === undefined) await this.lock(sid)
    await this.store(sid, text, lifetimeSec)
    if (this.old !== undefined) await this.endOld(this.old, sid)
  }

  /** Neither changed nor due to be prolonged. */
  private isFresh(sid: string, session: Session): boolean {
    const { record, known } = this
    if (known?.sid !== sid || this.held?.sid !== sid || this.calls.failure !== undefined) return false
    return record.isFresh(sid, known.text, session) && !record.isModified(sid, session, known.text)
  }

  /** The expiry is in the record as well. */
  private async keep(sid: string, session: Session): Promise<void> {
    if (this.known?.sid !== sid) return
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.end(sid)
    await this.store(sid, this.record.withCookie(sid, this.known.text, session), lifetimeSec)
  }

  private async store(sid: string, text: string, lifetimeSec: number): Promise<void> {
    const { held, known } = this
    if (held === undefined) return
    const isUnchanged = known?.sid === sid && known.text === text
    if (!this.isLast) await held.store.save(sid, text, { lifetimeSec })
    else if (isUnchanged) await this.last(held, (store) => store.updateTimestamp(sid, text, { lifetimeSec }))
    else await this.last(held, (store) => store.write(sid, text, { lifetimeSec }))
    this.known = { sid, text }
  }

  /** The call that lets go. */
  private async last(held: Held, call: (store: SessionStore) => Promise<unknown>): Promise<void> {
    this.held = undefined
    try {
      await call(held.store)
    } finally {
      this.released = this.isLast
      await held.store.close()
    }
  }

  private get isRetired(): boolean {
    return this.held?.store.isRetired === true
  }

  /** regenerate() ends the old session first; it ends here when the new one is stored. */
  private async retire(sid: string): Promise<void> {
    if (this.protection !== undefined) throw new ReadOnlyError(this.protection)
    const { held } = this
    if (held?.sid !== sid) return this.end(sid)
    this.old = held
    this.held = undefined
    this.known = undefined
  }

  private async endOld({ sid, store }: Held, newSid: string): Promise<void> {
    this.old = undefined
    try {
      await store.retire(sid, this.manager.graceSec)
    } catch (error) {
      // Destroyed or changed by another in the meantime: that one has won, and no new session begins.
      this.dead = toHttpError(error)
      await this.end(newSid).catch(() => undefined)
      throw this.dead
    } finally {
      await store.close()
    }
  }

  private async end(sid: string): Promise<void> {
    if (this.readOnly === 'readOnly') throw new ReadOnlyError(this.readOnly)
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
    const stores = [this.held?.store, this.old?.store]
    this.held = this.old = undefined
    await Promise.all(stores.map((store) => store?.close()))
  }
}
