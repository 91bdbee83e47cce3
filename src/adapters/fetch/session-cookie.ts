import { parse, serialize } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import { COOKIE_DEFAULTS, type OwnCookie } from '../http/own-cookie.js'
import type { SessionOptions } from './options.js'

/** The signed cookie that holds a session's id: of one request, and of the response to it. */
export class SessionCookie implements OwnCookie {
  /** The Set-Cookie header, where there is one to send. */
  header: string | undefined
  private readonly value: string | undefined

  constructor(
    private readonly options: SessionOptions,
    request?: Request,
  ) {
    this.value = parse(request?.headers.get('cookie') ?? '')[nameOf(options)]
  }

  /** Undefined without a cookie, and with one that nobody here has signed. */
  get id(): string | undefined {
    const { value } = this
    if (value === undefined) return undefined
    const ids = [this.options.secret].flat().map((secret) => unsign(value, secret))
    return ids.find((id) => id !== false)
  }

  get isSent(): boolean {
    return this.value !== undefined
  }

  get isRolling(): boolean {
    return this.options.cookie?.maxAge !== undefined
  }

  isAsSetFor(id: string): boolean {
    return this.value === this.signed(id)
  }

  set(id: string, maxAge = this.options.cookie?.maxAge): void {
    this.header = this.serialized(this.signed(id), maxAge)
  }

  clear(): void {
    this.header = this.serialized('', 0)
  }

  private serialized(value: string, maxAge: number | undefined): string {
    const attributes = { ...COOKIE_DEFAULTS, ...this.options.cookie }
    return serialize(nameOf(this.options), value, maxAge === undefined ? attributes : { ...attributes, maxAge })
  }

  private signed(id: string): string {
    const [secret = ''] = [this.options.secret].flat()
    return sign(id, secret)
  }
}

export const nameOf = ({ cookieName = 'sessionId' }: Pick<SessionOptions, 'cookieName'>): string => cookieName
