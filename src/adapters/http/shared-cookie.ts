import { InvalidOptionError, MisuseError } from '../../errors.js'
import type { PhpCookie } from '../../session/dialect/php-cookie.js'
import type { SessionManager } from '../../session/session-manager.js'

/** The attributes of PHP's cookie, as most frameworks name them; without a maxAge it lives until the browser is closed. */
export type PhpAttributes = Omit<PhpCookie['cookie'], 'lifetimeSec'> & { readonly maxAge?: number }

/** The cookie of sessions that are shared with PHP: PHP's own, and not signed. Frameworks differ in the unit of its maxAge. */
export interface SharedCookie {
  readonly name: string
  readonly inSec: PhpAttributes
  readonly inMs: PhpAttributes
}

/** Undefined where the manager shares nothing with PHP. */
export function sharedCookieOf({ php }: SessionManager): SharedCookie | undefined {
  if (php === undefined) return undefined
  const { lifetimeSec, ...attributes } = php.cookie
  const lasting = (maxAge: number): PhpAttributes => (lifetimeSec === 0 ? attributes : { ...attributes, maxAge })
  return { name: php.cookieName, inSec: lasting(lifetimeSec), inMs: lasting(lifetimeSec * 1000) }
}

const COOKIE = 'the cookie is PHP\'s: say php.cookieName and php.cookie to the manager'
const LIFETIME = 'PHP keeps sessions for session.gc_maxlifetime: say lifetimeSec to the manager'

/** Options of adapters that sessions which are shared with PHP do not have. */
const NOT_WITH_PHP: Readonly<Record<string, string>> = {
  secret: 'PHP\'s cookie is not signed',
  ...Object.fromEntries(['name', 'key', 'cookieName', 'cookiePrefix', 'cookie', 'signed', 'httpOnly', 'secure', 'sameSite', 'path'].map((name) => [name, COOKIE])),
  ...Object.fromEntries(['domain', 'overwrite', 'externalKey', 'partitioned', 'expires', 'encode', 'decode', 'algorithm'].map((name) => [name, COOKIE])),
  ...Object.fromEntries(['maxAge', 'maxage', 'ttl', 'lifetimeSec'].map((name) => [name, LIFETIME])),
}

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION: an option that does not go with PHP's cookie. */
export function checkPhpOptions(given: object): void {
  for (const [name, value] of Object.entries(given)) {
    const reason = NOT_WITH_PHP[name]
    if (reason === undefined || value === undefined || (name === 'secret' && value === false)) continue
    throw new InvalidOptionError(`${name} cannot be given together with the manager's php: ${reason}.`)
  }
}

/**
 * Frameworks keep methods and a cookie where a session's data is: a variable of PHP's by such a name would be lost with the
 * next write.
 *
 * @throws MisuseError LATCHKEY_MISUSE
 */
export function assertNamesAreFree(data: object, isTaken: (name: string) => boolean): void {
  for (const name of Object.keys(data)) {
    if (!isTaken(name) && name !== '__proto__') continue
    throw new MisuseError(
      `PHP keeps a variable "${name}" in this session, and this framework's session has a meaning of its own for that name: ` +
        'rename it in PHP, or use latchkey/fetch, or latchkey/fastify with fastifySession: false.',
    )
  }
}
