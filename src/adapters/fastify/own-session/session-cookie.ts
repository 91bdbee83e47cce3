import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OwnSessionOptions } from '../options.js'

const DEFAULTS = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' } as const

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
    const signed = request.cookies[this.name]
    const { valid, value } = signed === undefined ? { valid: false, value: null } : request.unsignCookie(signed)
    return valid && value !== null ? value : undefined
  }

  /** With a maxAge also for the same id: it counts from the last response. */
  set(request: FastifyRequest, reply: FastifyReply, id: string): void {
    if (this.attributes.maxAge === undefined && this.idOf(request) === id) return
    reply.setCookie(this.name, id, { ...this.attributes, signed: true })
  }

  clear(request: FastifyRequest, reply: FastifyReply): void {
    if (request.cookies[this.name] !== undefined) reply.clearCookie(this.name, this.attributes)
  }
}
