import { InvalidOptionError } from '../../errors.js'
import { PHP_HANDLERS, type PhpHandler } from '../../php/session-handlers.js'
import { nearestName } from '../../system/nearest-name.js'
import { checkNames } from '../../system/option-names.js'
import { fail, KEY_PREFIX, shown } from '../option-checks.js'
import { checkedPhpCookie, type PhpCookie, type PhpCookieOptions } from './php-cookie.js'

/** How PHP is set up with which live sessions are shared: its php.ini, in latchkey's words. */
export interface PhpOptions {
  /** `session.save_handler`: PHP's extension that keeps the sessions. */
  readonly extension: 'memcached' | 'memcache'
  /** `memcached.sess_prefix`. Visible ASCII, up to 100 bytes. Default `memc.sess.key.`; none with `memcache`. */
  readonly prefix?: string
  /** `session.serialize_handler`: how PHP writes a session down. Default `php`, as in php.ini. */
  readonly serializeHandler?: PhpHandler
  /**
   * How php-memcached spreads keys over several servers: `ketama` with `memcached.sess_consistent_hash=On`, as by
   * default; `modula` with Off. Several servers cannot be shared with `memcache`.
   */
  readonly ring?: 'ketama' | 'modula'
  /**
   * Milliseconds for which a session is left to PHP after Node's turn: the longest that PHP pauses between two tries,
   * `memcached.sess_lock_wait_max`. 0 to 10 000. Default 150, as in php.ini.
   */
  readonly standBackMs?: number
  /** `session.sid_length`: the characters of new session ids. 22 to 200. Default 32. */
  readonly sidLength?: number
  /** `session.sid_bits_per_character`: 4, 5 or 6. Default 5. Shorter ids than 128 bits are refused. */
  readonly sidBitsPerCharacter?: 4 | 5 | 6
  /** `session.name`: adapters set, and read, this cookie. Default `PHPSESSID`. */
  readonly cookieName?: string
  /** `session.cookie_*`, as adapters set it. */
  readonly cookie?: PhpCookieOptions
}

/** The options with their defaults. */
export type PhpSettings = Required<Omit<PhpOptions, keyof PhpCookie>> & PhpCookie

const CHOICES = {
  extension: ['memcached', 'memcache'],
  serializeHandler: PHP_HANDLERS,
  ring: ['ketama', 'modula'],
  sidBitsPerCharacter: [4, 5, 6],
} as const

const KNOWN = new Set([...Object.keys(CHOICES), 'prefix', 'standBackMs', 'sidLength', 'cookieName', 'cookie'])
const LEAST_SID_BITS = 128
const MOST_STAND_BACK_MS = 10_000

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION: unknown, out of range, or what cannot be shared with PHP. */
export function checkedPhp(options: PhpOptions): PhpSettings {
  const given: unknown = options
  if (typeof given !== 'object' || given === null) fail('php', given, "an object, { extension: 'memcached' } at least")
  checkNames(options, KNOWN, 'php')
  const extension = chosen('extension', options.extension, undefined)
  const isMemcache = extension === 'memcache'
  const prefix = options.prefix ?? (isMemcache ? '' : 'memc.sess.key.')
  if (typeof prefix !== 'string' || !KEY_PREFIX.test(prefix)) fail('php.prefix', prefix, 'at most 100 characters of visible ASCII without spaces')
  if (isMemcache && prefix !== '') {
    throw new InvalidOptionError('php.prefix is given, and PHP\'s extension memcache puts nothing before a session\'s id: leave it out.')
  }
  if (isMemcache && options.ring !== undefined) {
    throw new InvalidOptionError('php.ring is given, and sessions of PHP\'s extension memcache can be shared on one server only: leave it out.')
  }
  const sidLength = whole('sidLength', options.sidLength ?? 32, 22, 200)
  const sidBitsPerCharacter = chosen('sidBitsPerCharacter', options.sidBitsPerCharacter, 5)
  if (sidLength * sidBitsPerCharacter < LEAST_SID_BITS) {
    throw new InvalidOptionError(
      `php.sidLength ${String(sidLength)} with php.sidBitsPerCharacter ${String(sidBitsPerCharacter)} makes ids that can be guessed; ` +
        'their product must be at least 128.',
    )
  }
  return {
    extension,
    prefix,
    serializeHandler: chosen('serializeHandler', options.serializeHandler, 'php'),
    ring: chosen('ring', options.ring, 'ketama'),
    standBackMs: whole('standBackMs', options.standBackMs ?? 150, 0, MOST_STAND_BACK_MS),
    sidLength,
    sidBitsPerCharacter,
    ...checkedPhpCookie(options),
  }
}

function chosen<N extends keyof typeof CHOICES>(name: N, value: unknown, fallback: (typeof CHOICES)[N][number] | undefined): (typeof CHOICES)[N][number] {
  if (value === undefined && fallback !== undefined) return fallback
  const choices: readonly (typeof CHOICES)[N][number][] = CHOICES[name]
  const found = choices.find((choice) => choice === value)
  if (found !== undefined) return found
  const meant = typeof value === 'string' ? nearestName(value, choices.map(String)) : undefined
  const hint = name === 'serializeHandler' && (value === 'igbinary' || value === 'msgpack') ? ' Set session.serialize_handler=php in php.ini.' : ''
  throw new InvalidOptionError(
    `php.${name} is ${value === undefined ? 'missing' : shown(value)}; it must be ${choices.join(' or ')}.` +
      (meant === undefined ? hint : ` Did you mean "${meant}"?`),
  )
}

function whole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  return fail(`php.${name}`, value, `a whole number from ${String(least)} to ${String(most)}`)
}
