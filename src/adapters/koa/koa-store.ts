import { ReadOnlyError } from '../../errors.js'
import { ownAll } from '../../session/protect.js'
import type { SessionManager } from '../../session/session-manager.js'
import type { HeldText } from '../../request/held-text.js'
import { settle } from '../http/settle.js'

/** Seconds that a session lives whose cookie has no end, where the manager was given no `lifetimeSec`. */
const DEFAULT_LIFETIME_SEC = 86_400

/**
 * One request's store, as koa-session sees it: `get` takes the lock (or the first `set` of a new session does), and the
 * last `set` of the request lets go in the flight that stores.
 */
export class KoaStore {
  /** `set` lets go. */
  isLast = false
  /** `destroy` comes from regenerate(). */
  isRegenerating = false

  constructor(
    private readonly manager: SessionManager,
    private readonly held: HeldText,
  ) {}

  get(sid: string): Promise<object | undefined> {
    return settle(this.held.calls.inTurn(() => this.read(sid)), undefined)
  }

  /** `maxAgeMs` is no number where the cookie ends with the browser. */
  async set(sid: string, session: object, maxAgeMs: unknown): Promise<void> {
    // At once: what is changed while the call waits for its turn is not part of it.
    const { isLast } = this
    this.assertChangeable()
    const text = this.manager.encode(sid, session)
    return this.held.calls.inTurn(() => this.write(sid, text, this.lifetimeSecOf(maxAgeMs), isLast))
  }

  async destroy(sid: string): Promise<void> {
    const { isRegenerating } = this
    if (isRegenerating || this.held.readOnly !== 'retired') this.assertChangeable()
    return this.held.calls.inTurn(() => (isRegenerating ? this.setAside(sid) : this.end(sid)))
  }

  private async read(sid: string): Promise<object | undefined> {
    const { held, manager } = this
    if (manager.flawOf(sid) !== undefined) return undefined
    if (held.readOnly !== undefined) return this.decoded(sid, await manager.store().peek(sid))
    const text = await held.read(sid)
    if (held.isRetired) held.readOnly = 'retired'
    let session: object | undefined
    try {
      session = this.decoded(sid, text)
      if (session !== undefined) held.keepAlive(this.leftSec(session))
    } finally {
      if (session === undefined) await held.drop()
    }
    return session
  }

  private decoded(sid: string, text: string): object | undefined {
    return text === '' ? undefined : ownAll(this.manager.decode(sid, text))
  }

  private async write(sid: string, text: string, lifetimeSec: number, isLast: boolean): Promise<void> {
    const { held } = this
    // What was found was not taken for a session (`valid`, or its time is over): this is another one.
    if (held.sid !== undefined && held.sid !== sid) await held.letGo()
    if (lifetimeSec > 0) await held.write(sid, text, lifetimeSec, isLast)
    else await this.end(sid)
  }

  /** koa-session's regenerate() ends the old session first; here it ends when the new one is stored. */
  private async setAside(sid: string): Promise<void> {
    if (this.held.sid === sid) await this.held.setAside(sid)
  }

  private async end(sid: string): Promise<void> {
    const { held } = this
    // Of a new session nothing was stored; but what it was to replace ends with it.
    if (held.sid === sid || held.textOf(sid) !== '' || held.replacedSid !== undefined) await held.destroy(sid)
  }

  private assertChangeable(): void {
    const { readOnly } = this.held
    if (readOnly !== undefined) throw new ReadOnlyError(readOnly)
  }

  /** How long a session has left, if it says so: for no longer is it kept alive. What is over, koa-session has yet to see. */
  private leftSec(session: object): number | undefined {
    const endsMs = '_expire' in session ? session._expire : undefined
    return typeof endsMs === 'number' ? Math.max(this.lifetimeSecOf(endsMs - Date.now()), 1) : undefined
  }

  private lifetimeSecOf(maxAgeMs: unknown): number {
    if (typeof maxAgeMs === 'number') return Math.ceil(maxAgeMs / 1000)
    return this.manager.givenLifetimeSec ?? DEFAULT_LIFETIME_SEC
  }
}
