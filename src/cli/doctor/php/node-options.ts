/** What SessionManager is to be given, so that Node has its sessions as PHP has them. */
import type { Php } from './php.js'

type Option = string | number | boolean | { readonly [name: string]: Option }

/** A setting of PHP, and where Node is told of it. */
export interface Told {
  readonly setting: string
  readonly option: string
}

/** Undefined where there is nothing to share yet: no servers, or another save handler. */
export function nodeOptionsOf(php: Php): Readonly<Record<string, Option>> | undefined {
  const { savePath } = php.servers
  if (php.extension === undefined || savePath === undefined) return undefined
  const isMemcached = php.extension === 'memcached'
  return {
    savePath,
    lifetimeSec: php.int('session.gc_maxlifetime'),
    php: {
      extension: php.extension,
      ...(isMemcached ? ofMemcached(php) : {}),
      serializeHandler: php.text('session.serialize_handler'),
      sidLength: php.int('session.sid_length'),
      sidBitsPerCharacter: php.int('session.sid_bits_per_character'),
      cookieName: php.text('session.name'),
      cookie: cookieOf(php),
    },
  }
}

function ofMemcached(php: Php): Record<string, Option> {
  return {
    prefix: php.text('memcached.sess_prefix'),
    ring: php.isOn('memcached.sess_consistent_hash') ? 'ketama' : 'modula',
    standBackMs: Math.min(php.int('memcached.sess_lock_wait_max'), 10_000),
  }
}

function cookieOf(php: Php): Record<string, Option> {
  const [domain, sameSite] = [php.text('session.cookie_domain'), php.text('session.cookie_samesite').toLowerCase()]
  return {
    lifetimeSec: php.int('session.cookie_lifetime'),
    path: php.text('session.cookie_path'),
    ...(domain === '' ? {} : { domain }),
    secure: php.isOn('session.cookie_secure'),
    httpOnly: php.isOn('session.cookie_httponly'),
    ...(sameSite === '' ? {} : { sameSite }),
  }
}

/** Which settings the options say, for who looks one up. */
export const TOLD: readonly Told[] = [
  { setting: 'session.save_path', option: 'savePath' },
  { setting: 'session.gc_maxlifetime', option: 'lifetimeSec' },
  { setting: 'session.serialize_handler', option: 'php.serializeHandler' },
  { setting: 'memcached.sess_prefix', option: 'php.prefix' },
  { setting: 'memcached.sess_consistent_hash', option: 'php.ring' },
  { setting: 'memcached.sess_lock_wait_max', option: 'php.standBackMs' },
  { setting: 'session.sid_length', option: 'php.sidLength' },
  { setting: 'session.sid_bits_per_character', option: 'php.sidBitsPerCharacter' },
  { setting: 'session.name', option: 'php.cookieName' },
  { setting: 'session.cookie_lifetime', option: 'php.cookie.lifetimeSec' },
  { setting: 'session.cookie_path', option: 'php.cookie.path' },
  { setting: 'session.cookie_domain', option: 'php.cookie.domain' },
  { setting: 'session.cookie_secure', option: 'php.cookie.secure' },
  { setting: 'session.cookie_httponly', option: 'php.cookie.httpOnly' },
  { setting: 'session.cookie_samesite', option: 'php.cookie.sameSite' },
]

/** As it is written in a program, a name a line. */
export function linesOf(options: Readonly<Record<string, Option>>, indent = ''): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    if (typeof value === 'object') return [`${indent}${name}: {`, ...linesOf(value, `${indent}  `), `${indent}},`]
    return [`${indent}${name}: ${typeof value === 'string' ? quoted(value) : String(value)},`]
  })
}

const quoted = (text: string): string => `'${JSON.stringify(text).slice(1, -1).replace(/\\"/g, '"').replace(/'/g, "\\'")}'`
