import { LatchkeyError } from '../../errors.js'
import { isBodyDue, onBodyArrived } from '../http/body-arrival.js'
import { ClientGoneError } from '../../request/leaving.js'
import { type SessionHttpError, tellRetry, toHttpError } from '../http/http-error.js'
import { RequestSession } from '../../request/request-session.js'
import { checkOptions } from './check-options.js'
import type { SessionOptions } from './options.js'
import { SessionCookie } from './session-cookie.js'

/** Requests whose sessions are there, as long as their handlers run. */
const served = new WeakMap<Request, readonly Served[]>()

interface Served {
  readonly manager: SessionOptions['manager']
  readonly cookieName: string
  readonly session: object
}

/** What one set of options does to a request: a session before it, and a cookie, or a refusal, after it. */
export class LockedHandler<T extends object> {
  private readonly cookie: SessionCookie

  constructor(private readonly options: SessionOptions) {
    checkOptions(options, () => new SessionCookie(options).of(''))
    this.cookie = new SessionCookie(options)
  }

  /**
   * The session, or the Response to a request that cannot have it.
   * @param env what the server passes beside the request: @hono/node-server's names the one of Node's http.
   */
  async begin(request: Request, env: unknown): Promise<RequestSession<T> | Response> {
    const { manager, cookie, readOnly: given = false, label = labelOf, lifetimeSec = cookie?.maxAge } = this.options
    const readOnly = (typeof given === 'function' ? given(request) : given) === true
    const incoming = incomingOf(env)
    // Nobody is to wait for a session while another client uploads slowly.
    if (!readOnly && isBodyDue(incoming)) await new Promise<void>((resolve) => onBodyArrived(incoming, resolve))
    const { signal } = request
    try {
      const session = new RequestSession<T>(manager, { signal, label: label(request), lifetimeSec, readOnly, errorOf: itself })
      await session.read(this.cookie.idIn(request))
      return session
    } catch (error) {
      const reason = signal.aborted && error === signal.reason ? new ClientGoneError('The client has gone.') : error
      return this.refuse(reason, request)
    }
  }

  /** The session that this request has already: the same handlers, mounted or wrapped twice on its way. */
  around(request: Request): RequestSession<T> | undefined {
    const { manager } = this.options
    const found = served.get(request)?.find((one) => one.manager === manager && one.cookieName === this.cookie.name)?.session
    // What is in a session, the application says.
    return found instanceof RequestSession ? (found as RequestSession<T>) : undefined
  }

  /** Runs `work` as the handler of a request that has its session. */
  async within<R>(request: Request, session: RequestSession<T>, work: () => R | Promise<R>): Promise<R> {
    const before = served.get(request) ?? []
    served.set(request, [...before, { manager: this.options.manager, cookieName: this.cookie.name, session }])
    try {
      return await work()
    } finally {
      served.set(request, before)
    }
  }

  /** Stores the session and lets go; then the Response as it may be sent. */
  async answer(request: Request, session: RequestSession<T>, response: Response): Promise<Response> {
    try {
      await session.settle(response.status >= 400)
    } catch (error) {
      // What could not be written down is still held.
      await session.abandon()
      await response.body?.cancel(error).catch(() => undefined)
      return this.refuse(error, request)
    }
    const cookie = this.cookieFor(request, session)
    return cookie === undefined ? response : withCookie(response, cookie)
  }

  /** The handler has thrown: nothing is stored. Undefined where the error is none of a session that was refused. */
  async fail(request: Request, session: RequestSession<T>, error: unknown): Promise<Response | undefined> {
    await session.abandon()
    const refusal = refusalOf(error)
    return refusal === undefined ? undefined : this.told(refusal, request)
  }

  private cookieFor(request: Request, session: RequestSession<T>): string | undefined {
    const { cookieId: id } = session
    if (id === undefined) return undefined
    if (id === null) return this.cookie.isIn(request) ? this.cookie.cleared() : undefined
    const isDue = session.isCookieTimed || this.cookie.isRolling || !this.cookie.isAsOf(request, id)
    return isDue ? this.cookie.of(id, session.maxAge) : undefined
  }

  private refuse(error: unknown, request: Request): Promise<Response> {
    const refusal = refusalOf(error)
    if (refusal === undefined) throw error
    return this.told(refusal, request)
  }

  private async told(refusal: SessionHttpError, request: Request): Promise<Response> {
    const page = await this.options.onRefused?.(refusal, request)
    return page === undefined ? plain(refusal) : withRetry(page, refusal)
  }
}

/** What is answered where the session is busy, gone, or not to be had now; every other error is the caller's. */
function refusalOf(error: unknown): SessionHttpError | undefined {
  if (!(error instanceof LatchkeyError) && !(error instanceof ClientGoneError)) return undefined
  const refusal = toHttpError(error)
  return refusal.status === 500 ? undefined : refusal
}

function plain({ message, status, headers }: SessionHttpError): Response {
  const all = { ...headers, 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' }
  return new Response(`${message}\n`, { status, headers: all })
}

/** The application's own page; a copy, as in withCookie(). */
function withRetry(page: Response, refusal: SessionHttpError): Response {
  if (page.type === 'error') return page
  const copy = new Response(page.body, page)
  tellRetry(refusal, (name, value) => {
    if (!copy.headers.has(name)) copy.headers.set(name, value)
  })
  return copy
}

/** Another one: the handler's may be frozen, or a constant that it answers every visitor with. */
function withCookie(response: Response, cookie: string): Response {
  // Response.error() is none that could be sent.
  if (response.type === 'error') return response
  const copy = new Response(response.body, response)
  copy.headers.append('Set-Cookie', cookie)
  return copy
}

const incomingOf = (env: unknown): unknown =>
  typeof env === 'object' && env !== null && 'incoming' in env ? env.incoming : undefined

const itself = <E>(error: E): E => error

/** A query may hold secrets. */
const labelOf = ({ method, url }: Request): string => `${method} ${new URL(url).pathname}`
