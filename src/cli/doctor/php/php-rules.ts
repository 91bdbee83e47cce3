/** What in PHP's settings stands in the way of sessions that Node shares: a rule each. Asks nobody. */
import { PHP_HANDLERS } from '../../../php/session-handlers.js'
import { isCookieName } from '../../../session/dialect/php-cookie.js'
import { KEY_PREFIX } from '../../../session/option-checks.js'
import type { Php, PhpFinding } from './php.js'

type Rule = (php: Php) => PhpFinding | false

export function findingsOf(php: Php): PhpFinding[] {
  const { extension } = php
  const rules = [...COMMON, ...(extension === 'memcache' ? OF_MEMCACHE : OF_MEMCACHED)]
  return rules.map((rule) => rule(php)).filter((finding) => finding !== false)
}

/** How long PHP waits for a lock, in milliseconds, before session_start() fails. */
export function waitMs(php: Php): number {
  const [least, most] = [php.int('memcached.sess_lock_wait_min'), php.int('memcached.sess_lock_wait_max')]
  let [sum, next] = [0, least]
  // PHP doubles it from one try to the next.
  for (let tries = Math.min(php.int('memcached.sess_lock_retries'), 100_000); tries > 0; tries--) {
    sum += next
    next = Math.min(next * 2, most)
  }
  return sum
}

/** Less than that is a page that loads while another one still runs. */
const SHORT_WAIT_MS = 10_000

const COMMON: readonly Rule[] = [
  (php) => php.extension === undefined && {
    code: 'save-handler', severity: 'problem', setting: 'session.save_handler', change: 'memcached',
    message: `PHP keeps its sessions by "${php.text('session.save_handler')}", which latchkey cannot share`,
    advice: 'Let PHP keep them on memcached by php-memcached (Debian: php-memcached).' +
      (php.text('session.save_handler') === 'user' ? ' The handler is one of the application or its framework: configure it there.' : ''),
  },
  (php) => php.extension === undefined && {
    code: 'save-path', severity: 'problem', setting: 'session.save_path', change: '127.0.0.1:11211',
    message: 'PHP must be told where memcached is', advice: 'One server, or several: host:port,host:port.',
  },
  (php) => php.extension !== undefined && php.settings.saveHandlers?.includes(php.extension) === false && {
    code: 'extension-missing', severity: 'problem', setting: 'session.save_handler',
    message: `This PHP has no extension that gives it the save handler ${php.extension}`,
    advice: `Install php-${php.extension}.`,
  },
  (php) => php.extension !== undefined && php.servers.flaw !== undefined && {
    code: 'save-path', severity: 'problem', setting: 'session.save_path',
    message: `PHP cannot use this save path, or latchkey cannot: ${php.servers.flaw}`,
    advice: php.extension === 'memcached' ? 'Write host:port,host:port.' : 'Write tcp://host:port,tcp://host:port.',
  },
  (php) => !PHP_HANDLERS.some((handler) => handler === php.text('session.serialize_handler')) && {
    code: 'serialize-handler', severity: 'problem', setting: 'session.serialize_handler', change: 'php',
    message: `PHP writes its sessions as ${php.text('session.serialize_handler')}, which latchkey cannot read`,
    advice: 'Sessions that are stored in the old form end with the change: make it while few visitors are there.',
  },
  (php) => (!php.isOn('session.use_cookies') || php.isOn('session.use_trans_sid')) && {
    code: 'id-in-url', severity: 'problem', setting: php.isOn('session.use_cookies') ? 'session.use_trans_sid' : 'session.use_cookies',
    change: php.isOn('session.use_cookies') ? 'Off' : 'On',
    message: 'PHP takes session ids from addresses; Node takes them from the cookie only',
    advice: 'Let the cookie be the only way.',
  },
  (php) => !php.isOn('session.use_only_cookies') && {
    code: 'id-from-url', severity: 'advice', setting: 'session.use_only_cookies', change: 'On',
    message: 'PHP takes an id from an address as well, which anybody can plant', advice: 'Let the cookie be the only way.',
  },
  (php) => !isCookieName(php.text('session.name')) && {
    code: 'cookie-name', severity: 'problem', setting: 'session.name', change: 'PHPSESSID',
    message: 'No cookie can have this name', advice: 'Choose letters and digits.',
  },
  (php) => php.int('session.sid_length') * php.int('session.sid_bits_per_character') < 128 && {
    code: 'ids-short', severity: 'problem', setting: 'session.sid_length', change: '32',
    message: `Session ids have ${String(php.int('session.sid_length') * php.int('session.sid_bits_per_character'))} random bits, and can be guessed`,
    advice: 'latchkey makes none with fewer than 128. Sessions that are there stay.',
  },
  (php) => php.int('session.gc_maxlifetime') < 1 && {
    code: 'lifetime', severity: 'problem', setting: 'session.gc_maxlifetime', change: '1440',
    message: 'Sessions would live for ever on memcached', advice: 'Say for how many seconds a session lives.',
  },
  (php) => !php.isOn('session.use_strict_mode') && {
    code: 'strict-mode-off', severity: 'advice', setting: 'session.use_strict_mode', change: 'On',
    message: 'PHP takes over any id that a browser brings; Node replaces those that it does not know',
    advice: 'With it both sides replace them: an id that somebody has planted is worth nothing.',
  },
  (php) => !php.isOn('session.cookie_httponly') && {
    code: 'cookie-readable', severity: 'advice', setting: 'session.cookie_httponly', change: 'On',
    message: 'Scripts in the page can read the cookie', advice: 'Nothing but the servers needs it.',
  },
  (php) => /^none$/i.test(php.text('session.cookie_samesite')) && !php.isOn('session.cookie_secure') && {
    code: 'cookie-refused', severity: 'problem', setting: 'session.cookie_secure', change: 'On',
    message: 'Browsers refuse a cookie with SameSite=None that is not secure', advice: 'Set both, or another SameSite.',
  },
  (php) => !php.isOn('session.lazy_write') && {
    code: 'lazy-write-off', severity: 'note', setting: 'session.lazy_write',
    message: 'PHP writes each session again that it has only read: no harm, but a write more', advice: 'On is the default.',
  },
  (php) => php.text('session.referer_check') !== '' && {
    code: 'referer-check', severity: 'note', setting: 'session.referer_check',
    message: 'PHP leaves out sessions of requests from elsewhere; Node does not look', advice: 'cookie_samesite does it for both.',
  },
]

const OF_MEMCACHED: readonly Rule[] = [
  (php) => !php.isOn('memcached.sess_locking') && {
    code: 'locking-off', severity: 'problem', setting: 'memcached.sess_locking', change: 'On',
    message: 'PHP does not lock its sessions: it overwrites what Node has stored, and Node\'s own writes are refused (LATCHKEY_FENCED)',
    advice: 'Nothing on Node\'s side can make good for it.',
  },
  lockForEver,
  lockOutlived,
  (php) => php.isOn('memcached.sess_locking') && waitMs(php) < SHORT_WAIT_MS && {
    code: 'lock-wait-short', severity: 'advice', setting: 'memcached.sess_lock_retries', change: '1000',
    message: `PHP gives up after ${String(waitMs(php))} ms where another request has the session, and goes on without one`,
    advice: 'With many short tries it waits as Node does.',
  },
  (php) => php.int('memcached.sess_lock_wait_max') > 50 && {
    code: 'lock-wait-long', severity: 'advice', setting: 'memcached.sess_lock_wait_max', change: '20',
    message: `PHP sleeps for up to ${String(php.int('memcached.sess_lock_wait_max'))} ms between its tries, and Node stands back that long after each turn`,
    advice: 'Shorter pauses make both sides faster.',
  },
  (php) => (php.int('memcached.sess_lock_wait_max') > 50 || waitMs(php) < SHORT_WAIT_MS) && php.int('memcached.sess_lock_wait_min') > 20 && {
    code: 'lock-wait-first', severity: 'advice', setting: 'memcached.sess_lock_wait_min', change: '2',
    message: `PHP sleeps for ${String(php.int('memcached.sess_lock_wait_min'))} ms before its second try`,
    advice: 'It doubles the pause with each try.',
  },
  (php) => !KEY_PREFIX.test(php.text('memcached.sess_prefix')) && {
    code: 'prefix', severity: 'problem', setting: 'memcached.sess_prefix', change: 'memc.sess.key.',
    message: 'The prefix has signs that no key may have, or over 100 characters', advice: 'Use visible ASCII.',
  },
  (php) => php.int('memcached.sess_number_of_replicas') > 0 && {
    code: 'replicas', severity: 'problem', setting: 'memcached.sess_number_of_replicas', change: '0',
    message: 'PHP writes copies to other servers, but locks on one only, and reads old copies after a restart: sessions go back in time',
    advice: 'Keep one copy of each.',
  },
  (php) => php.servers.count > 1 && php.isOn('memcached.sess_consistent_hash') && php.text('memcached.sess_consistent_hash_type') === 'ketama_weighted' && {
    code: 'ring', severity: 'problem', setting: 'memcached.sess_consistent_hash_type', change: 'ketama',
    message: 'Where ketama_weighted puts a session, latchkey does not know', advice: 'Nearly all sessions move with the change, and begin anew.',
  },
  (php) => php.servers.count > 1 && (php.isOn('memcached.sess_remove_failed_servers') || php.int('memcached.sess_server_failure_limit') > 0) && {
    code: 'servers-removed', severity: 'problem', change: php.isOn('memcached.sess_remove_failed_servers') ? 'Off' : '0',
    setting: php.isOn('memcached.sess_remove_failed_servers') ? 'memcached.sess_remove_failed_servers' : 'memcached.sess_server_failure_limit',
    message: 'After failures PHP looks for sessions on other servers, and Node does not: one visitor has two sessions then',
    advice: 'A server that is down is an error on both sides.',
  },
  (php) => php.text('memcached.sess_sasl_username') !== '' && {
    code: 'sasl', severity: 'note', setting: 'memcached.sess_sasl_username',
    message: 'PHP logs in at its servers', advice: 'Put user and password into savePath: tcp://user:password@host:port, percent-encoded.',
  },
]

function lockForEver(php: Php): PhpFinding | false {
  if (php.int('memcached.sess_lock_expire') > 0 || !php.isOn('memcached.sess_locking')) return false
  const limitSec = php.int('max_execution_time')
  const change = String(Math.max(60, limitSec * 2))
  const setting = 'memcached.sess_lock_expire'
  const advice = 'Make it longer than the longest request (php-fpm: request_terminate_timeout).'
  if (limitSec === 0) {
    const message = 'A PHP that is killed in the middle leaves a lock that never ends: max_execution_time is 0 as well'
    return { code: 'lock-for-ever', severity: 'problem', setting, change, message, advice }
  }
  const message = `The lock lasts for max_execution_time (${String(limitSec)} s); where a script sets that to 0, as on the command line, for ever`
  return { code: 'lock-unlimited', severity: 'advice', setting, change, message, advice }
}

function lockOutlived(php: Php): PhpFinding | false {
  const [lockSec, limitSec] = [php.int('memcached.sess_lock_expire'), php.int('max_execution_time')]
  // The command line's limit is 0, whatever the web server's is.
  if (lockSec <= 0 || lockSec > limitSec) return false
  return {
    code: 'lock-outlived', severity: 'problem', setting: 'memcached.sess_lock_expire', change: String(Math.max(60, limitSec * 2)),
    message: `A request may run for ${String(limitSec)} s and longer, and its lock ends after ${String(lockSec)} s: what it writes then overwrites the others`,
    advice: 'Make it longer than the longest request; waiting for a database does not count as execution time.',
  }
}

const OF_MEMCACHE: readonly Rule[] = [
  () => ({
    code: 'memcache-weak', severity: 'advice', setting: 'session.save_handler',
    message: 'pecl-memcache goes on without a lock where it gets none, and takes a session for empty that it could not read',
    advice: 'php-memcached is the better one to share sessions with.',
  }),
  (php) => php.int('memcache.compress_threshold') > 0 && {
    code: 'compression', severity: 'problem', setting: 'memcache.compress_threshold', change: '0',
    message: `PHP compresses sessions of ${php.text('memcache.compress_threshold')} bytes and more, which latchkey cannot read`,
    advice: 'Sessions of that size are compressed until they are written again.',
  },
  (php) => (php.isOn('memcache.session_prefix_host_key') || php.text('memcache.session_prefix_static_key') !== '') && {
    code: 'prefix', severity: 'problem', change: php.isOn('memcache.session_prefix_host_key') ? 'Off' : '""',
    setting: php.isOn('memcache.session_prefix_host_key') ? 'memcache.session_prefix_host_key' : 'memcache.session_prefix_static_key',
    message: 'PHP puts something before its keys', advice: 'latchkey looks for sessions of pecl-memcache under their ids alone.',
  },
  (php) => php.servers.count > 1 && {
    code: 'several-servers', severity: 'problem', setting: 'session.save_path', change: php.text('session.save_path').split(',', 1).join(),
    message: 'Where pecl-memcache puts a session, and its copies, among several servers, latchkey does not know',
    advice: 'Use one server, or php-memcached.',
  },
]
