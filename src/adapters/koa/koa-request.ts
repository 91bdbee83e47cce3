import type { Context, Next } from 'koa'
import { LatchkeyError } from '../../errors.js'
import { HeldText } from '../../request/held-text.js'
import { giveMethods } from '../http/give-methods.js'
import { readOnlyFailure, SessionHttpError, toHttpError } from '../http/http-error.js'
import { endAtEventStream, watchClient } from '../http/watch-response.js'
import { quiet } from '../../request/quiet.js'
import { RequestLife } from '../../request/request-life.js'
import { type CommitCallback, type CommitOptions, type KoaSession, readOnlyView } from './koa-session.js'
import { phpData } from './koa-form.js'
import type { KoaSettings } from './options.js'
import { SessionInUse } from './session-in-use.js'

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
  readonly inUse: SessionInUse
  /** What the application sees of one that cannot be changed. */
  private view: object | undefined

  constructor(
    private readonly ctx: Context,
    private readonly settings: KoaSettings,
    isReading: boolean,
  ) {
    const { manager, form, label, clientGoneMs } = settings
    this.inUse = new SessionInUse(ctx, settings)
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
    const { ctx, held, inUse } = this
    this.life.begin()
    const owner: object = Reflect.getPrototypeOf(ctx) ?? {}
    const take = (): void => {
      const session: KoaSession | null = Reflect.get(owner, 'session', ctx)
      inUse.take(session)
      this.view = undefined
      if (session !== null) this.dress(session)
    }
    take()
    inUse.asFound()
    if (held.readOnly !== undefined) this.protect()
    Object.defineProperty(ctx, 'session', {
      configurable: true,
      get: () => this.view ?? inUse.session,
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
    const { held, inUse } = this
    if (held.readOnly === 'released') {
      // A change that was made after the session was let go is not stored: the response must not claim success for it.
      if (inUse.isChanged) this.assertChangeable()
      return
    }
    if (held.readOnly !== undefined && inUse.session !== null) return
    if (this.settings.isCommitting) await this.commit({})
    if (held.readOnly !== undefined) inUse.withdrawCookie()
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
    return this.held.calls.noting(THE_SESSION, this.inUse.commit, options)
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

  private readonly protect = (): void => {
    const { held, inUse: { session } } = this
    const reason = (held.readOnly ??= 'released')
    if (session === null || this.view !== undefined) return
    this.view = readOnlyView(session, readOnlyFailure(reason, session.externalKey ?? ''), reason === 'released')
  }

  private assertChangeable(): void {
    const { readOnly } = this.held
    if (readOnly !== undefined) throw readOnlyFailure(readOnly, this.inUse.session?.externalKey ?? '')()
  }

  private dress(session: KoaSession): void {
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
}
