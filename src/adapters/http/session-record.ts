import { FencedError, InvalidOptionError, SessionGoneError, UndecodableError } from '../../errors.js'
import type { SessionManager } from '../../session/session-manager.js'
import { MAX_TTL_SEC, shown } from '../../session/option-checks.js'
import { inherit } from '../../php/memory.js'
import { hashOf } from '../../system/session-hash.js'
import { toHttpError } from './http-error.js'
import { assertNamesAreFree } from './shared-cookie.js'

/** Seconds that a session without a cookie expiry lives, where no `ttl` is given: what session stores have agreed on. */
const DEFAULT_TTL_SEC = 86_400

/** What an adapter needs to know of a framework's session: that it carries its cookie. */
export interface CookieSession {
  readonly cookie: { readonly expires?: Date | string | number | null | undefined }
}

/** Seconds, or a function that says them for a session; undefined of it is the default. */
export type TtlOf<S extends CookieSession> = number | ((session: S) => number | undefined)

/** For how long sessions are kept that carry their cookie. */
export interface KeepingOptions<S extends CookieSession> {
  /**
   * Seconds that a session without a cookie expiry lives, or a function that says them; 0 or less destroys it.
   * Default: the manager's lifetimeSec if given, else 86 400.
   */
  readonly ttl?: TtlOf<S>
  /**
   * Seconds within which a session that a request left as it was is not prolonged again: one flight that only lets go.
   * It may then end that much earlier than its `ttl` says. Of use with `resave: false` in Express, with `rolling` in
   * Fastify. At least 0. Default 0: always prolonged.
   */
  readonly touchAfter?: number
  /** `true`: a session that a request left as it was is never prolonged. Default false. */
  readonly disableTouch?: boolean
}

/** How the session objects of express-session and its kind become records, and for how long. `Loaded` is what `asSession` vouches for. */
export class SessionRecord<S extends CookieSession, Loaded extends S = S> {
  /** Shared with PHP, which knows no cookie in a session, and says for how long it lives. */
  private readonly isPhp: boolean
  private readonly ttl: TtlOf<S> | undefined
  /** Seconds within which a record needs no prolonging; with more than 0 a record says when it was stored. */
  private readonly touchAfterSec: number

  constructor(
    private readonly manager: SessionManager,
    { ttl, touchAfter = 0, disableTouch = false }: KeepingOptions<S>,
    /** Stored data as a session of the framework; undefined where it cannot be one. */
    private readonly asSession: (data: object) => Loaded | undefined,
    /** Names that the framework's session has for itself. */
    private readonly isTaken: (name: string) => boolean,
  ) {
    this.isPhp = manager.php !== undefined
    this.ttl = ttl
    this.touchAfterSec = disableTouch ? Infinity : touchAfter
  }

  encode(sid: string, session: S): string {
    return this.manager.encode(sid, plainOf(session, this.isPhp ? undefined : this.written(session.cookie)))
  }

  /** Undefined when its cookie has expired: the record lives in whole seconds, the cookie to the millisecond. */
  decode(sid: string, text: string): Loaded | undefined {
    return this.loaded(this.manager.decode(sid, text))
  }

  /** As `decode`, of data that the manager has decoded. */
  loaded(data: object): Loaded | undefined {
    if (this.isPhp) assertNamesAreFree(data, this.isTaken)
    const session = this.asSession(data)
    if (session === undefined) throw new UndecodableError('The stored record is no session of this framework: its "cookie" is none.')
    inherit(session, data)
    const endsMs = this.isPhp ? undefined : expiryMs(session)
    return endsMs !== undefined && endsMs <= Date.now() ? undefined : session
  }

  /** The stored text with the session's cookie, if it has one, in place of its own. */
  withCookie(sid: string, text: string, session: S): string {
    if (this.isPhp) return text
    const cookie = lacksCookie(session) ? {} : { cookie: this.written(session.cookie) }
    return this.manager.encode(sid, { ...this.manager.decode(sid, text), ...cookie })
  }

  /**
   * Whether a record that would only be prolonged may stay as it is: it was prolonged less than `touchAfterSec` ago,
   * and its cookie has the same settings. When that was follows from the cookie's expiry; a cookie without one bears
   * the time of writing (`storedMs`).
   */
  isFresh(sid: string, text: string, session: S): boolean {
    if (this.touchAfterSec === 0 || text === '') return false
    if (this.isPhp) return this.touchAfterSec === Infinity
    const stored = this.manager.decode(sid, text)
    if (!hasCookie(stored) || lacksCookie(session)) return false
    const [was, is] = [settingsOf(stored.cookie), settingsOf(session.cookie)]
    if (was.settings !== is.settings || Math.abs((was.maxAgeMs ?? 0) - (is.maxAgeMs ?? 0)) > DRIFT_MS) return false
    if (this.touchAfterSec === Infinity) return true
    const endsMs = expiryMs(stored)
    const storedMs = endsMs === undefined ? was.storedMs : endsMs - (was.maxAgeMs ?? NaN)
    return storedMs !== undefined && Math.abs(Date.now() - storedMs) < this.touchAfterSec * 1000
  }

  /**
   * What a handler makes of its session's cookie (`maxAge = NaN`) is refused before the response: no Set-Cookie can be
   * made of it, which is seen when the head leaves, and is nobody's then.
   *
   * @throws SessionHttpError LATCHKEY_INVALID_OPTION
   */
  assertCookie(session: Partial<CookieSession>): void {
    const flaw = this.flawOfCookie(session)
    if (flaw !== undefined) throw toHttpError(new InvalidOptionError(flaw))
  }

  /** Why no cookie can be made of the session's; undefined when one can. */
  flawOfCookie({ cookie }: Partial<CookieSession>): string | undefined {
    const expires: unknown = cookie?.expires
    if (!Boolean(expires) || (expires instanceof Date && !Number.isNaN(expires.getTime()))) return undefined
    return `The session's cookie.expires is ${shown(expires)}; it must be a Date. Was its maxAge set to something that is no finite number?`
  }

  /** Whole seconds from now; 0 or less when it is over. */
  ttlSec(session: S): number {
    const endsMs = this.isPhp ? undefined : expiryMs(session)
    if (endsMs !== undefined) return Math.min(Math.ceil((endsMs - Date.now()) / 1000), MAX_TTL_SEC)
    return this.askedTtlSec(session) ?? this.manager.givenLifetimeSec ?? DEFAULT_TTL_SEC
  }

  /** What the option `ttl` says; undefined is the default. @throws LATCHKEY_INVALID_OPTION */
  private askedTtlSec(session: S): number | undefined {
    if (typeof this.ttl !== 'function') return this.ttl
    const sec: unknown = this.ttl(session)
    if (sec === undefined) return undefined
    if (typeof sec === 'number' && Number.isFinite(sec) && sec <= MAX_TTL_SEC) return Math.ceil(sec)
    // Without a handler, a promise that fails would end the process.
    if (sec instanceof Promise) sec.catch(() => undefined)
    const what = `a number of seconds up to ${String(MAX_TTL_SEC)}, or undefined for the default`
    throw new InvalidOptionError(`ttl() answered ${sec instanceof Promise ? 'a promise' : shown(sec)}; it must answer ${what}.`)
  }

  /**
   * For how long a session that was read is kept alive while a request has it: no longer than it has left, where it says
   * so. Undefined: it does not, and is not prolonged by every request, or only the application's `ttl` knows for how long.
   */
  keptSec(session: Loaded): number | undefined {
    const isUnknown = typeof this.ttl === 'function' || this.touchAfterSec === Infinity
    if (isUnknown && expiryMs(session) === undefined) return undefined
    return Math.max(this.ttlSec(session), 1)
  }

  /** Whether the data differs, the cookie aside: what express-session calls modified. */
  isModified(sid: string, session: S, text: string): boolean {
    try {
      const stored = text === '' ? {} : this.manager.decode(sid, text)
      const dataOf = (data: object): string => this.manager.encode(sid, plainOf(data, undefined))
      return dataOf(session) !== dataOf(stored)
    } catch {
      // What cannot be encoded differs from what is stored; the save that follows says why it fails.
      return true
    }
  }

  /**
   * What is stored without a lock held since it was read must follow from what was `read`, or somebody else's change
   * would be lost, and a session that was ended would come back. A cookie may have changed: requests prolong the session.
   *
   * @throws LATCHKEY_SESSION_GONE, LATCHKEY_FENCED
   */
  assertFollows(sid: string, read: string, stored: string): void {
    if (stored === read) return
    const details = { session: hashOf(sid) }
    if (stored === '') throw new SessionGoneError('The session has ended since it was read here.', details)
    const known = read === '' ? undefined : this.decode(sid, read)
    if (known !== undefined && !this.isModified(sid, known, stored)) return
    throw new FencedError('The session was changed since it was read here: reload() it, change it, save() it.', details)
  }

  private written(cookie: CookieSession['cookie']): unknown {
    const data: unknown = plain(cookie)
    if (typeof data !== 'object' || data === null) return data
    const written: Record<string, unknown> = { ...data }
    for (const name in written) if (isNothing(written[name])) written[name] = null
    const isTimed = this.touchAfterSec > 0 && this.touchAfterSec < Infinity && expiryMs({ cookie }) === undefined
    if (isTimed) written['storedMs'] = Date.now()
    return written
  }
}

/**
 * A plain copy: serializers other than JSON know no framework's Session, and not every one passes over what
 * @fastify/session keeps under symbols.
 */
function plainOf(session: object, cookie: unknown): object {
  const plain = { ...session, cookie }
  inherit(plain, session)
  for (const symbol of Object.getOwnPropertySymbols(plain)) Reflect.deleteProperty(plain, symbol)
  return plain
}

/** A cookie that never ends, or at no time, says so with null: JSON has no form for its NaN. */
const isNothing = (value: unknown): boolean =>
  (typeof value === 'number' && !Number.isFinite(value)) || (value instanceof Date && Number.isNaN(value.getTime()))

/** express-session loses a millisecond of a maxAge now and then. */
const DRIFT_MS = 1000

/** What of a cookie are times. `originalExpires` is @fastify/session's copy of `expires`. */
const TIMES: ReadonlySet<string> = new Set(['expires', 'originalExpires', 'originalMaxAge', 'storedMs'])

/** What a cookie says, its times apart. */
function settingsOf(cookie: CookieSession['cookie']): { settings: string; maxAgeMs: number | undefined; storedMs: number | undefined } {
  const data: unknown = JSON.parse(JSON.stringify(plain(cookie)))
  const said = new Map<string, unknown>(typeof data === 'object' && data !== null ? Object.entries(data) : [])
  const numberAt = (name: string): number | undefined => {
    const value = said.get(name)
    return typeof value === 'number' ? value : undefined
  }
  const settings = JSON.stringify([...said].filter(([name]) => !TIMES.has(name)).sort())
  return { settings, maxAgeMs: numberAt('originalMaxAge'), storedMs: numberAt('storedMs') }
}

/** When the cookie expires, if it says so. */
function expiryMs({ cookie }: Partial<CookieSession>): number | undefined {
  const expires: unknown = cookie?.expires
  // A number is milliseconds since 1970, as other stores take it.
  if (!(expires instanceof Date) && typeof expires !== 'string' && typeof expires !== 'number') return undefined
  const ms = new Date(expires).getTime()
  return Number.isNaN(ms) ? undefined : ms
}

/** Stored by code that knows of no cookies, or not given one yet. */
export const lacksCookie = (data: object): boolean => !('cookie' in data) || data.cookie === undefined || data.cookie === null

export const hasCookie = (data: object): data is CookieSession =>
  'cookie' in data && typeof data.cookie === 'object' && data.cookie !== null

function plain(cookie: CookieSession['cookie'] | undefined): unknown {
  return cookie !== undefined && 'toJSON' in cookie && typeof cookie.toJSON === 'function' ? (cookie.toJSON() as unknown) : cookie
}
