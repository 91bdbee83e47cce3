import { inspect } from 'node:util'
import { ReadOnlyError, type ReadOnlyReason, SessionGoneError } from '../errors.js'
import { hashOf } from '../system/session-hash.js'
import { own, ownAll, protect } from './protect.js'
import { checkedLifetimeSec } from './options.js'
import { takeLifetime, withLifetime } from './own-lifetime.js'
import type { SessionEngine } from './session-engine.js'
import { assertObject, decode, encode } from './serializer.js'
import { LockedRecord, type ReadOptions, type RegenerateOptions } from './locked-record.js'
import type { WriteOptions } from './session-store.js'

export interface StartOptions extends ReadOptions, WriteOptions {
  /** PHP's use_strict_mode: an id that no session has is not taken over; a new one is made. Default false. */
  readonly strict?: boolean
  /** PHP's read_and_close: read without waiting and without a lock; `data` cannot be changed. Default false. */
  readonly readOnly?: boolean
  /**
   * Only a session that is stored: where there is none under the id, or no key can be made of it, LATCHKEY_SESSION_GONE,
   * nothing is kept locked and `run` does not call its work. For who works on a session that others began and may have
   * ended (a queue's worker). Not with `strict`. Default false: a new session begins.
   */
  readonly ifExists?: boolean
}

/** What was found under an id. */
interface Found {
  readonly id: string
  readonly text: string
  readonly readOnly: ReadOnlyReason | undefined
  /** Undefined where it was only looked at. */
  readonly record: LockedRecord | undefined
}

/**
 * One request's session, locked: change `data`, then let go with `release()` (or `await using`).
 *
 * `data` holds what was stored, `{}` in a new session; its type is what the application says it is.
 */
export class Session<T extends object> implements AsyncDisposable {
  /** Whether the session was begun by this request. */
  readonly isNew: boolean
  private currentId: string
  private current: Partial<T>
  /** The text that was read or last stored; undefined forces the next store. */
  private baseline: string | undefined
  private isStored: boolean
  private readOnly: ReadOnlyReason | undefined
  private ownLifetimeSec: number | undefined
  private record: LockedRecord | undefined

  private constructor(
    private readonly engine: SessionEngine,
    private readonly options: StartOptions,
    { id, text, readOnly, record }: Found,
  ) {
    this.record = record
    const { serializer } = engine.dialect
    this.currentId = id
    this.isNew = text === ''
    this.isStored = !this.isNew
    this.current = this.isNew ? own({}) : ownAll(decode(serializer, id, text))
    this.baseline = this.isNew ? encode(serializer, id, {}) : text
    this.readOnly = readOnly
    this.ownLifetimeSec = takeLifetime(this.current)
    if (this.ownLifetimeSec !== undefined) record?.keepAlive(this.ownLifetimeSec)
  }

  /** For SessionManager.start(). */
  static async start<T extends object>(
    engine: SessionEngine,
    id: string | undefined,
    options: StartOptions,
  ): Promise<Session<T>> {
    const found = options.readOnly === true ? await peeked(engine, id, options) : await locked(engine, id, options)
    try {
      return new Session<T>(engine, options, found)
    } catch (error) {
      await found.record?.release()
      throw error
    }
  }

  /**
   * What the session holds. Where it cannot be changed (`isReadOnly`), an attempt to change it, or anything in it,
   * throws LATCHKEY_READ_ONLY at that moment, with the `reason`.
   */
  get data(): Partial<T> {
    this.protect()
    return this.current
  }

  set data(data: Partial<T>) {
    this.assertChangeable()
    assertObject(this.currentId, data)
    this.current = data
  }

  /**
   * Seconds that this session lives from each store or prolonging, whoever does it: kept with it, it goes before the
   * option `lifetimeSec`. At least 1. Undefined, as of a new session: it has none of its own.
   *
   * @throws LATCHKEY_INVALID_OPTION, LATCHKEY_READ_ONLY
   */
  get lifetimeSec(): number | undefined {
    return this.ownLifetimeSec
  }

  set lifetimeSec(lifetimeSec: number | undefined) {
    this.assertChangeable()
    this.ownLifetimeSec = lifetimeSec === undefined ? undefined : checkedLifetimeSec(lifetimeSec)
  }

  /** A session in a log must show neither the id, which opens it to whoever reads the log, nor what visitors keep in it. */
  [inspect.custom](): string {
    return `Session { session: '${hashOf(this.currentId)}', isHeld: ${String(this.isHeld)}, isNew: ${String(this.isNew)} }`
  }

  /** Started with `readOnly`, released, aborted, destroyed, or the copy that a regenerated session left behind. */
  get isReadOnly(): boolean {
    return this.readOnly !== undefined
  }

  get id(): string {
    return this.currentId
  }

  /** Whether the lock may be believed to be ours. An early exit, never proof. */
  get isHeld(): boolean {
    return this.record?.isHeld === true
  }

  /** Aborts, with the typed error as its reason, when the lock is lost: what is written then would be refused. */
  get signal(): AbortSignal {
    return this.record?.signal ?? new AbortController().signal
  }

  /** Stores the session now and keeps the lock. One flight. LATCHKEY_READ_ONLY, and errors as in SessionStore.write(). */
  async save(): Promise<void> {
    this.assertChangeable()
    const text = this.encode()
    await this.held.save(text, this.storingSec)
    this.baseline = text
    this.isStored = true
  }

  /**
   * Stores what changed and lets go: PHP's session_write_close(). One flight. From then on `data`, and all that was
   * taken from it before, can only be read: a change throws LATCHKEY_READ_ONLY. Objects that the application put into it
   * stay the application's own: the session keeps a copy of them as they were stored.
   * A new session in which nothing changed is not stored. Does nothing when it is read-only, or was aborted or
   * destroyed before. Errors as in SessionStore.write().
   */
  async release(): Promise<void> {
    if (this.isReadOnly) return
    const storing = this.finish()
    try {
      // Now: what is changed while the flight is under way is not in it.
      this.protect()
    } finally {
      await storing
    }
  }

  /** As `release()`, but that what was taken from `data` before is not looked after: its block has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isReadOnly) return
    try {
      await this.finish()
    } catch (error) {
      // It could not be written down, and nobody is left to mend that: it is not held any longer.
      if (!this.isReadOnly) await this.abort()
      throw error
    }
  }

  /** Lets go and stores nothing: PHP's session_abort(). One flight. A change from then on throws LATCHKEY_READ_ONLY. */
  async abort(): Promise<void> {
    this.readOnly ??= 'aborted'
    try {
      this.protect()
    } finally {
      await this.record?.release()
    }
  }

  /**
   * Destroys the session and lets go. One flight. A retired copy may be destroyed as well. A change from then on throws
   * LATCHKEY_READ_ONLY.
   * LATCHKEY_READ_ONLY where it was started with `readOnly` or released, and errors as in SessionStore.destroy().
   */
  async destroy(): Promise<void> {
    if (this.readOnly !== 'retired') this.assertChangeable()
    this.readOnly = 'destroyed'
    try {
      this.protect()
      await this.held.destroy()
    } finally {
      await this.record?.release()
    }
  }

  /**
   * Goes on under a new id with the same data: at every login, against session fixation. Three flights.
   *
   * The new session is locked and stored before the old one ends, and the old one is locked until it has ended: no
   * other request can use either in between, and at no moment is there none. Requests under way with the old id find
   * it gone (LATCHKEY_SESSION_GONE), or for `retiredCopySec` a copy of what was last stored there, which holds nothing of
   * the new session and is never written: none of them changes, ends or learns of the new session.
   * A process that dies in between leaves the old session as it was, and a new one whose id nobody was told.
   *
   * When the old session was destroyed or changed by another, that one has won: the new session is destroyed again,
   * this one is over, and the error is LATCHKEY_SESSION_GONE, LATCHKEY_FENCED or LATCHKEY_LOCK_LOST.
   * Where no answer to the old one's end is seen, the session goes on under the new id, and the old one is ended later
   * (SessionStore.retire); with `keepOld` it may then be as it was last stored.
   * Else LATCHKEY_READ_ONLY, LATCHKEY_INVALID_OPTION, and errors as in SessionStore.write(): the old one goes on.
   */
  async regenerate(options: RegenerateOptions = {}): Promise<void> {
    this.assertChangeable()
    const text = this.encode()
    const old = this.held
    try {
      this.record = await old.goOn(text, { ...this.options, lifetimeSec: this.storingSec }, options)
    } catch (error) {
      if (!old.isHeld) await this.abort()
      throw error
    }
    this.currentId = this.record.id
    this.baseline = text
    this.isStored = true
  }

  private async finish(): Promise<void> {
    const text = this.encode()
    this.readOnly = 'released'
    const record = this.held
    try {
      if (text !== this.baseline) await record.commit(text, this.storingSec)
      else if (this.isStored) await record.touch(this.storingSec)
    } finally {
      await record.release()
    }
  }

  /** What the application has taken from it, too; of what was only just read it has nothing. */
  private protect(): void {
    const { readOnly: reason } = this
    if (reason === undefined) return
    const session = hashOf(this.currentId)
    const isShared = reason !== 'readOnly' && reason !== 'retired'
    this.current = protect(this.current, () => new ReadOnlyError(reason, { session }), isShared)
  }

  private encode(): string {
    const { currentId: id, ownLifetimeSec: sec, data } = this
    return encode(this.engine.dialect.serializer, id, sec === undefined ? data : withLifetime(id, data, sec))
  }

  private get storingSec(): number | undefined {
    return this.ownLifetimeSec ?? this.options.lifetimeSec
  }

  private get held(): LockedRecord {
    if (this.record === undefined) throw new ReadOnlyError('readOnly', { session: hashOf(this.currentId) })
    return this.record
  }

  private assertChangeable(): void {
    if (this.readOnly !== undefined) throw new ReadOnlyError(this.readOnly, { session: hashOf(this.currentId) })
  }
}

const gone = (id: string): SessionGoneError =>
  new SessionGoneError('No session is stored under this id: it was never begun, has ended or has expired.', { session: hashOf(id) })

async function locked(engine: SessionEngine, given: string | undefined, options: StartOptions): Promise<Found> {
  const found = given === undefined ? undefined : await existing(engine, given, options)
  const record = found ?? (await LockedRecord.lock(engine, engine.createSid(), options))
  return { id: record.id, text: record.text, readOnly: record.isRetired ? 'retired' : undefined, record }
}

/** Undefined where there is none, and a new one is to be begun in its place. */
async function existing(engine: SessionEngine, given: string, options: StartOptions): Promise<LockedRecord | undefined> {
  const mustExist = options.strict === true || options.ifExists === true
  // An id that no key can be made of does not exist.
  if (!mustExist || engine.layout.flawOf(given) === undefined) {
    const record = await LockedRecord.lock(engine, given, options)
    if (!mustExist || record.exists) return record
    await record.release()
  }
  if (options.ifExists === true) throw gone(given)
  return undefined
}

async function peeked(engine: SessionEngine, given: string | undefined, options: StartOptions): Promise<Found> {
  const { signal, strict = false, ifExists = false } = options
  signal?.throwIfAborted()
  const isAsked = given !== undefined && !((strict || ifExists) && engine.layout.flawOf(given) !== undefined)
  const text = isAsked ? await engine.peek(given) : ''
  signal?.throwIfAborted()
  if (given !== undefined && ifExists && text === '') throw gone(given)
  const id = given === undefined || (strict && text === '') ? engine.createSid() : given
  return { id, text, readOnly: 'readOnly', record: undefined }
}
