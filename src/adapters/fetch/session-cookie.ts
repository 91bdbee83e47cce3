import { parse, serialize } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import { type CookieForm, cookieFormOf, type OwnCookie } from '../http/own-cookie.js'
import type { CookieOptions, SessionOptions } from './options.js'

/** With what the cookie is signed. */
export interface FetchCookieForm extends CookieForm<CookieOptions> {
  readonly secrets: readonly string[]
}

export function fetchFormOf({ manager, secret, ...options }: SessionOptions): FetchCookieForm {
  return { ...cookieFormOf(manager, options), secrets: secret === false ? [] : [secret].flat() }
}

/** The cookie that holds a session's id, signed unless it is PHP's: of one request, and of the response to it. */
export class FetchCookie implements OwnCookie {
  /** The Set-Cookie header, where there is one to send. */
  header: string | undefined
  private readonly value: string | undefined

  constructor(
    readonly form: FetchCookieForm,
    request?: Request,
  ) {
    this.value = parse(request?.headers.get('cookie') ?? '')[form.name]
  }

  /** Undefined without a cookie, and with one that nobody here has signed. */
  get id(): string | undefined {
    const { value, form } = this
    if (value === undefined || !form.isSigned) return value
    return form.secrets.map((secret) => unsign(value, secret)).find((id) => id !== false)
  }

  isAsSetFor(id: string): boolean {
    return this.value === this.signed(id)
  }

  set(id: string, maxAge = this.form.attributes.maxAge): void {
    this.header = this.serialized(this.signed(id), maxAge)
  }

  clear(): void {
    if (this.value !== undefined) this.header = this.serialized('', 0)
  }

  private serialized(value: string, maxAge: number | undefined): string {
    const { name, attributes } = this.form
    return serialize(name, value, { ...attributes, maxAge })
  }

  private signed(id: string): string {
    const [secret = ''] = this.form.secrets
    return this.form.isSigned ? sign(id, secret) : id
  }
}
