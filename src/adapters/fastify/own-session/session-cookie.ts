import type { FastifyReply } from 'fastify'
import { type CookieForm, cookieFormOf, type OwnCookie } from '../../http/own-cookie.js'
import type { OwnSessionOptions } from '../options.js'

export type FastifyCookieForm = CookieForm<NonNullable<OwnSessionOptions['cookie']>>

export function fastifyFormOf({ manager, ...options }: OwnSessionOptions): FastifyCookieForm {
  const form: FastifyCookieForm = cookieFormOf(manager, options)
  // Without a word @fastify/cookie says `lax`.
  return { ...form, attributes: { sameSite: false, ...form.attributes } }
}

/** The cookie that holds the session's id, signed by @fastify/cookie unless it is PHP's: of one request, and of the response to it. */
export class FastifyCookie implements OwnCookie {
  /** Undefined without a cookie, and with one that nobody here has signed. */
  readonly id: string | undefined
  private readonly isSent: boolean
  private readonly isOutdated: boolean

  constructor(
    readonly form: FastifyCookieForm,
    private readonly reply: FastifyReply,
  ) {
    const { request } = reply
    // @fastify/cookie has parsed the cookies by now.
    const sent = request.cookies[form.name]
    const { value, renew } = sent !== undefined && form.isSigned ? request.unsignCookie(sent) : { value: sent, renew: false }
    this.isSent = sent !== undefined
    this.id = value ?? undefined
    this.isOutdated = renew
  }

  /** Where every visitor has been here once, an earlier secret can be dropped. */
  isAsSetFor(id: string): boolean {
    return this.id === id && !this.isOutdated
  }

  set(id: string, maxAge = this.form.attributes.maxAge): void {
    const { name, attributes, isSigned } = this.form
    this.reply.setCookie(name, id, { ...attributes, ...(maxAge === undefined ? {} : { maxAge }), signed: isSigned })
  }

  clear(): void {
    const { name, attributes } = this.form
    if (this.isSent) this.reply.clearCookie(name, attributes)
  }
}
