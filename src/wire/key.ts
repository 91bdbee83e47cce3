import type { KeyMarks } from './wire.js'

/** The longest key of memcached (protocol.txt, "Keys"), and of the memory that stands in for it. */
export const MOST_KEY_BYTES = 250
const SPACE = 32
const FORBIDDEN = /[^\x21-\x7e]/

/**
 * Whether memcached takes it: 1 to 250 visible ASCII characters. Other characters are refused, because a key is a string
 * here and 250 is a number of bytes.
 *
 * Asked for a character first, V8 makes a joined string flat at half the price that it has for a regular expression.
 */
export const isKey = (key: string): boolean =>
  key.length <= MOST_KEY_BYTES && key.charCodeAt(0) > SPACE && !FORBIDDEN.test(key)

/** Only what is between the first braces of a key says which server keeps it: of a Redis Cluster, and behind some proxies. */
export const BRACES: KeyMarks = { open: '{', close: '}', stop: '', refusedInId: /^\}/, refusedInPrefix: /\{/ }
