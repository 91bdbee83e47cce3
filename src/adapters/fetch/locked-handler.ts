import { LatchkeyError } from '../../errors.js'
import { bodyToArrive } from '../http/body-arrival.js'
import { ClientGoneError } from '../../request/leaving.js'
import { type SessionHttpError, tellRetry, toHttpError } from '../http/http-error.js'
import { RequestSession } from '../../request/request-session.js'
import { processWide } from '../../system/process-wide.js'
import { tellBrowser } from '../http/own-cookie.js'
import { checkOptions } from './check-options.js'
import type { SessionOptions } from './options.js'
import { cookieNameOf, FetchCookie } from './session-cookie.js'

/** Requests whose sessions are there, as long as their handlers run. */
const served = processWide('served-requests', () => new WeakMap<Request, readonly Served[]>())

interface Served {
  readonly manager: SessionOptions['manager']
  readonly cookieName: string
  readonly session: object
}

/** What one set of options does to a request: a session before it, and a cookie, or a refusal, after it. */
export class LockedHandler<T extends object> {
  constructor(private readonly options: SessionOptions) {
    checkOptions(options, () => {
      new FetchCookie(options).set('')
    })
  }

  /**
   * The session, or the Response to a request that cannot have it.
   * @param env what the server passes beside the request: @hono/node-server's names the one of Node's http.
   */
  async begin(request: Request, env: unknown): Promise<RequestSession<T> | Response> {
    const { manager, cookie, readOnly: given = false, label = labelOf, lifetimeSec = cookie?.maxAge } = this.options
    const readOnly = (typeof given === 'function' ? given(request) : given) === true
    await bodyToArrive(incomingOf(env), readOnly)
    const session = new RequestSession<T>(manager, { label: label(request), lifetimeSec, readOnly, errorOf: itself })
    const onAbort = (): void => {
      session.life.held.giveUpWaiting()
    }
    const { signal } = request
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort)
    try {
      await session.read(new FetchCookie(this.options, request).id)
      session.life.begin()
      return session
    } catch (error) {
      return await this.refuse(error, request)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** The session that this request has locked already: handlers and middlewares of one cookie, wrapped or mounted twice on its way. */
  around(request: Request): RequestSession<T> | undefined {
    const { manager } = this.options
    const found = served.get(request)?.find((one) => one.manager === manager && one.cookieName === cookieNameOf(this.options))?.session
    // What is in a session, the application says.
    return found as RequestSession<T> | undefined
  }

  /** Runs `work` as the handler of a request that has its session. */
  async within<R>(request: Request, session: RequestSession<T>, work: () => R | Promise<R>): Promise<R> {
    const before = served.get(request) ?? []
    served.set(request, [...before, { manager: this.options.manager, cookieName: cookieNameOf(this.options), session }])
    try {
      return await work()
    } finally {
      served.set(request, before)
    }
  }

  /** Stores the session and lets go; then the Response as it may be sent. */
  async answer(request: Request, session: RequestSession<T>, response: Response): Promise<Response> {
    try {
      await session.life.decide(() => response.status, session.storeAndLetGo)
    } catch (error) {
      await response.body?.cancel(error).catch(() => undefined)
      return this.refuse(error, request)
    }
    const cookie = new FetchCookie(this.options, request)
    tellBrowser(session, cookie)
    return cookie.header === undefined ? response : withCookie(response, cookie.header)
  }

  /** The handler has thrown: nothing is stored. Undefined where the error is none of a session that was refused. */
  async fail(request: Request, session: RequestSession<T>, error: unknown): Promise<Response | undefined> {
    await session.life.finish()
    const refusal = refusalOf(error)
    return refusal === undefined ? undefined : this.told(refusal, request)
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
