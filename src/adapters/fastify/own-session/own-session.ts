import type { FastifyReply, FastifyRequest, LatchkeySession } from 'fastify'
import { type ReadOnlyReason, SessionGoneError } from '../../../errors.js'
import { own, protect } from '../../../session/protect.js'
import { assertObject } from '../../../session/serializer.js'
import type { Session } from '../../../session/session.js'
import type { SessionManager } from '../../../session/session-manager.js'
import { CallLine } from '../../http/call-line.js'
import { checkedMaxAge } from '../../http/checked-max-age.js'
import { ClientGoneError, readOnlyFailure, type SessionHttpError, toHttpError } from '../../http/http-error.js'
import type { RequestSession } from '../life-cycle.js'
import type { SessionCookie } from './session-cookie.js'
import { type Data, withMethods } from './session-methods.js'

export interface OwnSessionSettings {
  readonly label: string
  readonly lifetimeSec: number | undefined
  readonly isReadOnly: boolean
}

/** One request's session without @fastify/session: the manager's own, with its data on `request.session`. */
export class OwnSession implements RequestSession, LatchkeySession {
  /** Undefined while nothing is stored: a visitor without a session costs no flight. */
  private session: Session<Data> | undefined
  private newId: string
  private newMaxAge: number | undefined
  /** As the browser has it. */
  private firstMaxAge: number | undefined
  /** What is on `request.session`. */
  private current: Data
  /** Read only, or the copy that a regenerated session left: its cookie is left alone as well. */
  private fixed: ReadOnlyReason | undefined
  private state: 'live' | 'released' | 'destroyed' | 'cut short' = 'live'
  private readonly calls = new CallLine()
  private readonly gone = new AbortController()

  constructor(
    private readonly manager: SessionManager,
    private readonly request: FastifyRequest,
    private readonly reply: FastifyReply,
    private readonly cookie: SessionCookie,
    private readonly settings: OwnSessionSettings,
  ) {
    this.newId = manager.createSid()
    this.current = withMethods(own({}), this)
    if (settings.isReadOnly) this.fix('readOnly')
  }

  get id(): string {
    return this.session?.id ?? this.newId
  }

  get data(): Data {
    return this.current
  }

  set data(data: Data) {
    this.assertLive()
    assertObject(this.id, data)
    // A copy: what the application gives may be another request's as well.
    this.current = withMethods(own({ ...data }), this)
    if (this.session !== undefined) this.session.data = this.current
  }

  get maxAge(): number | undefined {
    return this.session === undefined ? this.newMaxAge : this.session.lifetimeSec
  }

  set maxAge(maxAge: number | undefined) {
    this.assertLive()
    const checked = checkedMaxAge(maxAge)
    if (this.session === undefined) this.newMaxAge = checked
    else this.session.lifetimeSec = checked
  }

  get(name: string): unknown {
    return this.current[name]
  }

  set(name: string, value: unknown): void {
    if (value === undefined) Reflect.deleteProperty(this.current, name)
    else this.current[name] = value
  }

  async begin(): Promise<void> {
    try {
      await this.read()
    } catch (thrown) {
      const error = toHttpError(thrown)
      // Data that has one of our names, say: it was locked by then.
      await this.session?.abort()
      this.session = undefined
      // An error handler must not begin a new session in place of the one that could not be had.
      this.fixed = 'readOnly'
      this.current = protect(this.current, () => error)
      throw error
    }
  }

  save(): Promise<void> {
    return this.told('data', async () => {
      this.assertLive()
      const session = await this.started()
      await session.save()
    })
  }

  release(): Promise<void> {
    if (this.state === 'live') this.end('released')
    return this.told('data', () => this.store())
  }

  regenerate(): Promise<void> {
    return this.told('id', async () => {
      this.assertLive()
      if (this.session === undefined) this.newId = this.manager.createSid()
      else await this.session.regenerate()
    })
  }

  destroy(): Promise<void> {
    if (this.fixed !== 'readOnly') this.end('destroyed')
    return this.told('end', async () => {
      if (this.fixed === 'readOnly') throw readOnlyFailure('readOnly', this.id)()
      await this.session?.destroy()
      this.calls.forgetFailure()
    })
  }

  async decide(): Promise<void> {
    const { calls } = this
    await calls.settled()
    // The application was told, and answers so itself.
    if (calls.isFailureTold && this.reply.statusCode >= 400) return this.finish()
    calls.isAnswering = true
    if (this.state === 'cut short') throw this.ended()
    if (this.state !== 'destroyed') await this.release()
    if (calls.failure !== undefined) throw calls.failure
    // The browser may have the cookie of the session that went on by now.
    if (this.fixed !== undefined) return
    if (this.state === 'destroyed') this.cookie.clear(this.request, this.reply)
    else if (this.session !== undefined) {
      const { id, lifetimeSec: maxAge } = this.session
      this.cookie.set(this.request, this.reply, { id, maxAge, isTimed: maxAge !== undefined || this.firstMaxAge !== undefined })
    }
  }

  giveUpWaiting(): void {
    this.gone.abort(new ClientGoneError('The client has gone.'))
  }

  async finish(): Promise<void> {
    try {
      if (this.state === 'live' && this.session !== undefined) this.end('cut short')
    } finally {
      await this.letGo()
    }
  }

  private async letGo(): Promise<void> {
    await this.calls.inTurn(async () => {
      await this.session?.abort()
    }).catch(() => {
      // A lock that could not be let go is swept, or dies with its lease; the session itself is decided.
    })
  }

  private async read(): Promise<void> {
    const { manager, cookie, settings } = this
    const id = cookie.idOf(this.request)
    if (id === undefined || manager.flawOf(id) !== undefined) return
    const { label, lifetimeSec, isReadOnly } = settings
    const { signal } = this.gone
    const session = await manager.start<Data>(id, { signal, label, lifetimeSec, readOnly: isReadOnly })
    // Whoever waited for it has gone in the meantime; or no session has this id: it is not taken over.
    if (signal.aborted || session.isNew) await session.abort()
    signal.throwIfAborted()
    if (session.isNew) return
    this.session = session
    this.firstMaxAge = session.lifetimeSec
    if (session.isReadOnly) {
      this.current = withMethods(own({ ...session.data }), this)
      this.fix(isReadOnly ? 'readOnly' : 'retired')
    } else this.current = withMethods(session.data, this)
  }

  /** The session of the manager, begun when there is something to store. */
  private async started(): Promise<Session<Data>> {
    if (this.session !== undefined) return this.session
    const { label, lifetimeSec } = this.settings
    const session = await this.manager.start<Data>(this.newId, { label, lifetimeSec })
    session.data = this.current
    session.lifetimeSec = this.newMaxAge
    this.session = session
    return session
  }

  private async store(): Promise<void> {
    if (this.fixed !== undefined || this.state === 'destroyed') return
    if (this.session === undefined && Object.keys(this.current).length === 0) return
    const session = await this.started()
    if (!session.isReadOnly) return session.release()
    // An earlier release(): that it failed is not mended by doing nothing.
    if (this.calls.failure !== undefined) throw this.calls.failure
  }

  private fix(reason: ReadOnlyReason): void {
    this.fixed = reason
    this.current = protect(this.current, readOnlyFailure(reason, this.id))
  }

  /** At once, whatever is under way: what is changed from now on would go nowhere. */
  private end(state: 'released' | 'destroyed' | 'cut short'): void {
    this.state = state
    this.current = protect(this.current, () => this.ended())
  }

  private ended(): SessionHttpError {
    if (this.state !== 'destroyed') return readOnlyFailure('released', this.id)()
    return toHttpError(new SessionGoneError('The session was destroyed: a change goes nowhere.'))
  }

  private assertLive(): void {
    if (this.fixed !== undefined) throw readOnlyFailure(this.fixed, this.id)()
    if (this.state !== 'live') throw this.ended()
  }

  private told(subject: string, work: () => Promise<void>): Promise<void> {
    const run = this.calls.changing(subject, work)
    run.catch(() => {
      // Nobody need wait for it: the response tells.
    })
    return run
  }
}
