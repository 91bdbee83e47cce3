import { InvalidOptionError, LockLostError, MisuseError, OutcomeUnknownError, ReadOnlyError } from '../errors.js'
import { type AcquireOptions, committed, type Handle } from '../lock/protocol/handle.js'
import { checkNames } from '../system/option-names.js'
import { hashOf } from '../system/session-hash.js'
import { checkedRetiredCopySec, checkedLifetimeSec } from './options.js'
import { Holding, type Settle } from './holding.js'
import type { RecordContent } from './records/record-content.js'
import type { SessionEngine } from './session-engine.js'

/** How a read waits, and what is to be done while the session is held. */
export interface ReadOptions extends AcquireOptions {
  /** Seconds that the record lives from each renewal of the lock on. At least 1. Default: the manager's `lifetimeSec`. */
  readonly lifetimeSec?: number | undefined
}

export const READ_OPTIONS: ReadonlySet<string> = new Set<keyof ReadOptions>(['signal', 'label', 'triesOnce', 'lifetimeSec'])

/** What becomes of a session that goes on under another id. */
export interface RegenerateOptions {
  /** Seconds that the old record stays as a copy that is only read. 0 to 3600. Default: the manager's `retiredCopySec`. */
  readonly retiredCopySec?: number
  /** Stores the old session as it is now, and leaves it usable under its id. Default false. */
  readonly keepOld?: boolean
}

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION */
export const checkRegenerateOptions = (options: RegenerateOptions): void => checkNames(options, REGENERATE_OPTIONS)
const REGENERATE_OPTIONS: ReadonlySet<string> = new Set<keyof RegenerateOptions>(['retiredCopySec', 'keepOld'])

/** PHP tries as often before it gives up (ext/session/session.c). */
const MAX_SID_TRIES = 3

/**
 * One session, locked, as text: what PHP's hooks (`SessionStore`), an application's `Session` and the request of a web
 * framework stand on. It knows no serializer and no order of calls; what lets go is the last call.
 *
 * Errors are the lock's (handle.ts), LATCHKEY_UNDECODABLE and its like where a record cannot be read, and
 * LATCHKEY_READ_ONLY where a retired copy is to be changed.
 */
export class LockedRecord extends Holding {
  private constructor(private readonly engine: SessionEngine, id: string, options: ReadOptions, asking: Settle<string>) {
    const { label = engine.settings.label } = options
    const own = label === options.label ? options : { signal: options.signal, label }
    super(id, own, lifetimeOf(engine, options.lifetimeSec), asking)
  }

  /**
   * Locks the session, waiting for it if need be. A retired copy is not kept locked (`isRetired`; one more flight), nor
   * is a record that cannot be read. One flight when nobody holds it.
   */
  static lock(engine: SessionEngine, id: string, options: ReadOptions): Promise<LockedRecord> {
    return new Promise((resolve, reject) => {
      const record = new LockedRecord(engine, id, options, { resolve: () => resolve(record), reject })
      engine.locker.acquire(id, record)
    })
  }

  /** As `lock`, for whoever has a promise already; it is not locked yet. Throws what is refused at once. */
  static ask(engine: SessionEngine, id: string, options: ReadOptions, asking: Settle<string>): LockedRecord {
    const record = new LockedRecord(engine, id, options, asking)
    engine.locker.acquire(id, record)
    return record
  }

  /** As `lock`, of a new id under which nothing is stored. */
  static async lockFresh(engine: SessionEngine, options: ReadOptions): Promise<LockedRecord> {
    for (let tries = 0; tries < MAX_SID_TRIES; tries++) {
      const record = await LockedRecord.lock(engine, engine.createSid(), options)
      if (record.text === '') return record
      await record.release()
    }
    throw new MisuseError('Every new session id exists already: the random source does not work.')
  }

  /** As it was last read; '' when there is none. */
  get text(): string {
    return this.content.text
  }

  /** Whether a session is stored; its text may be '' as well. */
  get exists(): boolean {
    const { record } = this.handle
    return record !== undefined && (record.length > 0 || !this.engine.dialect.hasTombstones)
  }

  /** The session goes on under another id. */
  get isRetired(): boolean {
    return this.content.isRetired
  }

  /** Whether the lock may be believed to be ours. An early exit, never proof. */
  get isHeld(): boolean {
    return this.taken?.isHeld === true
  }

  get signal(): AbortSignal {
    return this.handle.signal
  }

  /** How long it lives from each renewal of its lock on; undefined: it is not kept alive. Sends nothing. */
  keepAlive(lifetimeSec: number | undefined): void {
    this.handle.keepAlive(lifetimeSec === undefined ? undefined : checkedLifetimeSec(lifetimeSec))
  }

  /** Reads it again, under the lock. One flight. */
  async reload(): Promise<void> {
    await this.handle.reload()
    try {
      this.content = this.stored
      if (this.isRetired) await this.release()
    } catch (error) {
      await this.release()
      throw error
    }
  }

  /** Stores it and keeps the lock, with a full lease from now. One flight. */
  async save(text: string, lifetimeSec?: number): Promise<void> {
    this.assertNotRetired()
    await this.handle.save(this.engine.format.pack(this.id, text), lifetimeOf(this.engine, lifetimeSec))
  }

  /** Stores it and lets go. One flight. */
  commit(text: string, lifetimeSec?: number): Promise<true> {
    return new Promise((resolve, reject) => {
      this.store(text, lifetimeSec, { resolve, reject })
    })
  }

  /** As `commit`, for whoever has a promise already. Throws what is refused at once. @internal */
  store(text: string, lifetimeSec: number | undefined, committing: Settle<true>): void {
    this.assertNotRetired()
    this.assertNotCommitting()
    this.handle.commit(this.engine.format.pack(this.id, text), lifetimeOf(this.engine, lifetimeSec), this)
    this.committing = committing
  }

  /** Whether this is what was last read or stored. */
  isStoredAs(text: string): boolean {
    return this.stored.text === text
  }

  private assertNotRetired(): void {
    if (this.isRetired) throw new ReadOnlyError('retired', { session: hashOf(this.id) })
  }

  private get stored(): RecordContent {
    return this.contentOf(this.handle)
  }

  protected contentOf({ record }: Handle): RecordContent {
    return this.engine.format.unpack(this.id, record)
  }

  /** Prolongs what was last read or stored, and lets go. One flight. */
  async touch(lifetimeSec?: number): Promise<void> {
    this.assertNotRetired()
    const { text, isOutdated } = this.stored
    // A record that is only ever prolonged would keep an old key in use for good.
    if (isOutdated) await this.commit(text, lifetimeSec)
    else await this.handle.touch(lifetimeOf(this.engine, lifetimeSec))
  }

  /**
   * Ends it, because it goes on under another id, which is stored: what was last stored stays for `retiredCopySec` seconds as a
   * copy that is only read; with 0 a tombstone takes its place. Lets go. One flight.
   *
   * Where no answer is seen it may have ended, so the other one must not be given up: this resolves, and it is ended
   * later, when the server answers again, if it is still as it was.
   */
  async retire(retiredCopySec: number): Promise<void> {
    this.assertNotRetired()
    const { engine, id, handle } = this
    const { record } = handle
    const { text } = this.stored
    const isKept = copySecOf(engine, retiredCopySec) > 0 && text !== ''
    const copy = isKept ? { bytes: engine.format.pack(id, text, { isRetired: true }), ttlSec: retiredCopySec } : undefined
    try {
      // What was never stored leaves no copy.
      if (retiredCopySec > 0 && !isKept) await handle.destroy()
      else if (copy === undefined) await handle.end()
      else await committed(handle, copy.bytes, copy.ttlSec)
    } catch (error) {
      if (!(error instanceof OutcomeUnknownError)) throw error
      if (record !== undefined && text !== '') engine.lateEndings.add({ id, was: record, copy })
    }
  }

  /**
   * Goes on under a new id, which is stored with `text` before this one ends (`retire`), and is returned, locked. Three
   * flights. Where any of it fails, the new one is destroyed again, as far as the server answers; nobody knows its id.
   * Whether this one is still held then, `isHeld` says.
   */
  async goOn(text: string, locking: ReadOptions, options: RegenerateOptions = {}): Promise<LockedRecord> {
    checkRegenerateOptions(options)
    const { retiredCopySec, keepOld = false } = options
    const copySec = copySecOf(this.engine, retiredCopySec ?? this.engine.settings.retiredCopySec)
    const fresh = await LockedRecord.lockFresh(this.engine, locking)
    try {
      await fresh.save(text, locking.lifetimeSec)
      if (keepOld) await this.commit(text, locking.lifetimeSec).catch(unlessUnknown)
      else await this.retire(copySec)
      return fresh
    } catch (error) {
      await fresh.destroy().catch(() => undefined)
      await fresh.release()
      throw error
    }
  }

  /** Destroys it and lets go; where the lock is gone, whoever has it now is fenced. One flight. */
  async destroy(): Promise<void> {
    if (this.isHeld) {
      try {
        await this.handle.destroy()
        return
      } catch (error) {
        // The lock is not needed for it.
        if (!(error instanceof LockLostError)) throw error
      }
    }
    await this.engine.locker.destroy(this.id)
  }

  /** It was given up, or lost: there is nothing left to let go of. */
  get isLeft(): boolean {
    return this.taken?.isLeft !== false
  }

  /** Leaves it as it is and lets go; nothing where that has happened. One flight, or none. */
  release(): Promise<void> {
    return this.taken?.release() ?? Promise.resolve()
  }
}

/** A session that may have been stored is not one that was not. */
function unlessUnknown(error: unknown): void {
  if (!(error instanceof OutcomeUnknownError)) throw error
}

function copySecOf({ dialect }: SessionEngine, retiredCopySec: number): number {
  if (dialect.php === undefined || retiredCopySec === 0) return checkedRetiredCopySec(retiredCopySec)
  throw new InvalidOptionError('retiredCopySec cannot be used together with php: PHP would take the copy for the session itself.')
}

/** A lifetime that came with a call, checked, or the manager's. @throws InvalidOptionError LATCHKEY_INVALID_OPTION */
export const lifetimeOf = (engine: SessionEngine, lifetimeSec: number | undefined): number =>
  lifetimeSec === undefined ? engine.settings.lifetimeSec : checkedLifetimeSec(lifetimeSec)
