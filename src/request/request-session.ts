import { ReadOnlyError, type ReadOnlyReason, SessionGoneError } from '../errors.js'
import { checkNumber, MAX_TTL_SEC } from '../session/option-checks.js'
import { own, protect } from '../session/protect.js'
import { assertObject } from '../session/serializer.js'
import type { RegenerateOptions, Session } from '../session/session.js'
import type { SessionManager } from '../session/session-manager.js'
import { hashOf } from '../system/session-hash.js'
import { CallLine } from './call-line.js'
import { ignore, quiet } from './quiet.js'

/** What a request's session is read with, and how its framework shows it to the application. */
export interface RequestSettings {
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal
  readonly label: string
  readonly lifetimeSec: number | undefined
  readonly readOnly: boolean
  /** Makes of an error what the application is to see. */
  readonly errorOf: <E>(error: E) => E | Error
  /** What the application is given as the data; of what is not `isOwn` of the session a copy. Default: the data. */
  readonly dressed?: (data: object, isOwn: boolean) => object
}

/**
 * One request's session where the adapter keeps it by itself: locked from before the handler until the response is
 * decided. A visitor without one costs no flight: a new session begins when something is stored in it.
 */
export class RequestSession<T extends object = Record<string, unknown>> {
  /** For the adapter: whose id the cookie must name; null for nobody's, undefined where it is left alone. */
  cookieId: string | null | undefined
  private found: 'nothing' | 'a session' | 'a retired copy' = 'nothing'
  private newId: string
  /** The data while nothing is stored; made when it is asked for. */
  private made: Partial<T> | undefined
  private freshMaxAge: number | undefined
  /** As the browser has it. */
  private firstMaxAge: number | undefined
  /** The manager's; undefined while nothing is stored. */
  private session: Session<T> | undefined
  /** Why nothing can be changed any more. */
  private reason: ReadOnlyReason | undefined
  /** The data since then. */
  private ended: Partial<T> | undefined
  private releasing: Promise<void> | undefined
  /** Let go of by the adapter before the response was decided. */
  private isCutShort = false
  private readonly calls: CallLine<unknown>

  /** For the adapter, as all that is not documented for handlers. */
  constructor(
    private readonly manager: SessionManager,
    private readonly settings: RequestSettings,
  ) {
    this.calls = new CallLine(settings.errorOf)
    this.newId = manager.createSid()
    if (settings.readOnly) this.end('readOnly')
  }

  /** For the adapter. Waits for the session if need be. Errors as of SessionManager.start(), or the signal's reason. */
  async read(id: string | undefined): Promise<void> {
    try {
      if (id !== undefined && this.manager.flawOf(id) === undefined) await this.find(id)
      this.settings.signal.throwIfAborted()
    } catch (thrown) {
      const error = this.settings.errorOf(thrown)
      // Its data cannot be shown, say: it was locked by then.
      await this.session?.abort()
      this.session = undefined
      // An error handler must not begin a new session in place of the one that could not be had.
      this.reason = 'readOnly'
      this.ended = protect(this.fresh, () => {
        throw error
      })
      throw error
    }
  }

  /** Whether the request came without a session. */
  get isNew(): boolean {
    return this.found === 'nothing'
  }

  /** Whether it is the copy that a regenerated session left behind: its cookie is left alone. */
  get isRetired(): boolean {
    return this.found === 'a retired copy'
  }

  /**
   * What the session holds. Where it cannot be changed (`isReadOnly`; also when the Response has been returned), a
   * change throws LATCHKEY_READ_ONLY at that moment; after destroy() LATCHKEY_SESSION_GONE.
   */
  get data(): Partial<T> {
    return this.ended ?? this.session?.data ?? this.fresh
  }

  set data(data: Partial<T>) {
    this.assertLive()
    assertObject(this.id, data)
    const dressed = this.dressed(data, false)
    if (this.session === undefined) this.made = dressed
    else this.session.data = dressed
  }

  /**
   * Seconds that this session and its cookie live, counted from every response ("remember me"). Kept with the session,
   * before the options `cookie.maxAge` and `lifetimeSec`. At least 1. Undefined, as of a new session: the options say.
   *
   * @throws LATCHKEY_INVALID_OPTION, and as a change of `data`
   */
  get maxAge(): number | undefined {
    return this.session === undefined ? this.freshMaxAge : this.session.lifetimeSec
  }

  set maxAge(maxAge: number | undefined) {
    this.assertLive()
    const checked = checkedMaxAge(maxAge)
    if (this.session === undefined) this.freshMaxAge = checked
    else this.session.lifetimeSec = checked
  }

  /** Another one after regenerate(). */
  get id(): string {
    return this.session?.id ?? this.newId
  }

  /** Of a read-only request, released, destroyed, or the copy that a regenerated session left behind. */
  get isReadOnly(): boolean {
    return this.reason !== undefined
  }

  /** Aborts, with the typed error as its reason, when the lock is lost: what is written then would be refused. */
  get signal(): AbortSignal {
    return this.session?.signal ?? new AbortController().signal
  }

  /** Stores the session now and keeps the lock. One flight. Errors as of Session.save(). */
  save(): Promise<void> {
    return this.changing('data', async () => {
      this.assertLive()
      const session = await this.started()
      await session.save()
      this.cookieId = session.id
    })
  }

  /**
   * Stores the session now and lets go: for a handler that goes on for long. From then on a change throws
   * LATCHKEY_READ_ONLY. One flight; does nothing a second time. Errors as of Session.release().
   */
  release(): Promise<void> {
    if (this.reason === undefined) this.releasing = quiet(this.releaseNow())
    return this.releasing ?? Promise.resolve()
  }

  private async releaseNow(): Promise<void> {
    try {
      // Now: what is changed while it waits for its turn is not in it.
      this.end('released')
    } finally {
      await this.changing('data', async () => {
        if (this.session === undefined && Object.keys(this.fresh).length === 0) return
        const session = await this.started()
        await session.release()
        this.cookieId = session.id
      })
    }
  }

  /** Goes on under a new id with the same data: at every login. Three flights. Errors as of Session.regenerate(). */
  regenerate(options?: RegenerateOptions): Promise<void> {
    return this.changing('id', async () => {
      this.assertLive()
      const { session } = this
      if (session === undefined) this.newId = this.manager.createSid()
      else {
        await session.regenerate(options)
        this.cookieId = session.id
      }
    })
  }

  /** Ends the session: at every logout. The response clears its cookie. One flight. Errors as of Session.destroy(). */
  destroy(): Promise<void> {
    return quiet(this.destroyNow())
  }

  private async destroyNow(): Promise<void> {
    const { reason } = this
    if (reason === 'destroyed') throw this.refusal()
    const refusal = reason === undefined || reason === 'retired' ? undefined : this.refusal()
    try {
      // At once: a response that does not wait for it must not store the session again.
      if (refusal === undefined) this.end('destroyed')
    } finally {
      await this.changing('end', async () => {
        if (refusal !== undefined) throw refusal
        this.cookieId = undefined
        await this.session?.destroy()
        // The browser may have the cookie of the session that went on by now.
        if (!this.isRetired) this.cookieId = null
        this.calls.forgetFailure()
      })
    }
  }

  /**
   * For the adapter: stores what there is to store, and lets go. Throws what was not stored, but for a response that
   * says so itself (`isFailure`): the handler was told.
   */
  async settle(isFailure: boolean): Promise<void> {
    const { calls } = this
    await calls.settled()
    if (isFailure && calls.isFailureTold) return this.abandon()
    calls.isAnswering = true
    if (this.isCutShort) throw this.refusal()
    await this.release()
    if (calls.failure !== undefined) throw calls.failure
  }

  /** For the adapter: lets go and stores nothing. Throws nothing. */
  async abandon(): Promise<void> {
    const isCut = this.reason === undefined
    if (isCut && this.session !== undefined) this.isCutShort = true
    try {
      if (isCut) this.end('released')
    } finally {
      // A lock that could not be let go is swept, or dies with its lease; the session itself is decided.
      await this.calls.inTurn(async () => this.session?.abort()).catch(ignore)
    }
  }

  /** For the adapter: whether the cookie is to be set for the sake of its time, which counts from each response. */
  get isCookieTimed(): boolean {
    return this.maxAge !== undefined || this.firstMaxAge !== undefined
  }

  private async find(id: string): Promise<void> {
    const { signal, label, lifetimeSec, readOnly } = this.settings
    const session = await this.manager.start<T>(id, { signal, label, lifetimeSec, readOnly })
    // Whoever waited for it has gone in the meantime; or no session has this id: it is not taken over.
    if (signal.aborted || session.isNew) return session.abort()
    this.session = session
    this.found = session.isReadOnly && !readOnly ? 'a retired copy' : 'a session'
    this.firstMaxAge = session.lifetimeSec
    if (session.isReadOnly) this.end(readOnly ? 'readOnly' : 'retired', this.dressed(session.data, true))
    else {
      if (this.settings.dressed !== undefined) session.data = this.dressed(session.data, true)
      this.cookieId = session.id
    }
  }

  /** The session of the manager, begun when there is something to store. */
  private async started(): Promise<Session<T>> {
    if (this.session !== undefined) return this.session
    const { label, lifetimeSec } = this.settings
    const session = await this.manager.start<T>(this.newId, { label, lifetimeSec })
    session.data = this.fresh
    session.lifetimeSec = this.freshMaxAge
    this.session = session
    return session
  }

  private get fresh(): Partial<T> {
    return (this.made ??= this.dressed(own({}), true))
  }

  private dressed(data: Partial<T>, isOwn: boolean): Partial<T> {
    const { dressed } = this.settings
    return dressed === undefined ? data : dressed(data, isOwn)
  }

  /** At once, whatever is under way: what is changed from now on would go nowhere. */
  private end(reason: ReadOnlyReason, data = this.data): void {
    this.reason = reason
    this.ended = protect(data, () => this.refusal())
  }

  private refusal(): Error {
    const session = hashOf(this.id)
    const isGone = this.reason === 'destroyed'
    return this.settings.errorOf(
      isGone
        ? new SessionGoneError('The session was destroyed: a change goes nowhere.', { session })
        : new ReadOnlyError(this.reason ?? 'released', { session }),
    )
  }

  private assertLive(): void {
    if (this.reason !== undefined) throw this.refusal()
  }

  /** One call after the other, so that a handler need not wait for its own: the response waits. */
  private changing(subject: string, work: () => Promise<void>): Promise<void> {
    return quiet(this.calls.inTurn(work, subject))
  }
}

/** A session's own `maxAge`: whole seconds, at least 1; undefined is none. @throws LATCHKEY_INVALID_OPTION */
function checkedMaxAge(maxAge: number | undefined): number | undefined {
  checkNumber("the session's maxAge", maxAge, 1, MAX_TTL_SEC)
  return maxAge === undefined ? undefined : Math.ceil(maxAge)
}
