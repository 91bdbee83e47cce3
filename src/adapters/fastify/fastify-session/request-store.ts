import type { Session } from 'fastify'
import { ReadOnlyError, type ReadOnlyReason } from '../../../errors.js'
import type { SessionManager } from '../../../session/session-manager.js'
import { CallLine } from '../../http/call-line.js'
import { HeldSession } from '../../http/held-session.js'
import { toHttpError } from '../../http/http-error.js'
import { type Callback, ignore, quiet, settle } from '../../http/settle.js'
import { BareStore, type FastifyRecord, plainOf } from './bare-store.js'

/**
 * One request's store, as @fastify/session sees it: the lock of the request's session is taken by `get` (or by the
 * first `set` of a new one) and let go by the last call of the request.
 */
export class RequestStore extends BareStore {
  private readonly held: HeldSession<Session>
  readonly calls = new CallLine(toHttpError)
  private readonly destroyed = new Set<string>()
  /** Let go of for good: what is changed from now on cannot be stored. */
  private isReleased = false
  private readOnly: ReadOnlyReason | undefined
  /** The next write is the last, and lets go. */
  isLast = false
  /** `destroy` comes from regenerate(). */
  isRegenerating = false
  /** @fastify/session is waited for: what it throws in a callback of its own nobody else would catch. */
  onThrow: ((error: unknown) => void) | undefined

  constructor(
    manager: SessionManager,
    record: FastifyRecord,
    label: string | undefined,
    /** Reads without waiting and without a lock, and changes nothing. */
    isReadOnly: boolean,
  ) {
    const held = new HeldSession(manager, record, label)
    super(held)
    this.held = held
    if (isReadOnly) this.readOnly = 'readOnly'
  }

  /** Whether the session is one that can be stored; after release() it is still one whose cookie is set. */
  get mayChange(): boolean {
    return this.readOnly === undefined
  }

  /** Why nothing can be changed (any more). */
  get protection(): ReadOnlyReason | undefined {
    return this.readOnly ?? (this.isReleased ? 'released' : undefined)
  }

  /** @throws SessionHttpError LATCHKEY_INVALID_OPTION: no cookie can be made of it. */
  assertCookie(session: Session): void {
    try {
      this.held.record.assertCookie(session)
    } catch (error) {
      throw toHttpError(error)
    }
  }

  /** Whether the session was found, or stored by this request. */
  isKnown(sid: string): boolean {
    return this.held.isKnown(sid)
  }

  override get(sid: string, callback?: Callback<Session | null>): Promise<Session | null> {
    return quiet(settle(this.calls.inTurn(() => this.read(sid)), callback && this.guarded(callback)))
  }

  override set(sid: string, session: Session, callback?: Callback<void>): Promise<void> {
    return this.changing(sid, () => this.write(sid, plainOf(session)), callback)
  }

  override touch(sid: string, session: Session, callback?: Callback<void>): Promise<void> {
    const plain = plainOf(session)
    const work = (): Promise<void> => (this.held.sid === sid ? this.keep(sid, plain) : this.held.prolong(sid, plain))
    return this.changing(sid, work, callback)
  }

  override destroy(sid: string, callback?: Callback<void>): Promise<void> {
    // At once: a response that does not wait for it must not store the session again.
    if (this.readOnly !== 'readOnly') this.destroyed.add(sid)
    const { isRegenerating } = this
    return this.changing(sid, () => (isRegenerating ? this.setAside(sid) : this.end(sid)), callback)
  }

  /** Nobody waits for the answer any more: neither does this request for its session. */
  giveUpWaiting(): void {
    this.held.giveUpWaiting()
  }

  /** As `finish`, of a response that leaves: what regenerate() set aside ends, though nothing is stored in its place. */
  async complete(): Promise<void> {
    const ending = this.calls.endReplaced(this.held)
    if (ending !== undefined) await ending
    return this.finish()
  }

  /** Lets go of what is still held, after what is under way; then every change is refused. Throws nothing. */
  async finish(): Promise<void> {
    await this.calls.inTurn(() => {
      this.isReleased = true
      return this.held.letGo()
    }).catch(ignore)
  }

  private changing(sid: string, work: () => Promise<void>, callback?: Callback<void>): Promise<void> {
    // Without an error @fastify/session's own store says nothing, and applications see what it says.
    const told = callback && this.guarded((error: unknown) => {
      callback(error ?? undefined)
    })
    return quiet(settle(this.calls.changing(sid, work), told))
  }

  private guarded<T>(callback: Callback<T>): Callback<T> {
    return (error, value) => {
      try {
        callback(error, value)
      } catch (thrown) {
        // The application's own callbacks throw as after any I/O.
        if (this.onThrow === undefined) throw thrown
        this.onThrow(thrown)
      }
    }
  }

  private async read(sid: string): Promise<Session | null> {
    const { held } = this
    if (this.protection !== undefined) return held.peek(sid)
    const session = await held.read(sid)
    if (held.retiredSid !== undefined) this.readOnly = 'retired'
    return session
  }

  private async write(sid: string, session: Session): Promise<void> {
    const { held } = this
    if (this.readOnly !== undefined) throw new ReadOnlyError(this.readOnly)
    if (this.destroyed.has(sid)) return
    if (held.sid !== undefined && held.sid !== sid) return held.overwrite(sid, session)
    if (held.isLeftAsItWas(sid, session, this.isReleased ? new ReadOnlyError('released') : undefined)) return
    held.record.assertCookie(session)
    const lifetimeSec = held.record.ttlSec(session)
    if (lifetimeSec > 0) await this.lasting(() => this.store(sid, session, lifetimeSec))
    else await this.end(sid)
  }

  private async store(sid: string, session: Session, lifetimeSec: number): Promise<void> {
    const { held } = this
    const text = held.record.encode(sid, session)
    const isLeft = this.isLast && this.calls.failure === undefined && held.isUnchanged(sid, session)
    if (isLeft && held.isFresh(sid, session)) await held.letGo()
    else await held.store(sid, text, lifetimeSec, this.isLast)
  }

  private keep(sid: string, session: Session): Promise<void> {
    return this.lasting(() => this.held.touch(sid, session, this.isLast))
  }

  private async end(sid: string): Promise<void> {
    if (this.readOnly === 'readOnly') throw new ReadOnlyError(this.readOnly)
    await this.lasting(() => this.held.destroy(sid))
  }

  /** regenerate() ends the old session first; here it ends when the new one is stored. */
  private async setAside(sid: string): Promise<void> {
    if (this.protection !== undefined) throw new ReadOnlyError(this.protection)
    await this.held.setAside(sid)
  }

  /** After the last call nothing is held any more, whether or not it failed. */
  private async lasting(call: () => Promise<void>): Promise<void> {
    try {
      await call()
    } finally {
      this.isReleased ||= this.isLast
    }
  }
}
