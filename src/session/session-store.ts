import { LockLostError, MisuseError, OutcomeUnknownError, ReadOnlyError } from '../errors.js'
import type { AcquireOptions, Handle } from '../lock/protocol/handle.js'
import { tombstoneSec } from '../lock/protocol/lease.js'
import { processWide } from '../system/process-wide.js'
import { hashOf } from '../system/session-hash.js'
import { VERSION } from '../system/version.js'
import { checkedGraceSec, checkedLifetimeSec, settingsOf } from './options.js'
import { SessionEngine } from './session-engine.js'

/** How a read waits, and what is to be done while the session is held. */
export interface ReadOptions extends AcquireOptions {
  /** Seconds that the record lives from each renewal of the lock on. At least 1. Default: the manager's `lifetimeSec`. */
  readonly lifetimeSec?: number | undefined
}

/** How a record is written. */
export interface WriteOptions {
  /** Seconds that the record lives from now. At least 1. Default: the manager's `lifetimeSec`. */
  readonly lifetimeSec?: number | undefined
}

interface Hold {
  readonly id: string
  readonly handle: Handle
  /** Acquired, and read() has yet to answer from it. */
  unread: boolean
  /** The session was written: nothing is left to let go. */
  isOver: boolean
}

const NOTHING = Buffer.alloc(0)

const engines = processWide(`engines of ${VERSION}`, () => new Map<string, SessionEngine>())

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
  private hold: Hold | undefined
  private isOpen: boolean
  private busy = false
  /** The id under which read() found a retired copy. */
  private retiredId: string | undefined

  /** @param preset by `manager.store()`: the store is open from the start. */
  constructor(private readonly preset?: SessionEngine) {
    this.engine = preset
    this.isOpen = preset !== undefined
  }

  /**
   * Begins a request. Called while open (PHP's session_reset) it keeps the lock. Sends nothing.
   *
   * @param savePath as PHP's session.save_path; stores of one path share the process's connections and queues.
   *   Ignored by a store of a manager. Default `memory:`.
   * @param _name PHP's session.name; not part of the key, ids are unique without it.
   */
  async open(savePath = '', _name = 'PHPSESSID'): Promise<true> {
    this.engine = this.preset ?? engineFor(savePath === '' ? 'memory:' : savePath)
    this.isOpen = true
    return true
  }

  /** Frees the lock if it is still held, without writing. One flight then, none otherwise. Always legal. */
  async close(): Promise<true> {
    this.isOpen = false
    const { hold } = this
    this.hold = undefined
    if (hold !== undefined && !hold.isOver) await hold.handle.release()
    return true
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
  async read(id: string, options: ReadOptions = {}): Promise<string> {
    const engine = this.begin()
    try {
      const lifetimeSec = lifetimeOf(engine, options)
      const hold = this.hold ?? this.adopt(id, await this.acquire(engine, id, options))
      if (!this.isOpen) await this.refuse(hold)
      if (hold.id !== id) throw misuse('Another session is read already; one store serves one request.', id)
      if (hold.unread) hold.handle.keepAlive(lifetimeSec)
      else await hold.handle.reload()
      hold.unread = false
      this.retiredId = undefined
      let isKept = false
      try {
        const { text, isRetired } = engine.format.unpack(id, hold.handle.record)
        if (isRetired) this.retiredId = id
        isKept = !isRetired
        return text
      } finally {
        if (!isKept) await this.letGo(hold)
      }
    } finally {
      this.busy = false
    }
  }

  /**
   * How long the session that was read lives from each renewal of its lock on, where that is known from its data only:
   * at least 1 second; undefined: it is not kept alive. Sends nothing.
   */
  keepAlive(lifetimeSec: number | undefined): void {
    this.hold?.handle.keepAlive(lifetimeSec === undefined ? undefined : checkedLifetimeSec(lifetimeSec))
  }

  /**
   * The session's data as it is stored now, without a lock and without waiting; '' when there is none. Not one of
   * PHP's hooks. One flight. Errors as in `read`, but for those of waiting.
   */
  async peek(id: string): Promise<string> {
    const engine = this.opened()
    return engine.format.unpack(id, await engine.locker.peek(id)).text
  }

  /**
   * Stores the session and frees its lock. One flight.
   *
   * @throws LATCHKEY_FENCED, LATCHKEY_SESSION_GONE, LATCHKEY_LOCK_LOST, LATCHKEY_HELD_TOO_LONG (nothing was stored),
   *   LATCHKEY_RECORD_TOO_LARGE (before anything is sent; the lock is still held), LATCHKEY_SERVER_REFUSED,
   *   LATCHKEY_SERVER_UNAVAILABLE, LATCHKEY_OUTCOME_UNKNOWN.
   */
  async write(id: string, data: string, options: WriteOptions = {}): Promise<true> {
    const engine = this.begin()
    try {
      const hold = this.held(id)
      await hold.handle.commit(engine.format.pack(id, data), lifetimeOf(engine, options))
      hold.isOver = true
      return true
    } finally {
      this.busy = false
    }
  }

  /** As `write`, but keeps the lock and renews it. Not one of PHP's hooks. One flight. Errors as in `write`. */
  async save(id: string, data: string, options: WriteOptions = {}): Promise<true> {
    const engine = this.begin()
    try {
      const { handle } = this.held(id)
      await handle.save(engine.format.pack(id, data), lifetimeOf(engine, options))
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
    const engine = this.begin()
    try {
      const hold = this.held(id)
      const { text, isOutdated } = engine.format.unpack(id, hold.handle.record)
      if (data !== text) throw misuse('The data has changed since it was read: write() it.', id)
      // A record that is only ever prolonged would keep an old key in use for good.
      if (isOutdated) await hold.handle.commit(engine.format.pack(id, data), lifetimeOf(engine, options))
      else await hold.handle.touch(lifetimeOf(engine, options))
      return true
    } finally {
      this.busy = false
    }
  }

  /**
   * Ends the session under this id, because it goes on under another, which is stored: the record as it was last
   * stored stays for `graceSec` seconds as a copy that is only read, or, with 0, a tombstone takes its place. Frees the
   * lock. One flight. Either way only if nobody destroyed or changed it in the meantime.
   *
   * Where no answer is seen it may have ended, so the other one must not be given up: this resolves, and the session is
   * ended later, when the server answers again, if it is still as it was. Else errors as in `write`: it has not ended.
   */
  async retire(id: string, graceSec: number): Promise<true> {
    const engine = this.begin()
    try {
      const hold = this.held(id)
      const { record } = hold.handle
      const { text } = engine.format.unpack(id, record)
      const isKept = checkedGraceSec(graceSec) > 0 && text !== ''
      const becomes = isKept ? engine.format.pack(id, text, { isRetired: true }) : NOTHING
      const ttlSec = isKept ? graceSec : tombstoneSec(engine.settings)
      try {
        // What was never stored leaves no copy.
        if (graceSec > 0 && !isKept) await hold.handle.destroy()
        else await hold.handle.commit(becomes, ttlSec)
      } catch (error) {
        if (!(error instanceof OutcomeUnknownError)) throw error
        if (record !== undefined && text !== '') engine.lateEndings.add({ id, was: record, becomes, ttlSec })
      }
      hold.isOver = true
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
      await this.remove(engine, id)
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
    return (this.engine ?? engineFor('memory:')).createSid()
  }

  /**
   * PHP's strict mode: whether the session exists. If it does it is locked now, and `read` answers from it; if not,
   * nothing is kept locked. An id that no key can be made of does not exist. Errors as in `read`. One flight.
   */
  async validateId(id: string, options: ReadOptions = {}): Promise<boolean> {
    const engine = this.begin()
    try {
      if (this.hold !== undefined) {
        if (!this.hold.unread) throw misuse('A session is read already; one store serves one request.', id)
        await this.letGo(this.hold)
      }
      if (engine.layout.flawOf(id) !== undefined) return false
      const hold = this.adopt(id, await this.acquire(engine, id, options))
      if (!this.isOpen) await this.refuse(hold)
      const exists = hold.handle.record !== undefined && hold.handle.record.length > 0
      if (!exists) await this.letGo(hold)
      return exists
    } finally {
      this.busy = false
    }
  }

  /** Whether the lock may be believed to be ours. An early exit, never proof: the write is what is fenced. */
  get isHeld(): boolean {
    return this.hold?.handle.isHeld === true
  }

  /**
   * Whether what read() found is a retired copy: the session goes on under another id. It can be read and destroyed;
   * all else throws LATCHKEY_READ_ONLY.
   */
  get isRetired(): boolean {
    return this.retiredId !== undefined
  }

  /** Aborts, with the typed error as its reason, when the lock of the session that was read is lost. */
  get signal(): AbortSignal {
    return this.hold?.handle.signal ?? new AbortController().signal
  }

  /** express-session sets this on the object that it is given as its `store`: the mistake is caught at once. */
  set generate(_: unknown) {
    throw new MisuseError(
      'A SessionStore serves one request and cannot be express-session\'s "store". ' +
        "Write app.use(latchkey({ manager, secret, ... })) instead of app.use(session(...)); import it from 'latchkey/express'.",
    )
  }

  private acquire(engine: SessionEngine, id: string, options: ReadOptions): Promise<Handle> {
    const { label = engine.settings.label } = options
    return engine.locker.acquire(id, label === options.label ? options : { signal: options.signal, label })
  }

  private adopt(id: string, handle: Handle): Hold {
    return (this.hold = { id, handle, unread: true, isOver: false })
  }

  private async refuse(hold: Hold): Promise<never> {
    await this.letGo(hold)
    throw misuse('The store was closed while it waited for the session.', hold.id)
  }

  private async remove(engine: SessionEngine, id: string): Promise<void> {
    const handle = this.hold?.id === id ? this.hold.handle : undefined
    if (handle?.isHeld === true) {
      try {
        await handle.destroy()
        return
      } catch (error) {
        // The lock is not needed for it: who has it now is fenced.
        if (!(error instanceof LockLostError)) throw error
      }
    }
    await engine.locker.destroy(id)
  }

  private async letGo(hold: Hold): Promise<void> {
    this.hold = undefined
    await hold.handle.release()
  }

  private held(id: string): Hold {
    const { hold } = this
    if (this.retiredId === id) throw new ReadOnlyError('retired', { session: hashOf(id) })
    if (hold?.id !== id || hold.unread) {
      throw misuse('The session was not read by this store: read() it first.', id)
    }
    return hold
  }

  private opened(): SessionEngine {
    if (!this.isOpen || this.engine === undefined) throw new MisuseError('The store is not open: call open() first.')
    return this.engine
  }

  /** One call at a time; whoever begins sets `busy` back when it is done. */
  private begin(): SessionEngine {
    const engine = this.opened()
    if (this.busy) throw new MisuseError('Another call on this store is under way; one store serves one request.')
    this.busy = true
    return engine
  }
}

const misuse = (message: string, id: string): MisuseError => new MisuseError(message, { session: hashOf(id) })

const lifetimeOf = (engine: SessionEngine, options: ReadOptions | WriteOptions): number =>
  options.lifetimeSec === undefined ? engine.settings.lifetimeSec : checkedLifetimeSec(options.lifetimeSec)
