import { MisuseError } from '../errors.js'
import type { SessionEngine } from './session-engine.js'
import { decode, encode } from './serializer.js'
import { type ReadOptions, SessionStore, type WriteOptions } from './session-store.js'

export interface StartOptions extends ReadOptions, WriteOptions {
  /** PHP's use_strict_mode: an id that no session has is not taken over; a new one is made. Default false. */
  readonly strict?: boolean
}

/** PHP tries as often before it gives up (ext/session/session.c). */
const MAX_SID_TRIES = 3

/**
 * One request's session, locked: change `data`, then let go with `release()` (or `await using`).
 *
 * `data` holds what was stored, `{}` in a new session; its type is what the application says it is.
 */
export class Session<T extends object> implements AsyncDisposable {
  private constructor(
    private readonly engine: SessionEngine,
    private readonly store: SessionStore,
    private readonly options: StartOptions,
    private currentId: string,
    public data: Partial<T>,
    /** The text that was read or last stored; undefined forces the next store. */
    private baseline: string | undefined,
    /** Whether the session was begun by this request. */
    public readonly isNew: boolean,
  ) {
    this.isStored = !isNew
  }

  private isStored: boolean
  private over = false

  /** For SessionManager.start(). */
  static async start<T extends object>(
    engine: SessionEngine,
    id: string | undefined,
    options: StartOptions,
  ): Promise<Session<T>> {
    const store = new SessionStore(engine)
    let sid = id ?? store.createSid()
    if (id !== undefined && options.strict === true && !(await store.validateId(id, options))) sid = store.createSid()
    try {
      const { serializer } = engine.settings
      const text = await store.read(sid, options)
      const isNew = text === ''
      const data: Partial<T> = isNew ? {} : decode(serializer, sid, text)
      return new Session<T>(engine, store, options, sid, data, isNew ? encode(serializer, sid, {}) : text, isNew)
    } catch (error) {
      await store.close()
      throw error
    }
  }

  get id(): string {
    return this.currentId
  }

  /** Whether the lock may be believed to be ours. An early exit, never proof. */
  get isHeld(): boolean {
    return this.store.isHeld
  }

  /** Aborts, with the typed error as its reason, when the lock is lost: what is written then would be refused. */
  get signal(): AbortSignal {
    return this.store.signal
  }

  /** Stores the session now and keeps the lock. One flight. Errors as in SessionStore.write(). */
  async save(): Promise<void> {
    this.assertLive()
    const text = this.encode()
    await this.store.save(this.currentId, text, this.options)
    this.baseline = text
    this.isStored = true
  }

  /**
   * Stores what changed and lets go: PHP's session_write_close(). One flight. Later changes of `data` go nowhere.
   * A new session in which nothing changed is not stored. Does nothing when it was released, aborted or destroyed before. Errors as in SessionStore.write().
   */
  async release(): Promise<void> {
    if (this.over) return
    const text = this.encode()
    this.over = true
    try {
      if (text !== this.baseline) await this.store.write(this.currentId, text, this.options)
      else if (this.isStored) await this.store.updateTimestamp(this.currentId, text, this.options)
    } finally {
      await this.store.close()
    }
  }

  /** Lets go and stores nothing: PHP's session_abort(). One flight. */
  async abort(): Promise<void> {
    this.over = true
    await this.store.close()
  }

  /** Destroys the session and lets go. One flight. Errors as in SessionStore.destroy(). */
  async destroy(): Promise<void> {
    this.assertLive()
    this.over = true
    try {
      await this.store.destroy(this.currentId)
    } finally {
      await this.store.close()
    }
  }

  /**
   * Goes on under a new id with the same data: at every login, against session fixation.
   * The old session is destroyed, or stored as it is with `keepOld`. The new one is locked, and stored at the next
   * save or release even if nothing changes. Three flights.
   */
  async regenerate(options: { readonly keepOld?: boolean } = {}): Promise<void> {
    this.assertLive()
    const text = this.encode()
    if (options.keepOld === true) await this.store.write(this.currentId, text, this.options)
    else await this.store.destroy(this.currentId)
    await this.store.close()
    await this.store.open()
    this.currentId = await this.freshId()
    await this.store.read(this.currentId, this.options)
    this.baseline = undefined
  }

  /** As `release()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  private async freshId(): Promise<string> {
    for (let tries = 0; tries < MAX_SID_TRIES; tries++) {
      const sid = this.store.createSid()
      if (!(await this.store.validateId(sid, this.options))) return sid
    }
    throw new MisuseError('Every new session id exists already: the random source does not work.')
  }

  private encode(): string {
    return encode(this.engine.settings.serializer, this.currentId, this.data)
  }

  private assertLive(): void {
    if (this.over) throw new MisuseError('The session was released, aborted or destroyed; start it again.')
  }
}
