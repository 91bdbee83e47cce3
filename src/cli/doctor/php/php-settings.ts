/** Reads the settings of a PHP, as it tells them itself or as they are written down for it. Asks nobody. */

type Form = 'php -i' | 'phpinfo()' | 'php.ini'

/** What is taken where a php.ini does not say: the defaults of PHP 8, php-memcached 3 and pecl-memcache 8. */
const DEFAULTS: Readonly<Record<string, string>> = {
  'max_execution_time': '30',
  'session.save_handler': 'files',
  'session.save_path': '',
  'session.name': 'PHPSESSID',
  'session.serialize_handler': 'php',
  'session.gc_maxlifetime': '1440',
  'session.lazy_write': '1',
  'session.use_cookies': '1',
  'session.use_only_cookies': '1',
  'session.use_strict_mode': '0',
  'session.use_trans_sid': '0',
  'session.referer_check': '',
  'session.sid_length': '32',
  'session.sid_bits_per_character': '4',
  'session.cookie_lifetime': '0',
  'session.cookie_path': '/',
  'session.cookie_domain': '',
  'session.cookie_secure': '0',
  'session.cookie_httponly': '0',
  'session.cookie_samesite': '',
  'memcached.sess_locking': '1',
  'memcached.sess_lock_expire': '0',
  'memcached.sess_lock_wait_min': '150',
  'memcached.sess_lock_wait_max': '150',
  'memcached.sess_lock_retries': '5',
  'memcached.sess_prefix': 'memc.sess.key.',
  'memcached.sess_number_of_replicas': '0',
  'memcached.sess_consistent_hash': '1',
  'memcached.sess_consistent_hash_type': 'ketama',
  'memcached.sess_binary_protocol': '1',
  'memcached.sess_remove_failed_servers': '0',
  'memcached.sess_server_failure_limit': '0',
  'memcached.sess_sasl_username': '',
  'memcached.sess_sasl_password': '',
  'memcache.session_save_path': '',
  'memcache.session_prefix_host_key': '0',
  'memcache.session_prefix_static_key': '',
  'memcache.compress_threshold': '20000',
  'memcache.lock_timeout': '15',
}

const KNOWN: ReadonlySet<string> = new Set(Object.keys(DEFAULTS))

/** What is longer is no setting of a session. */
const LONGEST_LINE = 8192

const linesOf = (text: string): string[] => text.split(/\r?\n/).filter(({ length }) => length <= LONGEST_LINE)

export interface PhpSettings {
  readonly form: Form
  /** As PHP tells it: `8.2.36`; undefined where a php.ini was read. */
  readonly version: string | undefined
  /** As PHP tells it: `Command Line Interface`, `FPM/FastCGI`. */
  readonly sapi: string | undefined
  /** Handlers that this PHP has; undefined where a php.ini was read. */
  readonly saveHandlers: readonly string[] | undefined
  /** Names that only hold for some hosts or paths, and are not looked at. */
  readonly hasSections: boolean
  /** What was read; where there is nothing, the default. */
  readonly values: ReadonlyMap<string, string>
  /** Names that were read. */
  readonly named: ReadonlySet<string>
}

/** Undefined where it is neither: nothing in it is a setting of PHP's sessions. Never throws, whatever it is given. */
export function readPhpSettings(given: string): PhpSettings | undefined {
  const text = given.replace(/^\ufeff/, '')
  const form = formOf(text)
  const found = form === 'php.ini' ? iniIn(text) : form === 'php -i' ? toldIn(text) : shownIn(text)
  const values = new Map(Object.entries(DEFAULTS))
  const named = new Set<string>()
  for (const [name, value] of found.settings) {
    if (!KNOWN.has(name)) continue
    // An empty flag or number (`Off`) is 0 to PHP.
    values.set(name, value === '' && /^\d+$/.test(DEFAULTS[name] ?? '') ? '0' : value)
    named.add(name)
  }
  if (named.size === 0) return undefined
  const { about } = found
  return {
    form,
    values,
    named,
    version: about.get('PHP Version'),
    sapi: about.get('Server API'),
    saveHandlers: about.get('Registered save handlers')?.trim().split(/\s+/),
    hasSections: found.hasSections,
  }
}

interface Found {
  readonly settings: readonly (readonly [name: string, value: string])[]
  /** What PHP says of itself beside its settings. */
  readonly about: ReadonlyMap<string, string>
  readonly hasSections: boolean
}

function formOf(text: string): Form {
  if (/^PHP Version => /m.test(text) || /^[\w.]+ => .* => /m.test(text)) return 'php -i'
  return /<td class="e">/i.test(text) ? 'phpinfo()' : 'php.ini'
}

const ABOUT: ReadonlySet<string> = new Set(['PHP Version', 'Server API', 'Registered save handlers'])

/** `session.name => PHPSESSID => PHPSESSID`: here and now, and as the server has it. */
function toldIn(text: string): Found {
  const about = new Map<string, string>()
  const settings: [string, string][] = []
  for (const line of linesOf(text)) {
    const [name = '', value] = line.split(' => ', 2)
    if (value === undefined) continue
    if (ABOUT.has(name) && !about.has(name)) about.set(name, value)
    else settings.push([name, value === 'no value' || value === 'not set' ? '' : value])
  }
  return { settings, about, hasSections: false }
}

/** The same as a page. */
function shownIn(text: string): Found {
  const rows = text.matchAll(/<td class="e">([^<]*)<\/td>\s*<td class="v">(?:<i>no value<\/i>|([^<]*))/gi)
  const lines = [...rows].map(([, name = '', value = 'no value']) => `${unescaped(name).trim()} => ${unescaped(value).trim()}`)
  const [, version] = /PHP Version ([\d.]+)/.exec(text) ?? []
  return toldIn(`${version === undefined ? '' : `PHP Version => ${version}\n`}${lines.join('\n')}`)
}

const ENTITIES: Readonly<Record<string, string>> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#039;': "'", '&amp;': '&' }
const unescaped = (text: string): string => text.replace(/&(?:lt|gt|quot|amp|#039);/g, (entity) => ENTITIES[entity] ?? entity)

/** php.ini, a pool of php-fpm (`php_value[session.name] = X`) and Apache's `php_value session.name X`. */
function iniIn(text: string): Found {
  const settings: [string, string][] = []
  let hasSections = false
  let isSkipping = false
  for (const line of linesOf(text)) {
    const [, section] = /^\s*\[([^\]]*)\]/.exec(line) ?? []
    if (section !== undefined) isSkipping = /^(?:HOST|PATH)\s*=/i.test(section)
    const [, ofPool, ofIni, given] = /^\s*(?:php_(?:admin_)?(?:value|flag)\s*\[([\w.]+)\]|([\w.]+))\s*=(.*)$/.exec(line) ?? []
    const [, ofApache, givenToApache] = /^\s*php_(?:admin_)?(?:value|flag)\s+([\w.]+)\s+(.*)$/.exec(line) ?? []
    const [name, value] = [ofPool ?? ofIni ?? ofApache, given ?? givenToApache]
    if (name === undefined || value === undefined) continue
    if (isSkipping) hasSections ||= KNOWN.has(name)
    else settings.push([name, valueOf(value.trim())])
  }
  return { settings, about: new Map(), hasSections }
}

function valueOf(given: string): string {
  const [, quoted, single] = /^(?:"((?:[^"\\]|\\.)*)"|'([^']*)')/.exec(given) ?? []
  if (quoted !== undefined) return quoted.replace(/\\(["\\])/g, '$1')
  if (single !== undefined) return single
  const [bare = ''] = given.split(';', 1).map((text) => text.trim())
  if (/^(?:on|yes|true)$/i.test(bare)) return '1'
  return /^(?:off|no|false|none|null)$/i.test(bare) ? '' : bare
}

/** As PHP takes a flag. */
export const isOn = (value: string): boolean => /^(?:on|yes|true)$/i.test(value) || intOf(value) !== 0

/** As PHP takes a number: what follows its digits is passed over, but for K, M and G. */
export function intOf(value: string): number {
  const [, digits, unit = ''] = /^\s*([+-]?\d{1,15})([kmg])?/i.exec(value) ?? []
  if (digits === undefined) return 0
  return Number(digits) * 1024 ** ' kmg'.indexOf(unit === '' ? ' ' : unit.toLowerCase())
}
