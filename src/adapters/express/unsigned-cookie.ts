import { randomBytes } from 'node:crypto'
import { parse, serialize } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type session from 'express-session'
import type { SharedCookie } from '../http/shared-cookie.js'

type Middleware = ReturnType<typeof session>

/**
 * express-session signs its cookie always, and PHP does not know of signatures: one is put on the cookie that comes, for
 * the moment in which express-session looks at it, and taken off the cookie that leaves.
 */
export class UnsignedCookie {
  /** Nobody else ever sees a signature made with it. */
  private readonly secret = randomBytes(32).toString('hex')

  constructor(private readonly php: SharedCookie) {}

  /** What express-session is told of the cookie. */
  get options(): Pick<session.SessionOptions, 'name' | 'secret' | 'cookie'> {
    const { secret, php: { name, inMs: cookie } } = this
    return { name, secret, cookie }
  }

  /** The middleware, which reads the cookie while it is called, and not later. */
  around(middleware: Middleware): Middleware {
    return (req, res, next) => {
      const { headers } = req
      const { cookie: given } = headers
      const id = given === undefined ? undefined : parse(given)[this.php.name]
      if (given === undefined || id === undefined) {
        middleware(req, res, next)
        return
      }
      const restore = (): void => void (headers.cookie = given)
      headers.cookie = serialize(this.php.name, `s:${sign(id, this.secret)}`, {})
      try {
        // A path that is not the cookie's goes on at once.
        middleware(req, res, (error?: unknown) => {
          restore()
          next(error)
        })
      } finally {
        restore()
      }
    }
  }

  /** A Set-Cookie header as PHP would send it. */
  readonly unsigned = (header: string): string => {
    const [start = ''] = header.split(';', 1)
    const value = parse(start)[this.php.name]
    const id = value?.startsWith('s:') === true && unsign(value.slice(2), this.secret)
    return typeof id === 'string' ? serialize(this.php.name, id, {}) + header.slice(start.length) : header
  }
}
