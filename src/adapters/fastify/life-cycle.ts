import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { bodyToArrive } from '../http/body-arrival.js'
import { tellRetry } from '../http/http-error.js'
import { endAtEventStream, watchClient } from '../http/watch-response.js'
import type { RequestLife } from '../../request/request-life.js'
import { WITHDRAWN } from '../../response/held-head.js'

/** What the life cycle asks of a request's session, whoever keeps it. */
export interface LivingSession {
  readonly life: RequestLife
  /** What is on `request.session`. */
  data: object | null
  /** Reads the session, and waits for it if need be. */
  open(): Promise<void>
  /** Stores what is to be stored, lets go, and sets the cookie. */
  decide(): Promise<void>
}

type Done = (error?: Error) => void

/** Not typed as a name that is known: where @fastify/session is installed, its types say what request.session is. */
const SESSION: string = 'session'

/**
 * One request, from its first sight of the session to the end of its response: the session is there before the
 * handler runs, and decided before anything of the response leaves.
 */
class LifeCycle<Session extends LivingSession> {
  /** An error is answered in place of what was to be sent, as the session was not stored. */
  private isRefused = false
  private sends = 0
  private deciding: Promise<void> = Promise.resolve()

  constructor(
    readonly session: Session,
    private readonly reply: FastifyReply,
  ) {
    const { raw } = reply
    // A response that is written past Fastify (`reply.raw`) has no onSend hook.
    endAtEventStream(raw, session.life)
    watchClient(raw, session.life, () => raw.writableEnded)
  }

  onRequest(done: Done): void {
    const go = (error?: unknown): void => {
      // Fastify has answered while the request waited (handlerTimeout): there is nothing left to do.
      if (!this.session.life.begin()) return
      this.tellRetry(error)
      done(errorOf(error))
    }
    this.open().then(go, go)
  }

  private async open(): Promise<void> {
    const { session, reply } = this
    await bodyToArrive(reply.request.raw, session.life.held.readOnly !== undefined)
    await session.open()
  }

  onSend(payload: unknown, done: Done): void {
    const turn = ++this.sends
    this.session.life.answer()
    // Fastify must take it for sent: it would answer a second time for an async handler that does not return its reply.
    Object.defineProperty(this.reply, 'sent', { configurable: true, value: true })
    const go = (error?: unknown): void => {
      // Another one came by way of an async preSerialization hook, with its status and its headers.
      if (turn !== this.sends) return discard(payload)
      Reflect.deleteProperty(this.reply, 'sent')
      this.answer(payload, error, done)
    }
    this.decide().then(go, go)
  }

  /** Of several responses one after the other; but one that says that the session was not stored is left as it is. */
  private decide(): Promise<void> {
    if (!this.isRefused) this.deciding = this.deciding.then(() => this.session.decide())
    return this.isRefused ? Promise.resolve() : this.deciding
  }

  private answer(payload: unknown, failure: unknown, done: Done): void {
    const { reply } = this
    const error = errorOf(failure)
    if (error !== undefined) {
      this.isRefused = true
      discard(payload)
      for (const name of WITHDRAWN) reply.removeHeader(name)
      this.tellRetry(error)
    }
    try {
      done(error)
    } catch (thrown) {
      // Fastify throws at a head that cannot be written, and nobody else would catch it here.
      if (reply.raw.headersSent) reply.raw.destroy(errorOf(thrown))
      else reply.send(errorOf(thrown))
    }
  }

  private tellRetry(error: unknown): void {
    const { reply } = this
    tellRetry(error, { headersSent: reply.raw.headersSent, setHeader: (name, value) => reply.header(name, value) })
  }
}

const errorOf = (thrown: unknown): Error | undefined =>
  thrown === undefined || thrown instanceof Error ? thrown : new Error(String(thrown))

/** A stream that is not sent keeps its file open until somebody destroys it. */
function discard(payload: unknown): void {
  if (typeof payload !== 'object' || payload === null || !('destroy' in payload)) return
  if (typeof payload.destroy === 'function') payload.destroy()
}

/**
 * Plays every request of an application. Returns what finds the session of one.
 *
 * @param before what is on `request.session` before its time.
 */
export function playLives<Session extends LivingSession>(
  app: FastifyInstance,
  before: null | undefined,
  begin: (request: FastifyRequest, reply: FastifyReply) => Session,
): (request: object) => Session | undefined {
  const served = new WeakMap<object, LifeCycle<Session>>()
  app.addHook('onRequest', (request, reply, done) => {
    const cycle = new LifeCycle(begin(request, reply), reply)
    served.set(request, cycle)
    cycle.onRequest(done)
  })
  app.addHook('onSend', (request, _reply, payload, done) => {
    const cycle = served.get(request)
    if (cycle === undefined) done()
    else cycle.onSend(payload, done)
  })
  app.decorateRequest(SESSION, {
    getter(this: FastifyRequest) {
      return served.get(this)?.session.data ?? before
    },
    setter(this: FastifyRequest, data: Session['data']) {
      const session = served.get(this)?.session
      if (session !== undefined) session.data = data
    },
  })
  return (request) => served.get(request)?.session
}
