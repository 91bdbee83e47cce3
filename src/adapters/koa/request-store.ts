import { ReadOnlyError, type ReadOnlyReason } from '../../errors.js'
import { ownAll } from '../../session/protect.js'
import type { SessionManager } from '../../session/session-manager.js'
import type { SessionStore } from '../../session/session-store.js'
import { ClientGoneError, type SessionHttpError, toHttpError } from '../http/http-error.js'

/** Seconds that a session lives whose cookie has no end, where the manager was given no `lifetimeSec`. */
const DEFAULT_LIFETIME_SEC = 86_400

/** The session of a request, between its read and the write that lets go. */
interface Held {
  readonly sid: string
  readonly store: SessionStore
}

/**
 * One request's store, as koa-session sees it: `get` takes the lock (or the first `set` of a new session does), and the
 * last `set` of the request lets go in the flight that stores.
 */
export class RequestStore {
  private held: Held | undefined
  /** A session that goes on under another id, until that one is stored. */
  private old: Held | undefined
  /** The id that was found, or stored by this request. */
  private knownSid: string | undefined
  /** Why regenerate() could not end the old session: a new one must not begin then. */
  private dead: SessionHttpError | undefined
  private turn: Promise<unknown> = Promise.resolve()
  private readonly gone = new AbortController()
  /** Why nothing can be changed (any more). */
  protection: ReadOnlyReason | undefined
  /** `set` lets go. */
  isLast = false
  /** `destroy` comes from regenerate(). */
  isRegenerating = false

  constructor(
    private readonly manager: SessionManager,
    private readonly label: string,
    isReadOnly: boolean,
  ) {
    if (isReadOnly) this.protection = 'readOnly'
  }

  get(sid: string): Promise<object | undefined> {
    return this.inTurn(() => this.read(sid))
  }

  /** `maxAgeMs` is no number where the cookie ends with the browser. */
  async set(sid: string, session: object, maxAgeMs: unknown): Promise<void> {
    // At once: what is changed while the call waits for its turn is not part of it.
    const { isLast } = this
    this.assertChangeable()
    const text = this.manager.encode(sid, session)
    return this.inTurn(() => this.write(sid, text, this.lifetimeSecOf(maxAgeMs), isLast))
  }

  async destroy(sid: string): Promise<void> {
    const { isRegenerating } = this
    if (isRegenerating || this.protection !== 'retired') this.assertChangeable()
    return this.inTurn(() => (isRegenerating ? this.retire(sid) : this.logOut(sid)))
  }

  /** Nobody waits for the answer any more: neither does this request for its session. */
  giveUpWaiting(): void {
    this.gone.abort(new ClientGoneError('The client has gone.'))
  }

  /** Lets go of what is still held, after what is under way; from then on nothing can be changed. Throws nothing. */
  async finish(): Promise<void> {
    this.giveUpWaiting()
    this.protection ??= 'released'
    await this.inTurn(() => this.letGo()).catch(() => {
      // A lock that could not be let go is swept, or dies with its lease; the session itself is decided.
    })
  }

  private async read(sid: string): Promise<object | undefined> {
    const { manager } = this
    if (manager.flawOf(sid) !== undefined) return undefined
    if (this.protection !== undefined) return this.decoded(sid, await manager.store().peek(sid))
    const store = await this.lock(sid, this.gone.signal)
    let isKept = false
    try {
      const session = this.decoded(sid, store.text)
      if (store.isRetired) this.protection = 'retired'
      isKept = session !== undefined && !store.isRetired
      if (session !== undefined) this.held?.store.keepAlive(this.leftSec(session))
      return session
    } finally {
      if (!isKept) await this.letGo()
    }
  }

  private decoded(sid: string, text: string): object | undefined {
    if (text === '') return undefined
    this.knownSid = sid
    return ownAll(this.manager.decode(sid, text))
  }

  private async write(sid: string, text: string, lifetimeSec: number, isLast: boolean): Promise<void> {
    if (this.dead !== undefined) throw this.dead
    // What was found was not taken for a session (`valid`, or its time is over): this is another one.
    if (this.held !== undefined && this.held.sid !== sid) await this.letGo()
    if (lifetimeSec <= 0) return this.end(sid)
    if (this.held === undefined) await this.lock(sid)
    if (this.held !== undefined) await this.store(this.held, text, lifetimeSec, isLast && this.old === undefined)
    this.knownSid = sid
    if (this.old === undefined) return
    await this.endOld(this.old, sid)
    if (isLast) await this.letGo()
  }

  private async store({ sid, store }: Held, text: string, lifetimeSec: number, isLast: boolean): Promise<void> {
    if (!isLast) return void (await store.save(sid, text, { lifetimeSec }))
    this.held = undefined
    try {
      await store.write(sid, text, { lifetimeSec })
    } finally {
      await store.close()
    }
  }

  /** regenerate() ends the old session first; here it ends when the new one is stored. */
  private async retire(sid: string): Promise<void> {
    if (this.held?.sid !== sid) return
    this.old = this.held
    this.held = undefined
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

  private async logOut(sid: string): Promise<void> {
    const { old } = this
    await this.end(sid)
    if (old === undefined) return
    // A regenerate() that did not come to its end.
    this.old = undefined
    this.held = old
    await this.end(old.sid)
  }

  private async end(sid: string): Promise<void> {
    const { held } = this
    // A new session that was never stored.
    if (held?.sid !== sid && this.knownSid !== sid) return
    const store = held?.sid === sid ? held.store : this.manager.store()
    if (held?.sid === sid) this.held = undefined
    try {
      await store.destroy(sid)
    } finally {
      await store.close()
    }
  }

  private async lock(sid: string, signal?: AbortSignal): Promise<{ text: string; isRetired: boolean }> {
    const store = this.manager.store()
    try {
      const text = await store.read(sid, { signal, label: this.label })
      // Whoever waited for it has gone in the meantime.
      signal?.throwIfAborted()
      this.held = { sid, store }
      return { text, isRetired: store.isRetired }
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

  private assertChangeable(): void {
    if (this.protection !== undefined) throw new ReadOnlyError(this.protection)
  }

  /** How long a session has left, if it says so: for no longer is it kept alive. What is over, koa-session has yet to see. */
  private leftSec(session: object): number | undefined {
    const endsMs = '_expire' in session ? session._expire : undefined
    return typeof endsMs === 'number' ? Math.max(this.lifetimeSecOf(endsMs - Date.now()), 1) : undefined
  }

  private lifetimeSecOf(maxAgeMs: unknown): number {
    if (typeof maxAgeMs === 'number') return Math.ceil(maxAgeMs / 1000)
    return this.manager.givenLifetimeSec ?? DEFAULT_LIFETIME_SEC
  }

  /** One call after the other, so that an application need not wait for its own. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.turn.then(work).catch((error: unknown) => {
      throw toHttpError(error)
    })
    this.turn = run.catch(() => undefined)
    return run
  }
}
