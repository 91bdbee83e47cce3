import type { Context, Next } from 'koa'
import { LatchkeyError } from '../../errors.js'
import { HeldText } from '../../request/held-text.js'
import { giveMethods } from '../http/give-methods.js'
import { readOnlyFailure, SessionHttpError, toHttpError } from '../http/http-error.js'
import { endAtEventStream, watchClient } from '../http/watch-response.js'
import { quiet } from '../../request/quiet.js'
import { RequestLife } from '../../request/request-life.js'
import { checkMaxAge } from './check-options.js'
import { type CommitCallback, type CommitOptions, type KoaSession, readOnlyView } from './koa-session.js'
import { phpData } from './koa-form.js'
import type { KoaSettings } from './options.js'

const isKoaSession = (session: unknown): boolean =>
  session === null || (typeof session === 'object' && 'commit' in session && typeof session.commit === 'function')

/** The name under which failures are noted: koa-session has one session a request. */
const THE_SESSION = ''

/** Errors of the application's own functions, which koa-session calls, are left as they are. */
const errorOf = (thrown: unknown): unknown => (thrown instanceof LatchkeyError ? toHttpError(thrown) : thrown)

/** One request's session as koa-session keeps it, from its read to the end of the middleware. */
export class KoaRequest {
  readonly held: HeldText<object>
  readonly life: RequestLife
  /** The next write is the last, and lets go. */
  isLast = false
  /** The store's `destroy` comes from regenerate(). */
  isRegenerating = false
  /** koa-session's; null when the application has set it to null. */
  private session: KoaSession | null = null
  /** What the application sees of one that cannot be changed. */
  private view: object | undefined
  /** koa-session's own `commit`, which every one of its session objects has: all commit the same request. */
  private commitOfKoa: ((options: CommitOptions) => Promise<void> | undefined) | undefined
  /** What was found or stored, as text; undefined where nothing was. */
  private found: string | undefined

  constructor(
    private readonly ctx: Context,
    private readonly settings: KoaSettings,
    isReading: boolean,
  ) {
    const { manager, form, label, clientGoneMs } = settings
    this.held = new HeldText(manager, label(ctx), form, isReading ? 'readOnly' : undefined, errorOf)
    this.life = new RequestLife(this.held, clientGoneMs, this.protect)
    endAtEventStream(ctx.res, this.life)
    watchClient(ctx.res, this.life)
  }

  /** Whether another middleware with these settings keeps the same session. */
  keepsSameAs({ manager, key }: KoaSettings): boolean {
    return manager === this.settings.manager && key === this.settings.key
  }

  /** Everything below this middleware; koa-session has read the session. */
  async serve(next: Next): Promise<void> {
    // The application has put something of its own in its place (a test's mock, say): there is nothing to store.
    if (!isKoaSession(Reflect.get(this.ctx, 'session'))) return next()
    this.begin()
    try {
      await next()
    } catch (thrown) {
      // It is the answer already; else what the handler did until then is stored, as by koa-session.
      if (!(thrown instanceof SessionHttpError)) await this.life.decide(this.statusOf, this.store)
      throw thrown
    }
    await this.life.decide(this.statusOf, this.store)
  }

  /** The session could not be had: an error page must not begin a new one in its place. */
  refuse(error: unknown): void {
    const refuse = (): never => {
      throw error
    }
    const empty = readOnlyView({}, () => toHttpError(error), false)
    Object.defineProperty(this.ctx, 'session', { configurable: true, get: () => empty, set: refuse })
  }

  private begin(): void {
    const { ctx, held } = this
    this.life.begin()
    const owner: object = Reflect.getPrototypeOf(ctx) ?? {}
    const take = (): void => {
      const session: KoaSession | null = Reflect.get(owner, 'session', ctx)
      this.session = session
      this.view = undefined
      if (session !== null) this.dress(session)
    }
    take()
    if (this.session?.isNew === false) this.found = this.textOf(this.session)
    if (held.readOnly !== undefined) this.protect()
    Object.defineProperty(ctx, 'session', {
      configurable: true,
      get: () => this.view ?? this.session,
      set: (value: object | null) => {
        // The copy of a session that goes on under another id may be ended.
        if (held.readOnly !== 'retired' || value !== null) this.assertChangeable()
        Reflect.set(owner, 'session', value, ctx)
        take()
      },
    })
  }

  /** koa-session's commit at the end of a request. */
  private readonly store = async (): Promise<void> => {
    this.isLast = true
    const { held, session } = this
    if (held.readOnly === 'released') {
      // A change that was made after the session was let go is not stored: the response must not claim success for it.
      if (session === null || this.isChanged(session)) this.assertChangeable()
      return
    }
    if (held.readOnly !== undefined && session !== null) return
    if (this.settings.isCommitting) await this.commit({})
    if (held.readOnly !== undefined) this.withdrawCookie()
  }

  private readonly statusOf = (): number => this.ctx.status

  private async release(): Promise<void> {
    if (this.held.readOnly !== undefined) return
    this.isLast = true
    const storing = this.counted(() => this.commit({}))
    const ending = this.life.finish()
    try {
      await storing
    } finally {
      await ending
    }
  }

  private commit(options: CommitOptions): Promise<void> {
    return this.held.calls.noting(THE_SESSION, this.commitNow, options)
  }

  private readonly commitNow = async (options: CommitOptions): Promise<void> => {
    const { session } = this
    try {
      checkMaxAge(session?.maxAge)
      // koa-session compares by JSON, which does not see what changes within a Map; the serializer does.
      if (session?.isNew === false && this.isChanged(session)) session._requireSave = true
      const text = session === null ? undefined : this.textOf(session)
      // koa-session calls `destroy` before it returns.
      this.isRegenerating = options.regenerate === true
      const work = this.commitOfKoa?.(options)
      this.isRegenerating = false
      await work
      this.found = text
    } catch (error) {
      this.withdrawCookie()
      throw error
    }
  }

  /** The application's own calls: it need not wait for them, the response does. */
  private async counted(work: () => Promise<void>): Promise<void> {
    const { calls } = this.held
    calls.untold++
    try {
      await work()
    } finally {
      calls.untold--
    }
  }

  private isChanged(session: KoaSession): boolean {
    return this.found === undefined ? session.populated : this.textOf(session) !== this.found
  }

  private textOf(session: KoaSession): string {
    return this.settings.manager.encode(session.externalKey ?? '', session.toJSON())
  }

  private readonly protect = (): void => {
    const { held, session } = this
    const reason = (held.readOnly ??= 'released')
    if (session === null || this.view !== undefined) return
    this.view = readOnlyView(session, readOnlyFailure(reason, session.externalKey ?? ''), reason === 'released')
  }

  private assertChangeable(): void {
    const { readOnly } = this.held
    if (readOnly !== undefined) throw readOnlyFailure(readOnly, this.session?.externalKey ?? '')()
  }

  private dress(session: KoaSession): void {
    this.commitOfKoa = session.commit.bind(session)
    if (this.settings.manager.php !== undefined) giveMethods(session, { toJSON: () => phpData(session, this.held.origin) })
    giveMethods(session, {
      release: () => quiet(this.release()),
      commit: (options?: CommitOptions | CommitCallback, callback?: CommitCallback) => {
        const [given, done] = typeof options === 'function' ? [{}, options] : [options ?? {}, callback]
        const work = this.counted(async () => {
          this.assertChangeable()
          await this.commit(given)
        })
        if (done === undefined) return quiet(work)
        work.then(() => done(), done)
        return undefined
      },
    })
  }

  /** koa-session's, and its signature: of a session that is not stored, or is not this request's to name. */
  private withdrawCookie(): void {
    const { ctx, settings } = this
    if (ctx.headerSent) return
    const cookies = [ctx.response.get('Set-Cookie') ?? []].flat()
    const own = [`${settings.key}=`, `${settings.key}.sig=`]
    const others = cookies.filter((cookie) => !own.some((name) => cookie.startsWith(name)))
    if (others.length === 0) ctx.remove('Set-Cookie')
    else if (others.length < cookies.length) ctx.set('Set-Cookie', others)
  }
}
