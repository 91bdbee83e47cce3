import { MisuseError, ReadOnlyError } from '../errors.js'
import { checkNames } from '../system/option-names.js'
import { processWide } from '../system/process-wide.js'
import { systemRandom } from '../system/random.js'
import { hashOf } from '../system/session-hash.js'
import { VERSION } from '../system/version.js'
import { lifetimeOf, LockedRecord, READ_OPTIONS, type ReadOptions } from './locked-record.js'
import { closeGraceMsOf, settingsOf } from './options.js'
import { SessionEngine } from './session-engine.js'
import { newSid } from './sid.js'

/** How a record is written. */
export interface WriteOptions {
  /** Seconds that the record lives from now. At least 1. Default: the manager's `lifetimeSec`. */
  readonly lifetimeSec?: number | undefined
}

const WRITE_OPTIONS = new Set(['lifetimeSec'])

const engines = processWide(`engines of ${VERSION}`, () => new Map<string, SessionEngine>())

const CLOSED: Promise<true> = Promise.resolve(true)
const NO_OPTIONS = {}

/** The process's engine for a save path, made with the default options when it is first asked for. */
function engineFor(savePath: string): SessionEngine {
  let engine = engines.get(savePath)
  if (engine === undefined) {
    engine = new SessionEngine(settingsOf({ savePath }))
    engines.set(savePath, engine)
  }
  return engine
}

/**
 * PHP's save handler: one object serves one request, and the lock of the session that it reads is its private state.
 *
 * Order, as PHP calls it: open, read, then write (or updateTimestamp, or destroy), close. `read` locks and waits;
 * `write` is the commit: it stores the record and frees the lock in one flight, after it only `close` is legal.
 * Every method rejects with a typed error (errors.ts) and never returns false for a failure;
 * LATCHKEY_MISUSE tells a call out of order. Source: php-src ext/session/session.c and SessionHandlerInterface.
 */
export class SessionStore {
  private engine: SessionEngine | undefined
  /** What was read, or is being read. */
  private record: LockedRecord | undefined
  /** Locked by validateId(), and read() has yet to answer from it. */
  private isUnread = false
  private isOpen: boolean
  /** A call other than read() and write() is under way; of those two the record knows. */
  private busy = false

  /** @param preset by `manager.store()`: the store is open from the start. */
  constructor(private readonly preset?: SessionEngine) {
    this.engine = preset
    this.isOpen = preset !== undefined
  }

  /**
   * Closes what `open()` has made in this process for its save paths: connections and queues, as the end of PHP's process
   * would. Holders may finish for `graceMs` (default 5000). A later `open()` makes it anew; `memory:` is empty then.
   * What managers have made is closed by SessionManager.close(). @throws LATCHKEY_INVALID_OPTION
   */
  static async closeAll(options: { readonly graceMs?: number } = {}): Promise<void> {
    const graceMs = closeGraceMsOf(options)
    const opened = [...engines.values()]
    engines.clear()
    await Promise.all(opened.map((engine) => engine.close(graceMs)))
  }

  /**
   * Begins a request. Called while open (PHP's session_reset) it keeps the lock. Sends nothing.
   *
   * @param savePath as PHP's session.save_path; stores of one path share the process's connections and queues, until
   *   SessionStore.closeAll(). Ignored by a store of a manager. Default `memory:`.
   * @param _name PHP's session.name; not part of the key, ids are unique without it.
   */
  async open(savePath = '', _name = 'PHPSESSID'): Promise<true> {
    this.engine = this.preset ?? engineFor(savePath === '' ? 'memory:' : savePath)
    this.isOpen = true
    return true
  }

  /** Frees the lock if it is still held, without writing. One flight then, none otherwise. Always legal. */
  close(): Promise<true> {
    this.isOpen = false
    const { record } = this
    if (record?.isAsked === true) record.abandon(() => closedMeanwhile(record.id))
    else if (record?.isLeft === false) return this.letGo()
    else this.forget()
    return CLOSED
  }

  /**
   * Locks the session, waiting for it if need be, and returns its data; '' when there is none.
   * Called again for the same id it reads again under the lock. One flight when nobody holds it.
   * While it is held, the renewals of the lock keep the record alive (`lifetimeSec`).
   * A retired copy is not kept locked (one more flight); `isRetired` tells it.
   *
   * @throws LATCHKEY_INVALID_ID, LATCHKEY_LOCK_TIMEOUT (names the holder), LATCHKEY_TOO_MANY_WAITERS,
   *   LATCHKEY_SESSION_GONE (destroyed while this request waited), LATCHKEY_SERVER_UNAVAILABLE,
   *   LATCHKEY_UNDECODABLE (not UTF-8), LATCHKEY_CLOSED; or the signal's reason.
   */
  read(id: string, options: ReadOptions = NO_OPTIONS): Promise<string> {
    return new Promise((resolve, reject) => {
      checkNames(options, READ_OPTIONS)
      const engine = this.idle()
      const { kept } = this
      if (kept === undefined) this.record = LockedRecord.ask(engine, id, options, { resolve, reject })
      else resolve(this.readAgain(kept, id, options))
    })
  }

  private async readAgain(record: LockedRecord, id: string, options: ReadOptions): Promise<string> {
    const engine = this.begin()
    try {
      const lifetimeSec = lifetimeOf(engine, options.lifetimeSec)
      if (record.id !== id) throw misuse('Another session is read already; one store serves one request.', id)
      const { isUnread } = this
      this.isUnread = false
      if (isUnread) record.keepAlive(lifetimeSec)
      else await record.reload()
      return record.text
    } finally {
      this.busy = false
    }
  }

  /**
   * How long the session that was read lives from each renewal of its lock on, where that is known from its data only:
   * at least 1 second; undefined: it is not kept alive. Sends nothing.
   */
  keepAlive(lifetimeSec: number | undefined): void {
    this.kept?.keepAlive(lifetimeSec)
  }

  /**
   * The session's data as it is stored now, without a lock and without waiting; '' when there is none. Not one of
   * PHP's hooks. One flight. Errors as in `read`, but for those of waiting.
   */
  async peek(id: string): Promise<string> {
    return this.opened().peek(id)
  }

  /**
   * Stores the session and frees its lock. One flight.
   *
   * @throws LATCHKEY_FENCED, LATCHKEY_SESSION_GONE, LATCHKEY_LOCK_LOST, LATCHKEY_HELD_TOO_LONG (nothing was stored),
   *   LATCHKEY_RECORD_TOO_LARGE (before anything is sent; the lock is still held), LATCHKEY_SERVER_REFUSED,
   *   LATCHKEY_SERVER_UNAVAILABLE, LATCHKEY_OUTCOME_UNKNOWN.
   */
  write(id: string, data: string, options: WriteOptions = NO_OPTIONS): Promise<true> {
    return new Promise((resolve, reject) => {
      checkNames(options, WRITE_OPTIONS)
      this.idle()
      this.held(id).store(data, options.lifetimeSec, { resolve, reject })
    })
  }

  /** As `write`, but keeps the lock and renews it. Not one of PHP's hooks. One flight. Errors as in `write`. */
  async save(id: string, data: string, options: WriteOptions = {}): Promise<true> {
    checkNames(options, WRITE_OPTIONS)
    this.begin()
    try {
      await this.held(id).save(data, options.lifetimeSec)
      return true
    } finally {
      this.busy = false
    }
  }

  /**
   * PHP's lazy write: the data is what was read; prolongs the record and frees the lock. One flight.
   * Errors as in `write`; LATCHKEY_MISUSE when the data is another than was read.
   */
  async updateTimestamp(id: string, data: string, options: WriteOptions = {}): Promise<true> {
    checkNames(options, WRITE_OPTIONS)
    this.begin()
    try {
      const record = this.held(id)
      if (!record.isStoredAs(data)) throw misuse('The data has changed since it was read: write() it.', id)
      await record.touch(options.lifetimeSec)
      return true
    } finally {
      this.busy = false
    }
  }

  /**
   * Ends the session under this id, because it goes on under another, which is stored: the record as it was last
   * stored stays for `retiredCopySec` seconds as a copy that is only read, or, with 0, a tombstone takes its place. Frees the
   * lock. One flight. Either way only if nobody destroyed or changed it in the meantime.
   *
   * Where no answer is seen it may have ended, so the other one must not be given up: this resolves, and the session is
   * ended later, when the server answers again, if it is still as it was. Else errors as in `write`: it has not ended.
   */
  async retire(id: string, retiredCopySec: number): Promise<true> {
    this.begin()
    try {
      await this.held(id).retire(retiredCopySec)
      return true
    } finally {
      this.busy = false
    }
  }

  /**
   * Destroys the session, whether or not it exists, and frees its lock; without the lock, whoever holds it is fenced.
   * One flight. Errors: LATCHKEY_SERVER_UNAVAILABLE, LATCHKEY_SERVER_REFUSED, LATCHKEY_OUTCOME_UNKNOWN.
   */
  async destroy(id: string): Promise<true> {
    const engine = this.begin()
    try {
      if (this.record?.id === id) await this.record.destroy()
      else await engine.locker.destroy(id)
      return true
    } finally {
      this.busy = false
    }
  }

  /** Removes expired records and says how many; 0 on memcached, which expires them by itself. Sends nothing. */
  async gc(_maxLifetimeSec: number): Promise<number> {
    return this.opened().sweep()
  }

  /** A new session id: 32 characters, 160 random bits. Writes nothing. */
  createSid(): string {
    return this.engine?.createSid() ?? newSid(systemRandom)
  }

  /**
   * PHP's strict mode: whether the session exists. If it does it is locked now, and `read` answers from it; if not,
   * nothing is kept locked. An id that no key can be made of does not exist. Errors as in `read`. One flight.
   */
  async validateId(id: string, options: ReadOptions = {}): Promise<boolean> {
    checkNames(options, READ_OPTIONS)
    const engine = this.begin()
    try {
      if (this.kept !== undefined) {
        if (!this.isUnread) throw misuse('A session is read already; one store serves one request.', id)
        await this.letGo()
      }
      if (engine.layout.flawOf(id) !== undefined) return false
      const record = await LockedRecord.lock(engine, id, options)
      if (!this.isOpen) {
        await record.release()
        throw closedMeanwhile(id)
      }
      this.record = record
      const { exists } = record
      if (!exists) await this.letGo()
      this.isUnread = exists
      return exists
    } finally {
      this.busy = false
    }
  }

  /** Whether the lock may be believed to be ours. An early exit, never proof: the write is what is fenced. */
  get isHeld(): boolean {
    return this.record?.isHeld === true
  }

  /**
   * Whether what read() found is a retired copy: the session goes on under another id. It can be read and destroyed;
   * all else throws LATCHKEY_READ_ONLY.
   */
  get isRetired(): boolean {
    return this.record?.isRetired === true
  }

  /** Aborts, with the typed error as its reason, when the lock of the session that was read is lost. */
  get signal(): AbortSignal {
    return this.kept?.signal ?? new AbortController().signal
  }

  /** express-session sets this on the object that it is given as its `store`: the mistake is caught at once. */
  set generate(_: unknown) {
    throw new MisuseError(
      'A SessionStore serves one request and cannot be express-session\'s "store". ' +
        "Write app.use(latchkey({ manager, secret, ... })) instead of app.use(session(...)); import it from 'latchkey/express'.",
    )
  }

  private get kept(): LockedRecord | undefined {
    return this.record?.isLocked === true ? this.record : undefined
  }

  private async letGo(): Promise<true> {
    const { record } = this
    this.forget()
    await record?.release()
    return true
  }

  private forget(): void {
    this.record = undefined
    this.isUnread = false
  }

  private held(id: string): LockedRecord {
    const { record, kept } = this
    if (record?.id === id && record.isRetired) throw new ReadOnlyError('retired', { session: hashOf(id) })
    if (kept?.id !== id || this.isUnread) {
      throw misuse('The session was not read by this store: read() it first.', id)
    }
    return kept
  }

  private opened(): SessionEngine {
    if (!this.isOpen || this.engine === undefined) throw new MisuseError('The store is not open: call open() first.')
    return this.engine
  }

  /** One call at a time. */
  private idle(): SessionEngine {
    const engine = this.opened()
    if (this.busy || this.record?.isAsked === true || this.record?.isCommitting === true) {
      throw new MisuseError('Another call on this store is under way; one store serves one request.')
    }
    return engine
  }

  /** Whoever begins sets `busy` back when it is done. */
  private begin(): SessionEngine {
    const engine = this.idle()
    this.busy = true
    return engine
  }
}

const closedMeanwhile = (id: string): MisuseError => misuse('The store was closed while it waited for the session.', id)

const misuse = (message: string, id: string): MisuseError => new MisuseError(message, { session: hashOf(id) })
