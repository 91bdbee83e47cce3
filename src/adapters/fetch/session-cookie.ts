import { parse, serialize } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import { COOKIE_DEFAULTS, type OwnCookie } from '../http/own-cookie.js'
import { type SharedCookie, sharedCookieOf } from '../http/shared-cookie.js'
import type { SessionOptions } from './options.js'

/** The cookie that holds a session's id, signed unless it is PHP's: of one request, and of the response to it. */
export class FetchCookie implements OwnCookie {
  /** The Set-Cookie header, where there is one to send. */
  header: string | undefined
  private readonly value: string | undefined
  private readonly php: SharedCookie | undefined
  private readonly name: string

  constructor(
    private readonly options: SessionOptions,
    request?: Request,
  ) {
    this.php = sharedCookieOf(options.manager)
    this.name = cookieNameOf(options)
    this.value = parse(request?.headers.get('cookie') ?? '')[this.name]
  }

  /** Undefined without a cookie, and with one that nobody here has signed. */
  get id(): string | undefined {
    const { value } = this
    if (value === undefined || this.php !== undefined) return value
    const ids = this.secrets.map((secret) => unsign(value, secret))
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

  set(id: string, maxAge = this.php?.maxAgeSec ?? this.options.cookie?.maxAge): void {
    this.header = this.serialized(this.signed(id), maxAge)
  }

  clear(): void {
    this.header = this.serialized('', 0)
  }

  private serialized(value: string, maxAge: number | undefined): string {
    const attributes = this.php?.attributes ?? { ...COOKIE_DEFAULTS, ...this.options.cookie }
    return serialize(this.name, value, maxAge === undefined ? attributes : { ...attributes, maxAge })
  }

  private signed(id: string): string {
    const [secret = ''] = this.secrets
    return this.php === undefined ? sign(id, secret) : id
  }

  private get secrets(): readonly string[] {
    const { secret } = this.options
    return secret === false ? [] : [secret].flat()
  }
}

export const cookieNameOf = ({ manager, cookieName = 'sessionId' }: Pick<SessionOptions, 'cookieName' | 'manager'>): string =>
  manager.php?.cookieName ?? cookieName
