import type { ServerResponse } from 'node:http'
import type session from 'express-session'
import type { SessionData } from 'express-session'
import { SessionHttpError, toHttpError } from '../http/http-error.js'
import type { RequestStore } from './request-store.js'
import { type GateKeeper, ResponseGate } from './response-gate.js'

export type Request = Parameters<ReturnType<typeof session>>[0]
export type Next = (error?: unknown) => void
type CurrentSession = (Request['session'] & Partial<SessionData>) | null | undefined

export interface LockedRequestOptions {
  readonly graceMs: number
  readonly saveUninitialized: boolean
  readonly onLateFailure: (error: SessionHttpError) => void
}

/** One request, from its first sight of the session to the end of its response. */
export class LockedRequest implements GateKeeper {
  private readonly gate: ResponseGate
  private hasBegun = false
  private graceTimer: NodeJS.Timeout | undefined

  constructor(
    private readonly req: Request,
    private readonly res: ServerResponse,
    private readonly next: Next,
    private readonly store: RequestStore,
    private readonly options: LockedRequestOptions,
  ) {
    this.gate = new ResponseGate(res, this)
    res.once('close', () => {
      this.onClose()
    })
  }

  /** What express-session calls when the session is there or cannot be had, and again for what fails later. */
  readonly proceed = (error?: unknown): void => {
    if (!this.hasBegun) {
      this.hasBegun = true
      // Answered while it waited (by a timeout middleware, say): there is nothing left to do.
      if (this.gate.isEnded) void this.store.finish()
      else {
        this.gate.watchEnd()
        this.next(error)
      }
      return
    }
    // What the store says the gate tells, once and in its time.
    if (!(error instanceof SessionHttpError)) this.next(error)
  }

  /** The headers are about to leave, and the handler will go on: what is in the session now is stored first. */
  beforeStream(eventStream: boolean): Promise<SessionHttpError | undefined> | undefined {
    const { req, store } = this
    const current: CurrentSession = req.session
    if (current === null || current === undefined) return eventStream ? this.letGo() : undefined
    const isNew = !store.isHolding
    const mustSave = store.isModified(req.sessionID, current) || (isNew && this.options.saveUninitialized)
    // An event stream may last for hours: this is its last write.
    if (eventStream) store.ending = true
    if (mustSave) return this.saveNow(current, eventStream)
    if (!eventStream) return undefined
    return store
      .touch(req.sessionID, current)
      .catch(() => undefined)
      .then(() => this.letGo())
  }

  beforeEnd(): void {
    this.store.ending = true
  }

  decided(): Promise<SessionHttpError | undefined> | undefined {
    clearTimeout(this.graceTimer)
    const { store } = this
    return store.isIdle && store.failure === undefined ? undefined : this.letGo()
  }

  isGivenUp(): boolean {
    if (!this.store.isFailureTold || this.res.statusCode < 400) return false
    this.onBroken()
    return true
  }

  onBroken(): void {
    clearTimeout(this.graceTimer)
    void this.store.finish()
  }

  onRefused(error: SessionHttpError): void {
    this.next(error)
  }

  onLateFailure(error: SessionHttpError): void {
    this.options.onLateFailure(error)
  }

  private async saveNow(current: Request['session'], eventStream: boolean): Promise<SessionHttpError | undefined> {
    try {
      await new Promise<void>((resolve, reject) => {
        current.save((error: unknown) => {
          if (error === null || error === undefined) resolve()
          else reject(toHttpError(error))
        })
      })
      if (eventStream) await this.store.finish()
      return undefined
    } catch (error) {
      await this.store.finish()
      return toHttpError(error)
    }
  }

  private async letGo(): Promise<SessionHttpError | undefined> {
    await this.store.finish()
    return this.store.failure
  }

  private onClose(): void {
    if (this.gate.isOver) return
    this.store.giveUpWaiting()
    // The handler may go on, and store what it has done; but not for ever.
    this.graceTimer = setTimeout(() => void this.store.finish(), this.options.graceMs)
    this.graceTimer.unref()
  }
}
