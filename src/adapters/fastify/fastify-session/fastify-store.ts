import type { Session } from 'fastify'
import { ReadOnlyError } from '../../../errors.js'
import { CommonStore } from '../../http/common-store.js'
import type { HeldSession } from '../../http/held-session.js'
import { quiet } from '../../../request/quiet.js'
import { type Callback, settle } from '../../http/settle.js'

/** One request's store, as @fastify/session sees it: its calls are those of a HeldText, which holds the lock in between. */
export class FastifyStore extends CommonStore<Session> {
  private readonly destroyed = new Set<string>()
  /** The next write is the last, and lets go. */
  isLast = false
  /** `destroy` comes from regenerate(). */
  isRegenerating = false
  /** @fastify/session is waited for: what it throws in a callback of its own nobody else would catch. */
  onThrow: ((error: unknown) => void) | undefined

  constructor(private readonly held: HeldSession<Session>) {
    super(held.bare)
  }

  override get(sid: string, callback?: Callback<Session | null>): Promise<Session | null> {
    return quiet(settle(this.held.read(sid), callback && this.guarded(callback)))
  }

  override set(sid: string, session: Session, callback?: Callback<void>): Promise<void> {
    return this.told(this.held.calls.inTurn(this.write, sid, sid, session), callback)
  }

  override touch(sid: string, session: Session, callback?: Callback<void>): Promise<void> {
    const touching = (): Promise<void> => this.held.touch(sid, session, this.isLast)
    return this.told(this.held.calls.inTurn(() => this.lasting(sid, touching), sid), callback)
  }

  override destroy(sid: string, callback?: Callback<void>): Promise<void> {
    // At once: a response that does not wait for the destruction must not store the session again.
    if (this.held.readOnly !== 'readOnly') this.destroyed.add(sid)
    const { isRegenerating } = this
    return this.told(this.held.calls.inTurn(() => (isRegenerating ? this.setAside(sid) : this.end(sid)), sid), callback)
  }

  private told(change: Promise<void>, callback?: Callback<void>): Promise<void> {
    // Applications see what the store passes on: `undefined` where nothing failed, as of @fastify/session's own store.
    const told = callback && this.guarded((error: unknown) => callback(error ?? undefined))
    return quiet(settle(change, told))
  }

  private guarded<T>(callback: Callback<T>): Callback<T> {
    const { calls } = this.held
    calls.untold++
    return (error, value) => {
      try {
        callback(error, value)
      } catch (thrown) {
        // The application's own callbacks throw as after any I/O.
        if (this.onThrow === undefined) throw thrown
        this.onThrow(thrown)
      } finally {
        calls.untold--
      }
    }
  }

  private readonly write = async (sid: string, session: Session): Promise<void> => {
    const { held, isLast } = this
    if (held.readOnly !== undefined) throw new ReadOnlyError(held.readOnly)
    if (this.destroyed.has(sid)) return
    const letGo = held.isOver ? new ReadOnlyError('released') : undefined
    const isAnother = held.isAnother(sid)
    try {
      const mayRest = isLast && held.calls.failure === undefined && held.isFresh(sid, session)
      if (mayRest && held.isUnchanged(sid, session)) await held.touch(sid, session, true)
      else await held.store(sid, session, isLast, letGo)
    } finally {
      held.isOver ||= isLast && !isAnother
    }
  }

  private async end(sid: string): Promise<void> {
    if (this.held.readOnly === 'readOnly') throw new ReadOnlyError('readOnly')
    await this.lasting(sid, () => this.held.destroy(sid))
  }

  /** regenerate() ends the old session first; here it ends when the new one is stored. */
  private async setAside(sid: string): Promise<void> {
    const { readOnly, isOver } = this.held
    if (readOnly !== undefined || isOver) throw new ReadOnlyError(readOnly ?? 'released')
    await this.held.setAside(sid)
  }

  /** After the request's last write nothing is held any more, whether or not it failed. A write of another session holds nothing. */
  private async lasting(sid: string, call: () => Promise<void>): Promise<void> {
    const { held } = this
    const isAnother = held.isAnother(sid)
    try {
      await call()
    } finally {
      held.isOver ||= this.isLast && !isAnother
    }
  }
}
