import { ReadOnlyError, SessionGoneError } from '../../errors.js'
import { hashOf } from '../../system/session-hash.js'
import { checkedMaxAge } from '../http/checked-max-age.js'
import { quiet } from '../http/settle.js'
import { own, protect } from '../../session/protect.js'
import { assertObject } from '../../session/serializer.js'
import type { RegenerateOptions, Session } from '../../session/session.js'
import type { SessionManager } from '../../session/session-manager.js'

export interface StartSettings {
  readonly signal: AbortSignal
  readonly label: string
  readonly lifetimeSec: number | undefined
  readonly readOnly: boolean
}

type Call = 'store' | 'regenerate' | 'destroy'

/**
 * One request's session, locked from before the handler until its Response. A visitor without one costs no flight:
 * a new session begins when something is stored in it.
 */
export class RequestSession<T extends object = Record<string, unknown>> {
  /** Whether the request came without a session. */
  readonly isNew: boolean
  /** The copy that a regenerated session left behind: its cookie is left alone. */
  readonly isRetired: boolean
  private newId: string
  /** The data while nothing is stored. */
  private fresh: Partial<T> = own({})
  private freshMaxAge: number | undefined
  /** As the browser has it. */
  private readonly firstMaxAge: number | undefined
  /** The data when nothing of it will be stored any more. */
  private ended: Partial<T> | undefined
  private state: 'live' | 'released' | 'destroyed' = 'live'
  private turn: Promise<unknown> = Promise.resolve()
  /** Calls that failed and were not made good. */
  private readonly failures = new Map<Call, unknown>()

  private constructor(
    private readonly manager: SessionManager,
    private readonly settings: StartSettings,
    /** The manager's; undefined while nothing is stored. */
    private session: Session<T> | undefined,
  ) {
    this.isNew = session === undefined
    this.isRetired = !settings.readOnly && session?.isReadOnly === true
    this.newId = manager.createSid()
    this.firstMaxAge = session?.lifetimeSec
    if (settings.readOnly) this.end(() => this.refusal())
  }

  /** For the adapter. Waits for the session if need be. Errors as of SessionManager.start(), or the signal's reason. */
  static async begin<T extends object>(
    manager: SessionManager,
    id: string | undefined,
    settings: StartSettings,
  ): Promise<RequestSession<T>> {
    const isAsked = id !== undefined && manager.flawOf(id) === undefined
    const session = isAsked ? await manager.start<T>(id, settings) : undefined
    // Whoever waited for it has gone in the meantime; or no session has this id: it is not taken over.
    if (session !== undefined && (settings.signal.aborted || session.isNew)) await session.abort()
    settings.signal.throwIfAborted()
    return new RequestSession<T>(manager, settings, session?.isNew === true ? undefined : session)
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
    if (this.session === undefined) this.fresh = data
    else this.session.data = data
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

  /** Of a read-only request, released, or the copy that a regenerated session left behind. */
  get isReadOnly(): boolean {
    return this.settings.readOnly || this.isRetired || this.state !== 'live'
  }

  /** Aborts, with the typed error as its reason, when the lock is lost: what is written then would be refused. */
  get signal(): AbortSignal {
    return this.session?.signal ?? new AbortController().signal
  }

  /** Stores the session now and keeps the lock. One flight. Errors as of Session.save(). */
  save(): Promise<void> {
    return this.inTurn('store', async () => {
      this.assertLive()
      await (await this.started()).save()
    })
  }

  /**
   * Stores the session now and lets go: for a handler that goes on for long. From then on a change throws
   * LATCHKEY_READ_ONLY. One flight; does nothing a second time. Errors as of Session.release().
   */
  release(): Promise<void> {
    return quiet(this.releaseNow())
  }

  private async releaseNow(): Promise<void> {
    if (this.isReadOnly) return
    this.state = 'released'
    await this.inTurn('store', async () => {
      const isEmpty = this.session === undefined && Object.keys(this.fresh).length === 0
      if (isEmpty) this.end(() => this.refusal())
      else await (await this.started()).release()
    })
  }

  /** Goes on under a new id with the same data: at every login. Three flights. Errors as of Session.regenerate(). */
  regenerate(options?: RegenerateOptions): Promise<void> {
    return this.inTurn('regenerate', async () => {
      this.assertLive()
      if (this.session === undefined) this.newId = this.manager.createSid()
      else await this.session.regenerate(options)
    })
  }

  /** Ends the session: at every logout. The Response clears its cookie. One flight. Errors as of Session.destroy(). */
  destroy(): Promise<void> {
    return quiet(this.destroyNow())
  }

  private async destroyNow(): Promise<void> {
    if (!this.isRetired) this.assertLive()
    // At once: a Response that does not wait for it must not store the session again.
    this.state = 'destroyed'
    try {
      this.end(() => this.refusal())
    } finally {
      await this.inTurn('destroy', async () => this.session?.destroy())
    }
  }

  /**
   * For the adapter: stores what there is to store, and lets go. Throws what was not stored, but for a Response that
   * says so itself (`isFailure`): the handler was told.
   */
  async settle(isFailure: boolean): Promise<void> {
    await this.turn
    if (isFailure && this.failures.size > 0) return this.abandon()
    await this.release()
    for (const failure of this.failures.values()) throw failure
  }

  /** For the adapter: lets go and stores nothing. Throws nothing. */
  async abandon(): Promise<void> {
    if (this.state === 'live') this.state = 'released'
    await this.turn
    try {
      this.end(() => this.refusal())
    } finally {
      await this.session?.abort().catch(() => {
        // A lock that could not be let go is swept, or dies with its lease; the session itself is decided.
      })
    }
  }

  /** For the adapter: whose id the cookie must name; null for nobody's, undefined where it is left alone. */
  get cookieId(): string | null | undefined {
    if (this.settings.readOnly || this.isRetired || this.failures.has('destroy')) return undefined
    if (this.state === 'destroyed') return null
    return this.isNew && this.failures.has('store') ? undefined : this.session?.id
  }

  /** For the adapter: whether the cookie is to be set for the sake of its time, which counts from each response. */
  get isCookieTimed(): boolean {
    return this.maxAge !== undefined || this.firstMaxAge !== undefined
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

  private end(why: () => Error): void {
    this.ended ??= protect(this.data, why)
  }

  private refusal(): ReadOnlyError | SessionGoneError {
    const session = hashOf(this.id)
    if (this.state === 'destroyed') {
      return new SessionGoneError('The session was destroyed: a change goes nowhere.', { session })
    }
    return new ReadOnlyError(this.settings.readOnly ? 'readOnly' : this.isRetired ? 'retired' : 'released', { session })
  }

  private assertLive(): void {
    if (this.isReadOnly) throw this.refusal()
  }

  /** One call after the other, so that a handler need not wait for its own: the Response waits. */
  private inTurn(call: Call, work: () => Promise<void>): Promise<void> {
    const run = this.turn.then(work).then(
      () => void this.failures.delete(call),
      (error: unknown) => {
        this.failures.set(call, error)
        throw error
      },
    )
    this.turn = run.catch(() => undefined)
    return run
  }
}
