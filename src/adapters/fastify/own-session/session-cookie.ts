import type { FastifyReply, FastifyRequest } from 'fastify'
import { COOKIE_DEFAULTS, type OwnCookie } from '../../http/own-cookie.js'
import type { OwnSessionOptions } from '../options.js'

/** The cookie that holds the session's id, signed by @fastify/cookie: of one request, and of the response to it. */
export class SessionCookie implements OwnCookie {
  private readonly name: string
  private readonly attributes: NonNullable<OwnSessionOptions['cookie']>
  private readonly isOutdated: boolean
  /** Undefined without a cookie, and with one that nobody here has signed. */
  readonly id: string | undefined
  readonly isSent: boolean

  constructor(
    { cookieName = 'sessionId', cookie }: OwnSessionOptions,
    request: FastifyRequest,
    private readonly reply: FastifyReply,
  ) {
    this.name = cookieName
    this.attributes = { ...COOKIE_DEFAULTS, ...cookie }
    const sent = request.cookies[cookieName]
    this.isSent = sent !== undefined
    const { valid, renew, value } = sent === undefined ? NONE : request.unsignCookie(sent)
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

  set(id: string, maxAge = this.attributes.maxAge): void {
    this.reply.setCookie(this.name, id, { ...this.attributes, ...(maxAge === undefined ? {} : { maxAge }), signed: true })
  }

  clear(): void {
    this.reply.clearCookie(this.name, this.attributes)
  }
}

const NONE = { valid: false, renew: false, value: null }
