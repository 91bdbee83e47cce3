import type { FastifyReply, FastifyRequest } from 'fastify'
import { COOKIE_DEFAULTS, type OwnCookie } from '../../http/own-cookie.js'
import { type SharedCookie, sharedCookieOf } from '../../http/shared-cookie.js'
import type { OwnSessionOptions } from '../options.js'

/** The cookie that holds the session's id, signed by @fastify/cookie unless it is PHP's: of one request, and of the response to it. */
export class FastifyCookie implements OwnCookie {
  private readonly name: string
  private readonly attributes: NonNullable<OwnSessionOptions['cookie']>
  private readonly isOutdated: boolean
  private readonly php: SharedCookie | undefined
  /** Undefined without a cookie, and with one that nobody here has signed. */
  readonly id: string | undefined
  readonly isSent: boolean

  constructor(
    { manager, cookieName = 'sessionId', cookie }: OwnSessionOptions,
    request: FastifyRequest,
    private readonly reply: FastifyReply,
  ) {
    const php = sharedCookieOf(manager)
    this.php = php
    this.name = php?.name ?? cookieName
    // Without a word @fastify/cookie says `lax`.
    this.attributes = php === undefined ? { ...COOKIE_DEFAULTS, ...cookie } : { sameSite: false, ...php.attributes }
    const sent = request.cookies[this.name]
    this.isSent = sent !== undefined
    const unsigned = (value: string): typeof NONE => (php === undefined ? request.unsignCookie(value) : { ...NONE, valid: true, value })
    const { valid, renew, value } = sent === undefined ? NONE : unsigned(sent)
    this.id = valid ? (value ?? undefined) : undefined
    this.isOutdated = renew
  }

  get isRolling(): boolean {
    return this.attributes.maxAge !== undefined
  }

  /** Where every visitor has been here once, an earlier secret can be dropped. */
  isAsSetFor(id: string): boolean {
    return this.id === id && !this.isOutdated
  }

  set(id: string, maxAge = this.php?.maxAgeSec ?? this.attributes.maxAge): void {
    this.reply.setCookie(this.name, id, { ...this.attributes, ...(maxAge === undefined ? {} : { maxAge }), signed: this.php === undefined })
  }

  clear(): void {
    this.reply.clearCookie(this.name, this.attributes)
  }
}

const NONE: { valid: boolean; renew: boolean; value: string | null } = { valid: false, renew: false, value: null }
