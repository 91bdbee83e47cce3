import type { FastifySessionObject } from '@fastify/session'
import type { FastifyReply, FastifyRequest, Session } from 'fastify'
import { own, protect } from '../../../session/protect.js'
import { inherit } from '../../../php/memory.js'
import type { BareSessions } from '../../http/bare-sessions.js'
import { giveMethods } from '../../http/give-methods.js'
import { HeldSession } from '../../http/held-session.js'
import { readOnlyFailure, toHttpError } from '../../http/http-error.js'
import { quiet } from '../../../request/quiet.js'
import { RequestLife } from '../../../request/request-life.js'
import type { HooksFor, SessionHooks } from './hooks.js'
import type { LivingSession } from '../life-cycle.js'
import { FastifyStore } from './fastify-store.js'

type Current = FastifySessionObject | null

/** How the sessions of an application are kept. */
export interface Kept {
  readonly sessions: BareSessions<Session>
  readonly hooksFor: HooksFor
  readonly rolling: boolean
  readonly saveUninitialized: boolean
  readonly clientGoneMs: number | undefined
}

/** One request's session as @fastify/session keeps it, on a store of its own. */
export class HookedRequest implements LivingSession {
  private session: Current = null
  private readonly held: HeldSession<Session>
  readonly store: FastifyStore
  readonly life: RequestLife
  readonly hooks: SessionHooks

  constructor(
    private readonly request: FastifyRequest,
    private readonly reply: FastifyReply,
    private readonly kept: Kept,
    label: string,
    isReadOnly: boolean,
  ) {
    const { sessions, hooksFor } = kept
    this.held = new HeldSession(sessions, label, isReadOnly ? 'readOnly' : undefined)
    this.store = new FastifyStore(this.held)
    this.hooks = hooksFor(this.store)
    this.life = new RequestLife(this.held, kept.clientGoneMs, this.protect)
  }

  get data(): Current {
    return this.session
  }

  /** What @fastify/session puts on the request: at first, and at every regenerate() and reload(). */
  set data(session: Current) {
    this.session = session
    if (isSession(session)) this.dress(session)
  }

  async open(): Promise<void> {
    try {
      await this.run('onRequest')
    } catch (thrown) {
      const error = toHttpError(thrown)
      // @fastify/session leaves a bare `{}`, which is never stored.
      if (this.session !== null) this.session = protect(own(this.session), () => error)
      throw error
    }
    if (this.held.readOnly !== undefined) this.protect()
  }

  decide(): Promise<void> {
    return this.life.decide(() => this.reply.statusCode, this.storeAndSetCookie)
  }

  private readonly storeAndSetCookie = async (): Promise<void> => {
    this.store.isLast = true
    if (this.held.readOnly !== undefined) return
    // Also where nothing is stored: the cookie of a session that save() has stored is set in any case.
    if (isSession(this.session)) this.kept.sessions.record.assertCookie(this.session)
    await this.run('onSend')
  }

  /** A hook's answer, or what it throws, also in a callback of the store: an `idGenerator` of the application's, say. */
  private run(hook: 'onRequest' | 'onSend'): Promise<void> {
    const { store, hooks, request, reply } = this
    const answer = new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null): void => {
        if (error === undefined || error === null) resolve()
        else reject(error)
      }
      store.onThrow = reject
      if (hook === 'onRequest') hooks.onRequest(request, reply, done)
      else hooks.onSend(request, reply, undefined, done)
    })
    return answer.finally(() => (store.onThrow = undefined))
  }

  private async release(session: FastifySessionObject): Promise<void> {
    const { store, held } = this
    if (held.readOnly !== undefined || held.isOver) return
    // What @fastify/session asks before it saves.
    const { rolling, saveUninitialized } = this.kept
    const mustSave = session.isModified() || (held.isKnown(session.sessionId) ? rolling : saveUninitialized)
    store.isLast = true
    this.protect()
    if (mustSave) await session.save()
    await held.complete()
  }

  private regenerate(session: FastifySessionObject, original: Method, args: never[]): unknown {
    const { store } = this
    store.isRegenerating = true
    try {
      return original.apply(session, args)
    } finally {
      store.isRegenerating = false
    }
  }

  private dress(session: FastifySessionObject): void {
    // Its own affairs are no data, and protect() leaves alone what is not enumerable.
    for (const symbol of Object.getOwnPropertySymbols(session)) {
      Object.defineProperty(session, symbol, { enumerable: false })
    }
    const { origin } = this.held
    if (origin !== null && this.held.isRead(session.sessionId)) inherit(session, origin)
    const { regenerate, save, destroy }: Readonly<Record<'regenerate' | 'save' | 'destroy', Method>> = session
    giveMethods(session, {
      release: () => quiet(this.release(session)),
      regenerate: (...args) => unawaited(this.regenerate(session, regenerate, args)),
      save: (...args) => unawaited(save.apply(session, args)),
      destroy: (...args) => unawaited(destroy.apply(session, args)),
    })
  }

  private readonly protect = (): void => {
    const { session, held } = this
    if (isSession(session)) protect(own(session), readOnlyFailure(held.readOnly ?? 'released', session.sessionId))
  }
}

type Method = (...args: never[]) => unknown

/** What the application may drop: that it failed is told with the response. */
const unawaited = (answer: unknown): unknown => (answer instanceof Promise ? quiet(answer) : answer)

/** It puts a bare `{}` on a request whose path its cookie is not for. */
const isSession = (session: Current | undefined): session is FastifySessionObject =>
  typeof session?.sessionId === 'string'
