import { type LatchkeyError, SessionGoneError } from '../../errors.js'
import { ownAll } from '../../session/protect.js'
import type { SessionManager } from '../../session/session-manager.js'
import type { SessionStore } from '../../session/session-store.js'
import { BareSessions } from './bare-sessions.js'
import { ClientGoneError } from './http-error.js'
import { Leaving } from './leaving.js'
import type { AnySession, SessionRecord } from './session-record.js'

/** A lock, from the read that takes it to the write that lets it go. */
interface Hold {
  readonly sid: string
  readonly store: SessionStore
}

/**
 * The session of a request: held from its read to the write that lets go of it, and what is stored as it, as far as
 * the request knows. Calls must come one after the other.
 */
export class HeldSession<S extends AnySession, Loaded extends S = S> extends BareSessions<S, Loaded> {
  private hold: Hold | undefined
  /** A session that goes on under another id, until that one is stored. */
  private old: Hold | undefined
  /** Why it could not be ended: no other one may begin then. */
  private refusal: { readonly error: unknown } | undefined
  /** What is stored; outlives the lock. */
  private known: { readonly sid: string; readonly text: string } | undefined
  /** A session that was not found any more when it was read again. */
  private goneSid: string | undefined
  private readonly leaving = new Leaving()
  /** A copy that regenerate() left behind: the session goes on under another id. */
  retiredSid: string | undefined

  constructor(
    manager: SessionManager,
    record: SessionRecord<S, Loaded>,
    private readonly label: string | undefined,
  ) {
    super(manager, record)
  }

  /** The id of what is held. */
  get sid(): string | undefined {
    return this.hold?.sid
  }

  /** The id of a session that is to go on under another, which is not stored yet. */
  get replacedSid(): string | undefined {
    return this.old?.sid
  }

  /** Whether the session was found, or stored by this request. */
  isKnown(sid: string): boolean {
    return this.textOf(sid) !== ''
  }

  /** Whether `session` differs from what is stored. A new one differs when there is anything in it. */
  isModified(sid: string, session: S): boolean {
    return this.record.isModified(sid, session, this.textOf(sid))
  }

  /** Whether the request has read the session, and has `session` as it was. */
  isUnchanged(sid: string, session: S): boolean {
    return this.known?.sid === sid && !this.isModified(sid, session)
  }

  /**
   * Whether it need not be stored where it cannot be any more: it is as it was. Throws why it cannot otherwise: `letGo`,
   * of a request that may store nothing any more; or that it was not there any more when it was read again.
   */
  isLeftAsItWas(sid: string, session: S, letGo?: LatchkeyError): boolean {
    const isGone = this.goneSid === sid
    if (letGo === undefined && !isGone) return false
    if (this.isUnchanged(sid, session)) return true
    throw letGo ?? new SessionGoneError('The session was not there any more when it was reloaded.')
  }

  /** Whether it need not be prolonged (SessionRecord.isFresh). */
  isFresh(sid: string, session: S): boolean {
    return this.sid === sid && this.record.isFresh(sid, this.textOf(sid), session)
  }

  /** Nobody waits for the answer any more: neither does this request for its session. */
  giveUpWaiting(): void {
    this.leaving.abort(new ClientGoneError('The client has gone.'))
  }

  /**
   * Null when there is none. Waits for the lock, and keeps it if there is a session that goes on under this id. Of
   * what is held already it reads again, and of any other session it has a look. One flight.
   */
  async read(sid: string): Promise<Loaded | null> {
    if (this.manager.flawOf(sid) !== undefined) return null
    if (this.hold?.sid === sid) return this.readAgain(this.hold)
    // It waits for nobody here: its lock is held.
    if (this.old?.sid === sid) return null
    if (this.hold !== undefined || this.goneSid === sid) return this.peek(sid)
    const { store } = await this.lock(sid, this.leaving)
    let isKept = false
    try {
      const session = this.decoded(sid, this.textOf(sid))
      if (session !== undefined && store.isRetired) this.retiredSid = sid
      isKept = session !== undefined && !store.isRetired
      if (session !== undefined && isKept) store.keepAlive(this.record.keptSec(session))
      return session ?? null
    } finally {
      if (!isKept) await this.letGo()
    }
  }

  /**
   * As it is now, of a session that is not held any more: nobody waits, and nothing is locked. What is stored afterwards
   * must follow from it. One flight.
   */
  async look(sid: string): Promise<Loaded | null> {
    if (this.known?.sid !== sid || this.hold !== undefined) return this.peek(sid)
    const text = await this.manager.store().peek(sid)
    const session = this.decoded(sid, text)
    if (session === undefined) this.goneSid = sid
    else this.known = { sid, text }
    return session ?? null
  }

  /**
   * Writes what is held, or begins it; `isLast` lets go as well. One flight; two for one that is begun, and another one
   * where it goes on for one that was set aside (`endOld`).
   *
   * Of a session that was let go of since it was read, what is stored must be what was read (SessionRecord.assertFollows).
   */
  async write(sid: string, text: string, lifetimeSec: number, isLast: boolean): Promise<void> {
    if (this.refusal !== undefined) throw this.refusal.error
    const hold = this.hold ?? (await this.lockAsKnown(sid))
    if (isLast) await this.last(hold, (store) => store.write(sid, text, { lifetimeSec }))
    else await hold.store.save(sid, text, { lifetimeSec })
    this.known = { sid, text }
    if (this.old !== undefined) await this.endOld(sid)
  }

  /** As `write`; but what is stored already need only be prolonged. */
  async store(sid: string, text: string, lifetimeSec: number, isLast: boolean): Promise<void> {
    const { hold } = this
    if (hold === undefined || !isLast || this.textOf(sid) !== text) return this.write(sid, text, lifetimeSec, isLast)
    await this.last(hold, (store) => store.updateTimestamp(sid, text, { lifetimeSec }))
  }

  /** Prolongs what is held, with the cookie of `session`, whose expiry is part of the record; `isLast` lets go as well. */
  async touch(sid: string, session: S, isLast: boolean): Promise<void> {
    const lifetimeSec = this.record.ttlSec(session)
    if (lifetimeSec <= 0) return this.destroy(sid)
    if (isLast && this.isFresh(sid, session)) return this.letGo()
    await this.store(sid, this.record.withCookie(sid, this.textOf(sid), session), lifetimeSec, isLast)
  }

  /** What was set aside is about to end. */
  override async prolong(sid: string, session: S): Promise<void> {
    if (this.old?.sid !== sid) await super.prolong(sid, session)
  }

  /** With its lock, if it is held, and with what was set aside for it. One flight each. */
  override async destroy(sid: string): Promise<void> {
    const { hold, old } = this
    if (this.known?.sid === sid) this.known = undefined
    if (hold?.sid === sid) await this.last(hold, (store) => store.destroy(sid))
    else if (old?.sid !== sid) await super.destroy(sid)
    if (old === undefined) return
    // Nothing came in its place: the session is still the old one.
    this.old = undefined
    await this.last(old, (store) => store.destroy(old.sid))
  }

  /** The session goes on under another id; until that one is stored it stays as it is, and locked. */
  async setAside(sid: string): Promise<void> {
    const { hold, old } = this
    this.known = undefined
    if (hold?.sid === sid && old === undefined) {
      this.hold = undefined
      this.old = hold
    }
    // That one never came to be.
    else if (hold?.sid === sid) await this.last(hold, (store) => store.destroy(sid))
    // Nothing of it was stored, or it is gone: what may be stored there later is not this session.
    else if (old === undefined) await this.destroy(sid)
  }

  /**
   * Ends what was set aside (SessionStore.retire), now that `newSid` is stored, or that the request is over and nothing
   * is to come in its place. One flight. Where another has destroyed or changed it in the meantime, that one has won:
   * the new session is destroyed, no other one begins, and this throws.
   */
  async endOld(newSid?: string): Promise<void> {
    const { old } = this
    if (old === undefined) return
    this.old = undefined
    try {
      await old.store.retire(old.sid, this.manager.graceSec)
    } catch (error) {
      this.refusal = { error }
      if (newSid !== undefined) await this.destroy(newSid).catch(() => undefined)
      throw error
    } finally {
      await old.store.close()
    }
  }

  /** Of all that is held, without storing. One flight, or none. */
  async letGo(): Promise<void> {
    const stores = [this.hold?.store, this.old?.store]
    this.hold = this.old = undefined
    await Promise.all(stores.map((store) => store?.close()))
  }

  private async readAgain({ sid, store }: Hold): Promise<Loaded | null> {
    const text = await store.read(sid)
    const session = this.decoded(sid, text)
    if (session === undefined) {
      // `known` stays: what was not changed since is no loss.
      this.goneSid = sid
      await this.letGo()
      return null
    }
    this.known = { sid, text }
    return session
  }

  private async lock(sid: string, signal?: Leaving): Promise<Hold> {
    const store = this.manager.store()
    try {
      const text = await store.read(sid, { signal, label: this.label })
      // Whoever waited for it has gone in the meantime.
      signal?.throwIfAborted()
      this.known = { sid, text }
      return (this.hold = { sid, store })
    } catch (error) {
      await store.close()
      throw error
    }
  }

  private async lockAsKnown(sid: string): Promise<Hold> {
    const { known } = this
    const hold = await this.lock(sid)
    try {
      if (known?.sid === sid) this.record.assertFollows(sid, known.text, this.textOf(sid))
      return hold
    } catch (error) {
      // It is still what was read that the request's changes are changes of.
      this.known = known
      await this.letGo()
      throw error
    }
  }

  /** The call that lets go. */
  private async last(hold: Hold, call: (store: SessionStore) => Promise<unknown>): Promise<void> {
    this.hold = undefined
    try {
      await call(hold.store)
    } finally {
      await hold.store.close()
    }
  }

  private decoded(sid: string, text: string): Loaded | undefined {
    const session = text === '' ? undefined : this.record.decode(sid, text)
    return session && ownAll(session)
  }

  private textOf(sid: string): string {
    return this.known?.sid === sid ? this.known.text : ''
  }
}
