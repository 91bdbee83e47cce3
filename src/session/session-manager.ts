import { EventEmitter } from 'node:events'
import type { Holder } from '../errors.js'
import { Nesting } from '../lock/nesting.js'
import type { LocalLock } from '../lock/session-locker.js'
import { Mutex } from '../mutex/mutex.js'
import { logToDebug } from '../observe/debug-log.js'
import { brand } from '../system/brand.js'
import { flawOfNames } from '../system/option-names.js'
import type { WireWarning } from '../wire/wire.js'
import type { PhpSettings } from './dialect/php-options.js'
import { type Health, HealthCheck, type HealthOptions } from './health.js'
import { LockedRecord, READ_OPTIONS, type ReadOptions } from './locked-record.js'
import { checkStartOptions, closeGraceMsOf, type SessionManagerOptions, settingsOf } from './options.js'
import { withoutLifetime } from './own-lifetime.js'
import { type ManagerStats, statsOf } from './manager-stats.js'
import { decode, encode } from './serializer.js'
import { type LostEvent, SessionEngine } from './session-engine.js'
import { Session, type StartOptions } from './session.js'
import type { SlowHoldEvent } from './slow-holds.js'
import { type ListedSession, SessionList, type UnreadableSession } from './session-list.js'
import { SessionStore } from './session-store.js'

/**
 * One per process: configuration, connections and wait queues. Everything else is made from it.
 *
 * Emits `lost` (LostEvent) when a lock went away while it was held, and `slow` (SlowHoldEvent), once for each label,
 * when a lock has been held for longer than `slowHoldMs`. Emits `warning` (WireWarning) when the servers are not what
 * the save path takes them for: processes with different lists, or one address with two servers. Where nobody listens,
 * it is a warning of the process, which Node writes to standard error.
 */
export class SessionManager extends EventEmitter<{
  lost: [LostEvent]
  slow: [SlowHoldEvent]
  warning: [WireWarning]
}> {
  /** For latchkey/inspector. @internal */
  readonly engine: SessionEngine
  private readonly nesting = new Nesting('session')
  private readonly healthCheck: HealthCheck

  /** @throws LATCHKEY_INVALID_OPTION, LATCHKEY_INVALID_SAVE_PATH. Connects to nothing yet. */
  constructor(options: SessionManagerOptions = {}) {
    super()
    this.engine = new SessionEngine(settingsOf(options))
    this.healthCheck = new HealthCheck(this.engine)
    // Later, so that a listener that throws does not do so in the middle of the lock protocol.
    this.engine.onLost = (event) => queueMicrotask(() => this.emit('lost', event))
    this.engine.onSlow = (event) => queueMicrotask(() => this.emit('slow', event))
    this.engine.onWarning = (warning) => queueMicrotask(() => this.emit('warning', warning) || warnProcess(warning))
    logToDebug()
  }

  /** A SessionStore for one request: PHP's hooks, open from the start. */
  store(): SessionStore {
    return new SessionStore(this.engine)
  }

  /**
   * Locks a session, waiting for it if need be, as text: for who brings a serializer of his own. Errors as in
   * SessionStore.read(), and LATCHKEY_MISUSE within run() of the same session. One flight when it is free.
   */
  lock(id: string, options: ReadOptions = {}): Promise<LockedRecord> {
    const flaw = flawOfNames(options, READ_OPTIONS) ?? (this.isLocking ? this.nesting.flawOf(id) : undefined)
    return flaw === undefined ? LockedRecord.lock(this.engine, id, options) : Promise.reject(flaw)
  }

  /**
   * Locks a session, waiting for it if need be, and reads it. Without an id, or with `strict` and an unknown one,
   * a new session is begun; nothing of it is stored before its first save or release. One flight when it is free.
   * With `readOnly` it is read as it is stored now, in one flight: no wait, no lock, and nothing to let go of.
   * The copy that a regenerated session left behind is read-only as well (`isReadOnly`), and not kept locked.
   * With `ifExists` no session is begun: LATCHKEY_SESSION_GONE where none is stored under the id.
   * Else errors as in SessionStore.read(), LATCHKEY_UNDECODABLE, and LATCHKEY_INVALID_OPTION before anything is sent.
   */
  start<T extends object = Record<string, unknown>>(id?: string, options: StartOptions = {}): Promise<Session<T>> {
    try {
      checkStartOptions(id, options)
    } catch (error) {
      return Promise.reject(error)
    }
    const flaw = options.readOnly === true || !this.isLocking ? undefined : this.nesting.flawOf(id)
    return flaw === undefined ? Session.start<T>(this.engine, id, options) : Promise.reject(flaw)
  }

  /**
   * Starts a session, runs `work`, and stores what it changed; if it throws, nothing is stored and the error goes on.
   * `session.signal` aborts when the lock is lost. Under an id that no session has, a new one begins; a worker asks with
   * `ifExists`, and gets LATCHKEY_SESSION_GONE before `work`. To ask for the same session within `work` is LATCHKEY_MISUSE.
   */
  async run<T extends object = Record<string, unknown>, R = void>(
    id: string | undefined,
    work: (session: Session<T>) => R | Promise<R>,
    options: StartOptions = {},
  ): Promise<R> {
    const session = await this.start<T>(id, options)
    let result: R
    try {
      result = await this.nesting.within(session, () => work(session))
    } catch (error) {
      await session.abort()
      throw error
    }
    await session[Symbol.asyncDispose]()
    return result
  }

  /**
   * A lock by name, for whatever else must not happen twice at once: one name is one lock, in all processes with these servers
   * and this prefix. Visible ASCII, up to about 200 characters, shown in errors. Sends nothing. @throws LATCHKEY_INVALID_ID
   */
  mutex(name: string): Mutex {
    return new Mutex(this.engine.mutexes, name)
  }

  /** The session's data as it is stored now, without a lock and without waiting; undefined when there is none. */
  async peek<T extends object = Record<string, unknown>>(id: string): Promise<Partial<T> | undefined> {
    const text = await this.engine.peek(id)
    return text === '' ? undefined : withoutLifetime<Partial<T>>(decode(this.engine.dialect.serializer, id, text))
  }

  /** As `peek`, as text: for who brings a serializer of his own; '' when there is none. */
  peekText(id: string): Promise<string> {
    return this.engine.peek(id)
  }

  /**
   * Destroys a session, whether or not it exists, without its lock: whoever holds it is fenced. One flight. Errors as in
   * SessionStore.destroy().
   */
  destroy(id: string): Promise<void> {
    return this.engine.locker.destroy(id)
  }

  /** Who holds the session's lock, in any process; undefined when it is free. For operators. One flight. */
  async holder(id: string): Promise<Holder | undefined> {
    return this.engine.sessionLocker?.holderOf(id)
  }

  /**
   * Every session under the manager's prefix, in no order. Keys are told apart by how they begin: let no manager's
   * prefix begin with another's. Not for requests: each server walks through all that it keeps, on a connection of its
   * own, and each session is one flight.
   * A session that begins or ends meanwhile may be there or not. Ends when the loop is left.
   * A record that cannot be read has its `error` in place of `data` (LATCHKEY_UNDECODABLE, LATCHKEY_UNKNOWN_KEY).
   *
   * @throws LATCHKEY_NOT_SUPPORTED (the server cannot list: a proxy, SASL, `-X`), LATCHKEY_SERVER_REFUSED (busy with
   *   other lists), LATCHKEY_SERVER_UNAVAILABLE, LATCHKEY_CLOSED.
   */
  all<T extends object = Record<string, unknown>>(): AsyncIterable<ListedSession<T> | UnreadableSession> {
    return new SessionList(this.engine).all<T>()
  }

  /** The ids of the sessions that `all` would find, readable or not. Cost and errors as of `all`. */
  ids(): AsyncIterable<string> {
    return new SessionList(this.engine).ids()
  }

  /** How many sessions `all` would find, readable or not. Cost and errors as of `all`. */
  length(): Promise<number> {
    return new SessionList(this.engine).length()
  }

  /**
   * Destroys every session under the manager's prefix, and nothing else; says how many. Who holds one is fenced, so
   * that it does not come back. Two flights a session; errors as of `all`, after which a part of them may be gone.
   */
  clear(): Promise<number> {
    return new SessionList(this.engine).clear()
  }

  /** Sends nothing. */
  stats(): ManagerStats {
    return statsOf(this.engine)
  }

  /** What this process holds now, named locks too, and how many of its requests wait for it; longest held first. Sends nothing. */
  locks(): LocalLock[] {
    return this.engine.lockers.flatMap((locker) => locker.locks()).sort((one, other) => other.heldMs - one.heldMs)
  }

  /**
   * Whether sessions can be had now: one flight to each node, at once, and no longer than `withinMs`. Never throws for a node
   * that is away. Calls at the same time share one look, so that an endpoint can be asked by everybody.
   *
   * @throws LATCHKEY_INVALID_OPTION: `withinMs` (default 500) is not 1 to 60 000.
   */
  health(options: HealthOptions = {}): Promise<Health> {
    return this.healthCheck.look(options)
  }

  /** Tells its events on node:diagnostics_channel from those of other managers: `manager-1` and so on, as they are made. */
  get name(): string {
    return this.engine.name
  }

  /** Whether the manager locks; false only with `locking: false`. */
  get isLocking(): boolean {
    return this.engine.settings.locking
  }

  /** The settings of PHP with which sessions are shared, with their defaults; undefined without the option `php`. */
  get php(): PhpSettings | undefined {
    return this.engine.dialect.php
  }

  /** `lifetimeSec`, if it was given, or sessions are PHP's; adapters then take it for sessions whose cookie says nothing. */
  get givenLifetimeSec(): number | undefined {
    const { isLifetimeGiven, lifetimeSec } = this.engine.settings
    return isLifetimeGiven || this.php !== undefined ? lifetimeSec : undefined
  }

  /** The option: for LockedRecord.retire(), where a framework regenerates the session. */
  get retiredCopySec(): number {
    return this.engine.settings.retiredCopySec
  }

  /** Why no session can have this id (from a cookie, say); undefined when one can. Sends nothing. */
  flawOf(id: unknown): string | undefined {
    return this.engine.layout.flawOf(id)
  }

  /** Session data as text, by the manager's serializer. @throws LATCHKEY_UNSERIALIZABLE */
  encode(id: string, data: unknown): string {
    return encode(this.engine.dialect.serializer, id, data)
  }

  /** Stored text as session data, by the manager's serializer. @throws LATCHKEY_UNDECODABLE */
  decode(id: string, text: string): object {
    return decode(this.engine.dialect.serializer, id, text)
  }

  /** A new session id. Sends nothing. */
  createSid(): string {
    return this.engine.createSid()
  }

  /**
   * Refuses new work, settles who waits (LATCHKEY_CLOSED), lets holders finish for `graceMs` (default 5000), frees
   * what they still hold then, and closes every connection. Idempotent.
   *
   * @throws LATCHKEY_INVALID_OPTION: `graceMs` is not 0 to 3 600 000; the manager stays open.
   */
  async close(options: { readonly graceMs?: number } = {}): Promise<void> {
    await this.engine.close(closeGraceMsOf(options))
  }
}

const warnProcess = ({ message, code }: WireWarning): void => process.emitWarning(message, { type: 'LatchkeyWarning', code })

brand({ SessionManager })
