import { parse, serialize } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type { SessionOptions } from './options.js'

const DEFAULTS = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' } as const

/** The signed cookie that holds a session's id. */
export class SessionCookie {
  readonly name: string
  private readonly attributes: NonNullable<SessionOptions['cookie']>
  private readonly secrets: readonly string[]

  constructor({ secret, cookieName = 'sessionId', cookie }: SessionOptions) {
    this.name = cookieName
    this.attributes = { ...DEFAULTS, ...cookie }
    this.secrets = [secret].flat()
  }

  /** Whether every response sets it again, since its time counts from there. */
  get isRolling(): boolean {
    return this.attributes.maxAge !== undefined
  }

  /** Whether the request has one, of whatever value. */
  isIn(request: Request): boolean {
    return this.valueIn(request) !== undefined
  }

  /** Undefined without a cookie, and with one that nobody here has signed. */
  idIn(request: Request): string | undefined {
    const signed = this.valueIn(request)
    if (signed === undefined) return undefined
    for (const secret of this.secrets) {
      const id = unsign(signed, secret)
      if (id !== false) return id
    }
    return undefined
  }

  /** Whether the request has the session's cookie as it is set now: an earlier secret has not signed it. */
  isAsOf(request: Request, id: string): boolean {
    return this.valueIn(request) === this.signed(id)
  }

  /** The Set-Cookie header for a session, with a `maxAge` of its own if it has one. */
  of(id: string, maxAge?: number): string {
    return serialize(this.name, this.signed(id), maxAge === undefined ? this.attributes : { ...this.attributes, maxAge })
  }

  /** The Set-Cookie header that takes it back. */
  cleared(): string {
    return serialize(this.name, '', { ...this.attributes, maxAge: 0 })
  }

  private signed(id: string): string {
    return sign(id, this.secrets[0] ?? '')
  }

  private valueIn(request: Request): string | undefined {
    return parse(request.headers.get('cookie') ?? '')[this.name]
  }
}
