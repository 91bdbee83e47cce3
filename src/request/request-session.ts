import { InvalidOptionError, ReadOnlyError, type ReadOnlyReason, SessionGoneError } from '../errors.js'
import { checkRegenerateOptions, type RegenerateOptions } from '../session/locked-record.js'
import { checkNumber, MAX_TTL_SEC } from '../session/option-checks.js'
import { takeLifetime, withLifetime } from '../session/own-lifetime.js'
import { own, ownAll, protect } from '../session/protect.js'
import { assertObject } from '../session/serializer.js'
import type { SessionManager } from '../session/session-manager.js'
import { hashOf } from '../system/session-hash.js'
import { HeldText } from './held-text.js'
import { quiet } from './quiet.js'
import { RequestLife } from './request-life.js'

const PHP_SAYS_HOW_LONG = 'A session that is shared with PHP has no maxAge of its own: PHP keeps all of them for session.gc_maxlifetime.'

/** What a request's session is read with, and how its framework shows it to the application. */
export interface RequestSettings {
  readonly label: string
  readonly lifetimeSec: number | undefined
  readonly readOnly: boolean
  /** As RequestLife's. */
  readonly clientGoneMs?: number | undefined
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
  /** Whose id the cookie must name; null for nobody's, undefined where it is left alone. @internal */
  cookieId: string | null | undefined
  private found: 'nothing' | 'a session' | 'a retired copy' = 'nothing'
  private currentId: string
  /** Made when it is asked for; protected where it cannot be changed. */
  private current: Partial<T> | undefined
  private ownMaxAge: number | undefined
  /** As the browser has it. */
  private firstMaxAge: number | undefined
  private releasing: Promise<void> | undefined
  /** Let go of by the adapter before the response was decided. */
  private isCutShort = false
  private readonly held: HeldText<object>
  /** @internal */
  readonly life: RequestLife
  /** What is to be stored when it is let go, of a session that is shared with PHP. */
  private lastText: (() => string) | undefined

  /** For the adapter, as all that is marked so: it is in no declaration of the package. @internal */
  constructor(
    private readonly manager: SessionManager,
    private readonly settings: RequestSettings,
  ) {
    this.held = new HeldText(manager, settings.label, manager, settings.readOnly ? 'readOnly' : undefined, settings.errorOf)
    this.life = new RequestLife(this.held, settings.clientGoneMs, this.cutShort)
    this.currentId = manager.createSid()
  }

  /** Waits for the session if need be. Errors as of SessionManager.start(), or ClientGoneError. @internal */
  async read(id: string | undefined): Promise<void> {
    const { held } = this
    try {
      if (id !== undefined) {
        const found = await held.read(id)
        // An id that no session has is not taken over: an attacker may have planted it.
        if (found !== null) this.take(id, ownAll(found))
      }
      if (this.settings.readOnly) this.end('readOnly')
      held.throwIfGivenUp()
    } catch (thrown) {
      const error = this.settings.errorOf(thrown)
      // It may be locked by now: its data could not be decoded, say.
      await held.drop()
      // An error page must not begin a new session in place of the one that could not be read.
      held.readOnly = 'readOnly'
      this.current = protect(this.dressed(own({}), true), () => {
        throw error
      })
      throw error
    }
  }

  private take(id: string, data: Partial<T>): void {
    const { held, settings } = this
    this.currentId = id
    if (this.manager.php === undefined) this.ownMaxAge = this.firstMaxAge = takeLifetime(data)
    if (this.lifetimeSec !== undefined) held.keepAlive(this.lifetimeSec)
    this.current = this.dressed(data, true)
    this.found = held.retiredSid === undefined ? 'a session' : 'a retired copy'
    if (this.isRetired) this.end('retired')
    else if (!settings.readOnly) this.cookieId = id
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
    return (this.current ??= this.dressed(own({}), true))
  }

  set data(data: Partial<T>) {
    this.assertLive()
    assertObject(this.id, data)
    this.current = this.dressed(data, false)
  }

  /**
   * Seconds that this session and its cookie live, counted from every response ("remember me"). Kept with the session,
   * before the options `cookie.maxAge` and `lifetimeSec`. At least 1. Undefined, as of a new session: the options say.
   *
   * @throws LATCHKEY_INVALID_OPTION, and as a change of `data`
   */
  get maxAge(): number | undefined {
    return this.ownMaxAge
  }

  set maxAge(maxAge: number | undefined) {
    this.assertLive()
    if (this.manager.php !== undefined) throw new InvalidOptionError(PHP_SAYS_HOW_LONG)
    checkNumber("the session's maxAge", maxAge, 1, MAX_TTL_SEC)
    this.ownMaxAge = maxAge === undefined ? undefined : Math.ceil(maxAge)
  }

  /** Another one after regenerate(). */
  get id(): string {
    return this.currentId
  }

  /** Of a read-only request, released, destroyed, or the copy that a regenerated session left behind. */
  get isReadOnly(): boolean {
    return this.held.readOnly !== undefined
  }

  /** Aborts, with the typed error as its reason, when the lock is lost: what is written then would be refused. */
  get signal(): AbortSignal {
    return this.held.signal
  }

  /** Stores the session now and keeps the lock. One flight. Errors as of Session.save(). */
  save(): Promise<void> {
    return this.changing('data', async () => {
      this.assertLive()
      await this.write(false)
    })
  }

  /**
   * Stores the session now and lets go: for a handler that goes on for long. From then on a change throws
   * LATCHKEY_READ_ONLY. One flight; does nothing a second time. Errors as of Session.release().
   */
  release(): Promise<void> {
    if (!this.isReadOnly) this.releasing = quiet(this.storeAndLetGo())
    return this.releasing ?? Promise.resolve()
  }

  /** What the end of a response stores. @internal */
  readonly storeAndLetGo = async (): Promise<void> => {
    if (this.isCutShort) throw this.refusal()
    if (this.isReadOnly) return this.releasing
    if (this.manager.php !== undefined) this.lastText = this.textNow()
    try {
      // At once: a change that is made while the store waits for its turn would be lost without an error.
      this.end('released')
    } finally {
      await this.held.calls.inTurn(this.write, 'data', true)
    }
  }

  private readonly cutShort = (): void => {
    if (this.isReadOnly) return
    if (this.isStored) this.isCutShort = true
    this.end('released')
  }

  /** Goes on under a new id with the same data: at every login. Three flights. Errors as of Session.regenerate(). */
  regenerate(options: RegenerateOptions = {}): Promise<void> {
    return this.changing('id', async () => {
      this.assertLive()
      checkRegenerateOptions(options)
      if (!this.isStored) this.currentId = this.manager.createSid()
      else this.currentId = this.cookieId = await this.held.goOn(this.text, this.lifetimeSec, options)
    })
  }

  /** Ends the session: at every logout. The response clears its cookie. One flight. Errors as of Session.destroy(). */
  destroy(): Promise<void> {
    return quiet(this.destroyNow())
  }

  private async destroyNow(): Promise<void> {
    const { held } = this
    if (held.readOnly === 'destroyed') throw this.refusal()
    const refusal = held.readOnly === undefined || held.readOnly === 'retired' ? undefined : this.refusal()
    try {
      // At once: a response that does not wait for the destruction must not store the session again.
      if (refusal === undefined) this.end('destroyed')
    } finally {
      await this.changing('end', async () => {
        if (refusal !== undefined) throw refusal
        this.cookieId = undefined
        if (this.isStored) await held.destroy(this.id)
        // After a retired copy the browser may have the cookie of the session that went on: that one stays.
        if (!this.isRetired) this.cookieId = null
        held.calls.forgetFailure()
      })
    }
  }

  /** Whether the cookie is to be set for the sake of its time, which counts from each response. @internal */
  get isCookieTimed(): boolean {
    return this.ownMaxAge !== undefined || this.firstMaxAge !== undefined
  }

  /** Whether it was found, or stored by this request. */
  private get isStored(): boolean {
    return this.held.isRead(this.currentId)
  }

  private get lifetimeSec(): number | undefined {
    return this.ownMaxAge ?? this.settings.lifetimeSec
  }

  private get text(): string {
    const { data, ownMaxAge: sec, currentId: id } = this
    return this.manager.encode(id, sec === undefined ? data : withLifetime(id, data, sec))
  }

  /** As it is before it is protected, which makes other objects of its parts: of those no PHP type is known. Throws when it is asked for. */
  private textNow(): () => string {
    try {
      const { text } = this
      return () => text
    } catch (error) {
      return () => {
        throw error
      }
    }
  }

  /** The last time, a new session in which nothing is stays unstored. */
  private readonly write = async (isLast: boolean): Promise<void> => {
    const { id } = this
    if (isLast && !this.isStored && Object.keys(this.data).length === 0) return
    const text = isLast && this.lastText !== undefined ? this.lastText() : this.text
    await this.held.write(id, text, this.lifetimeSec, isLast)
    this.cookieId = id
  }

  private dressed(data: Partial<T>, isOwn: boolean): Partial<T> {
    const { dressed } = this.settings
    return dressed === undefined ? data : dressed(data, isOwn)
  }

  /** From this moment a change throws, whatever call is under way: it would never be stored. */
  private end(reason: ReadOnlyReason): void {
    this.held.readOnly = reason
    this.current = protect(this.data, () => this.refusal())
  }

  private refusal(): Error {
    const { readOnly = 'released' } = this.held
    const session = hashOf(this.id)
    const isGone = readOnly === 'destroyed'
    return this.settings.errorOf(
      isGone
        ? new SessionGoneError('The session was destroyed: a change goes nowhere.', { session })
        : new ReadOnlyError(readOnly, { session }),
    )
  }

  private assertLive(): void {
    if (this.isReadOnly) throw this.refusal()
  }

  /** Runs one call after the other. A handler need not await its own: the response does. */
  private changing(subject: string, work: () => Promise<void>): Promise<void> {
    return quiet(this.held.calls.inTurn(work, subject))
  }
}
