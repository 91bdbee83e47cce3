import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OwnSessionOptions } from '../options.js'

const DEFAULTS = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' } as const

/** The session that a cookie is to name. */
interface Named {
  readonly id: string
  /** Its own, in seconds. */
  readonly maxAge: number | undefined
  /** It has one, or the browser's cookie is of a time when it had. */
  readonly isTimed: boolean
}

/** The cookie that holds the session's id, signed by @fastify/cookie. */
export class SessionCookie {
  private readonly name: string
  private readonly attributes: NonNullable<OwnSessionOptions['cookie']>

  constructor({ cookieName = 'sessionId', cookie }: OwnSessionOptions) {
    this.name = cookieName
    this.attributes = { ...DEFAULTS, ...cookie }
  }

  /** Undefined without a cookie, and with one that nobody here has signed. */
  idOf(request: FastifyRequest): string | undefined {
    return this.found(request)?.id
  }

  /**
   * With a maxAge also for the same id: it counts from the last response. And where another secret than the first has
   * signed it: that one can be dropped when every visitor has been here once.
   */
  set(request: FastifyRequest, reply: FastifyReply, { id, maxAge = this.attributes.maxAge, isTimed }: Named): void {
    const found = this.found(request)
    if (!isTimed && maxAge === undefined && found?.id === id && !found.isOutdated) return
    reply.setCookie(this.name, id, { ...this.attributes, ...(maxAge === undefined ? {} : { maxAge }), signed: true })
  }

  private found(request: FastifyRequest): { readonly id: string; readonly isOutdated: boolean } | undefined {
    const signed = request.cookies[this.name]
    if (signed === undefined) return undefined
    const { valid, renew, value } = request.unsignCookie(signed)
    return valid && value !== null ? { id: value, isOutdated: renew } : undefined
  }

  clear(request: FastifyRequest, reply: FastifyReply): void {
    if (request.cookies[this.name] !== undefined) reply.clearCookie(this.name, this.attributes)
  }
}
