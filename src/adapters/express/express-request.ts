import type { ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { type GateKeeper, ResponseGate } from '../../response/response-gate.js'
import { giveMethods } from '../http/give-methods.js'
import { SessionHttpError, tellRetry, toHttpError } from '../http/http-error.js'
import { watchClient } from '../http/watch-response.js'
import { quiet } from '../../request/quiet.js'
import { RequestLife } from '../../request/request-life.js'
import type { Next, Request } from './options.js'
import { protectSession } from './read-only.js'
import type { ExpressStore } from './express-store.js'

export interface ExpressRequestOptions {
  readonly clientGoneMs: number | undefined
  readonly saveUninitialized: boolean
  /** The name of the session's cookie. */
  readonly cookieName: string
  /** What becomes of each Set-Cookie header; undefined: it leaves as it is. */
  readonly rewriteCookie: ((header: string) => string) | undefined
}

/** One request, from its first sight of the session to the end of its response. */
export class ExpressRequest implements GateKeeper<SessionHttpError> {
  private readonly gate: ResponseGate<SessionHttpError>
  private readonly life: RequestLife
  private hasBegun = false

  constructor(
    private readonly req: Request,
    private readonly res: ServerResponse,
    private readonly next: Next,
    private readonly store: ExpressStore,
    private readonly options: ExpressRequestOptions,
  ) {
    this.gate = new ResponseGate(res, this)
    store.onSession = this.equip
    if (options.rewriteCookie !== undefined) this.gate.rewriteCookies(options.rewriteCookie)
    // What is changed after that is not refused there and then: express-session stores it at the end, and is told.
    this.life = new RequestLife(store.held, options.clientGoneMs)
    watchClient(res, this.life)
  }

  /** What express-session calls when the session is there or cannot be had, and again for what fails later. */
  readonly proceed = (error?: unknown): void => {
    if (this.hasBegun) {
      // A failure of the store is told by the gate, once, when the response is decided.
      if (!(error instanceof SessionHttpError) && !this.isCookieRefused) this.next(error)
      return
    }
    this.hasBegun = true
    // A timeout middleware, say, has answered while the request waited: there is nothing left to do.
    if (!this.life.begin()) return
    // Of a path that is not its cookie's, or without a secret: the response is left to another one.
    if (!this.isTakenOn) {
      this.gate.standAside()
      void this.life.finish()
    } else {
      this.gate.watchEnd()
      const { current } = this
      // The store equips the sessions that it makes; a new one was made by express-session.
      if (current !== undefined && !('release' in current)) this.equip(current)
      this.protect()
      tellRetry(error, this.res)
    }
    this.next(error)
  }

  /** The store has refused it; express-session finds so as well, when the head of the error page leaves, without a cookie. */
  private get isCookieRefused(): boolean {
    return this.current !== undefined && this.store.held.bare.record.flawOfCookie(this.current) !== undefined
  }

  /** Undefined where express-session has made none, and where the application has set it to null. */
  private get current(): Request['session'] | undefined {
    const session: Request['session'] | null | undefined = this.req.session
    return session ?? undefined
  }

  /** The headers are about to leave, and the handler will go on: what is in the session now is stored first. */
  beforeStream(eventStream: boolean): Promise<SessionHttpError | undefined> | undefined {
    const { current } = this
    if (current === undefined) return eventStream ? this.letGo() : undefined
    // An event stream may last for hours: this is its last write.
    if (eventStream) return this.release().then(() => undefined, toHttpError)
    if (this.mustSave(current)) return this.failureOf(promisify(current.save.bind(current))())
    if (this.store.held.sid === undefined) return undefined
    // A client may read the body slowly: other requests of the session must not wait for it.
    return this.failureOf(this.store.letGoUnchanged(this.req.sessionID, touched(current)))
  }

  beforeEnd(): void {
    this.life.answer()
    this.store.held.calls.isAnswering = true
  }

  decided(): Promise<SessionHttpError | undefined> | undefined {
    const { store, life } = this
    store.endAnswer()
    if (!life.answer()) {
      // A timeout middleware, say, answers while the request still waits for its session: it stops waiting.
      void life.finish()
      return undefined
    }
    const { isIdle, calls } = store.held
    return isIdle && calls.failure === undefined ? undefined : this.letGo()
  }

  isGivenUp(): boolean {
    if (!this.store.held.calls.isToldBy(this.res.statusCode)) return false
    this.life.answer()
    this.store.endAnswer()
    void this.life.complete()
    return true
  }

  onBroken(thrown: unknown): { readonly error: unknown; readonly refusal: SessionHttpError } {
    const { current } = this
    // express-session compares by JSON.stringify(), which names neither a cycle nor a BigInt.
    const flaw = current && this.store.flawOf(this.req.sessionID, current)
    void this.life.finish()
    return { error: flaw ?? thrown, refusal: flaw ?? toHttpError(thrown) }
  }

  onRefused(error: SessionHttpError): void {
    tellRetry(error, this.res)
    this.next(error)
  }

  onLateFailure(error: SessionHttpError): void {
    this.store.held.bare.onFailure(error)
  }

  /** By express-session: it shows its store to the requests that it deals with. */
  private get isTakenOn(): boolean {
    const shown: object | undefined = this.req.sessionStore
    return shown === this.store
  }

  private readonly equip = (session: object): void => {
    const { sessionID: sid } = this.req
    // The session before a regenerate() is not there any more; it must not let go of the one that came after it.
    giveMethods(session, { release: () => (sid === this.req.sessionID ? quiet(this.release()) : Promise.resolve()) })
  }

  /** The session that was read, or read again, if it can only be read. */
  private readonly protect = (): void => {
    const reason = this.store.held.readOnly
    if (reason === undefined || this.current === undefined) return
    if (reason !== 'released') this.gate.withholdCookie(this.options.cookieName)
    protectSession(this.req, reason, this.protect)
  }

  /** `req.session.release()`. Where there is nothing to store and nothing held, nothing is sent. */
  private async release(): Promise<void> {
    const { req, store, current } = this
    if (current === undefined) return this.life.complete()
    if (store.held.readOnly !== undefined) return
    const releasing = store.release(req.sessionID, touched(current), this.mustSave(current))
    // Now: what is changed while it is under way is not in it.
    protectSession(req, 'released', this.protect)
    await releasing
  }

  private mustSave(current: Request['session']): boolean {
    const { req, store } = this
    return store.held.isModified(req.sessionID, current) || (!store.held.isKnown(req.sessionID) && this.options.saveUninitialized)
  }

  private async failureOf(storing: Promise<void>): Promise<SessionHttpError | undefined> {
    try {
      await storing
      return undefined
    } catch (error) {
      await this.life.finish()
      return toHttpError(error)
    }
  }

  private async letGo(): Promise<SessionHttpError | undefined> {
    await this.life.complete()
    return this.store.held.calls.failure
  }
}

/** As express-session touches it before its own last write. */
function touched(session: Request['session']): Request['session'] {
  session.touch()
  return session
}
