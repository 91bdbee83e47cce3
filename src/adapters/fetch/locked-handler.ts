import { LatchkeyError } from '../../errors.js'
import { ClientGoneError } from '../../request/leaving.js'
import { RequestSession } from '../../request/request-session.js'
import { processWide } from '../../system/process-wide.js'
import { bodyToArrive } from '../http/body-arrival.js'
import { type SessionHttpError, toHttpError } from '../http/http-error.js'
import { tellBrowser } from '../http/own-cookie.js'
import { checkOptions } from './check-options.js'
import type { SessionOptions } from './options.js'
import { FetchCookie, type FetchCookieForm, fetchFormOf } from './session-cookie.js'

/** Requests whose sessions are there, as long as their handlers run. */
const served = processWide('served-requests', () => new WeakMap<Request, readonly Served[]>())

interface Served {
  readonly manager: SessionOptions['manager']
  readonly cookieName: string
  readonly session: object
}

/** A handler, or what is below a middleware: undefined where others have answered. */
type Handle<T extends object, R extends Response | undefined> = (session: RequestSession<T>) => R | Promise<R>

/** What one set of options does to a request: a session before it, and a cookie, or a refusal, after it. */
export class LockedHandler<T extends object> {
  private readonly form: FetchCookieForm

  constructor(private readonly options: SessionOptions) {
    checkOptions(options)
    this.form = fetchFormOf(options)
  }

  /**
   * Answers as `handle` does with the session of the request, which is stored and free by then, or with a refusal, where the
   * session cannot be had or stored. Where `handle` throws, or answers with nothing, nothing is stored.
   *
   * @param env what the server passes beside the request: @hono/node-server's names the one of Node's http.
   */
  async serve<R extends Response | undefined>(request: Request, env: unknown, handle: Handle<T, R>): Promise<R | Response> {
    const around = this.around(request)
    if (around !== undefined) return handle(around)
    const session = this.sessionOf(request)
    const { life } = session
    const cookie = new FetchCookie(this.form, request)
    const clientGone = (): void => life.clientGone(isAtWork)
    if (request.signal.aborted) clientGone()
    request.signal.addEventListener('abort', clientGone)
    let response: R | undefined
    try {
      await bodyToArrive(incomingOf(env), session.isReadOnly)
      await session.read(cookie.id)
      life.begin()
      response = await this.within(request, session, handle)
      if (response === undefined) {
        await life.finish()
        return response
      }
      const { status } = response
      await life.decide(() => status, session.storeAndLetGo)
    } catch (error) {
      await life.finish()
      await response?.body?.cancel(error).catch(() => undefined)
      return await this.refuse(error, request)
    } finally {
      request.signal.removeEventListener('abort', clientGone)
    }
    tellBrowser(session, cookie)
    return cookie.header === undefined ? response : withCookie(response, cookie.header)
  }

  /** The session that this request has locked already: handlers and middlewares of one cookie, wrapped or mounted twice on its way. */
  private around(request: Request): RequestSession<T> | undefined {
    const { form, options: { manager } } = this
    const found = served.get(request)?.find((one) => one.manager === manager && one.cookieName === form.name)?.session
    // What is in a session, the application says.
    return found as RequestSession<T> | undefined
  }

  private sessionOf(request: Request): RequestSession<T> {
    const { manager, cookie, readOnly: given = false, label = labelOf, lifetimeSec = cookie?.maxAge, clientGoneMs } = this.options
    const readOnly = (typeof given === 'function' ? given(request) : given) === true
    return new RequestSession(manager, { label: label(request), lifetimeSec, readOnly, clientGoneMs, errorOf: itself })
  }

  /** What `handle` wraps on the request's way finds its session there (`around`). */
  private async within<R extends Response | undefined>(request: Request, session: RequestSession<T>, handle: Handle<T, R>): Promise<R> {
    const before = served.get(request) ?? []
    served.set(request, [...before, { manager: this.options.manager, cookieName: this.form.name, session }])
    try {
      return await handle(session)
    } finally {
      served.set(request, before)
    }
  }

  /** What is answered where the session is busy, gone, or not to be had now; every other error is the caller's. */
  private async refuse(error: unknown, request: Request): Promise<Response> {
    if (!(error instanceof LatchkeyError) && !(error instanceof ClientGoneError)) throw error
    const refusal = toHttpError(error)
    if (refusal.status === 500) throw error
    const page = await this.options.onRefused?.(refusal, request)
    return page === undefined ? plain(refusal) : withRetry(page, refusal)
  }
}

function plain({ message, status, headers }: SessionHttpError): Response {
  const all = { ...headers, 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' }
  return new Response(`${message}\n`, { status, headers: all })
}

/** The application's own page; a copy, as in withCookie(). */
function withRetry(page: Response, refusal: SessionHttpError): Response {
  if (page.type === 'error') return page
  const copy = new Response(page.body, page)
  for (const [name, value] of Object.entries(refusal.headers)) if (!copy.headers.has(name)) copy.headers.set(name, value)
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

/** A handler works on until it has answered, whoever reads the answer. */
const isAtWork = (): boolean => false

/** A query may hold secrets. */
const labelOf = ({ method, url }: Request): string => `${method} ${new URL(url).pathname}`
