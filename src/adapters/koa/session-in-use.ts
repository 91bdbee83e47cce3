import type { Context } from 'koa'
import { checkMaxAge } from './check-options.js'
import type { CommitOptions, KoaSession } from './koa-session.js'
import type { KoaSettings } from './options.js'

/** koa-session's session object that a request uses now, and its commit. */
export class SessionInUse {
  /** Null when the application has set it to null. */
  session: KoaSession | null = null
  /** The store's `destroy` comes from regenerate(). */
  isRegenerating = false
  /** koa-session's own `commit`, which every one of its session objects has: all commit the same request. */
  private commitOfKoa: ((options: CommitOptions) => Promise<void> | undefined) | undefined
  /** What was found or stored, as text; undefined where nothing was. */
  private found: string | undefined

  constructor(
    private readonly ctx: Context,
    private readonly settings: KoaSettings,
  ) {}

  /** koa-session's methods are replaced after it. */
  take(session: KoaSession | null): void {
    this.session = session
    if (session !== null) this.commitOfKoa = session.commit.bind(session)
  }

  /** Nothing was changed so far. */
  asFound(): void {
    if (this.session?.isNew === false) this.found = this.textOf(this.session)
  }

  get isChanged(): boolean {
    const { session, found } = this
    if (session === null) return true
    return found === undefined ? session.populated : this.textOf(session) !== found
  }

  readonly commit = async (options: CommitOptions): Promise<void> => {
    const { session } = this
    try {
      checkMaxAge(session?.maxAge)
      // koa-session compares by JSON, which does not see what changes within a Map; the serializer does.
      if (session?.isNew === false && this.isChanged) session._requireSave = true
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

  /** koa-session's, and its signature: of a session that is not stored, or is not this request's to name. */
  withdrawCookie(): void {
    const { ctx, settings } = this
    if (ctx.headerSent) return
    const cookies = [ctx.response.get('Set-Cookie') ?? []].flat()
    const own = [`${settings.key}=`, `${settings.key}.sig=`]
    const others = cookies.filter((cookie) => !own.some((name) => cookie.startsWith(name)))
    if (others.length === 0) ctx.remove('Set-Cookie')
    else if (others.length < cookies.length) ctx.set('Set-Cookie', others)
  }

  private textOf(session: KoaSession): string {
    return this.settings.manager.encode(session.externalKey ?? '', session.toJSON())
  }
}
