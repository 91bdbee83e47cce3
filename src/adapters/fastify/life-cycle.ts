import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { bodyToArrive } from '../http/body-arrival.js'
import { ClientWatch, type Holding } from '../http/client-watch.js'
import { tellRetry } from '../http/http-error.js'
import { WITHDRAWN } from '../../response/held-head.js'

/** What the life cycle asks of a request's session, whoever keeps it. */
export interface SessionBinding extends Holding {
  /** It is read without a lock. */
  readonly isReadOnly: boolean
  /** Reads the session, and waits for it if need be. */
  begin(): Promise<void>
  /** Stores what is to be stored, lets go, and sets the cookie. */
  decide(): Promise<void>
}

type Done = (error?: Error) => void

/**
 * One request, from its first sight of the session to the end of its response: the session is there before the
 * handler runs, and decided before anything of the response leaves.
 */
class LifeCycle {
  private state: 'waiting' | 'running' | 'refused' | 'over' = 'waiting'
  private sends = 0
  private deciding: Promise<void> | undefined
  private readonly client: ClientWatch

  constructor(
    private readonly session: SessionBinding,
    private readonly reply: FastifyReply,
    clientGoneMs: number,
  ) {
    this.client = new ClientWatch(reply.raw, clientGoneMs, session, () => {
      if (this.state === 'over') return 'over'
      if (reply.raw.writableEnded) return 'ended'
      return this.sends === 0 ? 'running' : 'ending'
    })
    // A response that is written past Fastify (`reply.raw`) has no onSend hook.
    this.client.endAtEventStream()
    this.client.begin()
  }

  onRequest(done: Done): void {
    const go = (error?: unknown): void => {
      // Fastify has answered while the request waited (handlerTimeout): there is nothing left to do.
      if (this.sends > 0) return void this.session.finish()
      this.state = 'running'
      this.tellRetry(error)
      done(errorOf(error))
    }
    this.begin().then(() => {
      go()
    }, go)
  }

  private async begin(): Promise<void> {
    await bodyToArrive(this.reply.request.raw, this.session.isReadOnly)
    await this.session.begin()
  }

  onSend(payload: unknown, done: Done): void {
    const turn = ++this.sends
    this.client.stop()
    // Fastify must take it for sent: it would answer a second time for an async handler that does not return its reply.
    Object.defineProperty(this.reply, 'sent', { configurable: true, value: true })
    const go = (error?: unknown): void => {
      // Another one came by way of an async preSerialization hook, with its status and its headers.
      if (turn !== this.sends) return discard(payload)
      Reflect.deleteProperty(this.reply, 'sent')
      this.answer(payload, error, done)
    }
    this.decide().then(() => {
      go()
    }, go)
  }

  private decide(): Promise<void> {
    const { session } = this
    if (this.state === 'refused') return Promise.resolve()
    if (this.state === 'waiting') {
      // The session could not be read, or this answer did not wait for it.
      session.giveUpWaiting()
      return session.finish()
    }
    const before = this.deciding ?? Promise.resolve()
    this.deciding = before.then(() => session.decide())
    return this.deciding
  }

  private answer(payload: unknown, failure: unknown, done: Done): void {
    const { reply } = this
    const error = errorOf(failure)
    if (error === undefined) {
      if (this.state === 'running') this.state = 'over'
    } else {
      this.state = 'refused'
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
    if (!reply.raw.headersSent) tellRetry(error, (name, value) => void reply.header(name, value))
  }
}

const errorOf = (thrown: unknown): Error | undefined =>
  thrown === undefined || thrown instanceof Error ? thrown : new Error(String(thrown))

/** A stream that is not sent keeps its file open until somebody destroys it. */
function discard(payload: unknown): void {
  if (typeof payload !== 'object' || payload === null || !('destroy' in payload)) return
  if (typeof payload.destroy === 'function') payload.destroy()
}

/** Plays every request of an application. Returns what finds the session of one. */
export function playLives<Binding extends SessionBinding>(
  app: FastifyInstance,
  clientGoneMs: number,
  begin: (request: FastifyRequest, reply: FastifyReply) => Binding,
): (request: object) => Binding | undefined {
  const served = new WeakMap<object, { readonly session: Binding; readonly life: LifeCycle }>()
  app.addHook('onRequest', (request, reply, done) => {
    const session = begin(request, reply)
    const life = new LifeCycle(session, reply, clientGoneMs)
    served.set(request, { session, life })
    life.onRequest(done)
  })
  app.addHook('onSend', (request, _reply, payload, done) => {
    const life = served.get(request)?.life
    if (life === undefined) done()
    else life.onSend(payload, done)
  })
  return (request) => served.get(request)?.session
}
