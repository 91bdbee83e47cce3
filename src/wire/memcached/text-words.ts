/**
 * What the text protocol has two ways to say: to memcached itself, and to a proxy before it, or to an old memcached.
 *
 * A proxy passes on the commands that name one key and that it knows, and each knows others. twemproxy closes the
 * connection at `stats`, at meta commands and at a negative lifetime; mcrouter has no meta commands. The portable words
 * are those that all of them pass on.
 */
import { GETS_ITEMS, type ItemForm, MG_ITEMS } from './text-items.js'

export interface TextWords {
  /** A compare-and-delete. */
  cad(key: string, version: string): string
  /** Whether that is written as a store, and is answered like one. */
  readonly deletesByStoring: boolean
  /** The answer to a compare-and-delete that deleted. */
  readonly deleted: string
  /** How an item is asked for, and how it stands in the answer. */
  readonly items: ItemForm
  /** Sets a new lifetime. */
  touch(key: string, exptime: number): string
  /** Whether the answer to that tells the CAS; else the item is read behind it. */
  readonly touchTellsCas: boolean
}

/** memcached's own words: meta commands (protocol.txt, "Meta Commands"), as they are from 1.6.13 on (release.ts). */
export const DIRECT_WORDS: TextWords = {
  cad: (key, version) => `md ${key} C${version}\r\n`,
  deletesByStoring: false,
  deleted: 'HD\r\n',
  items: MG_ITEMS,
  touch: (key, exptime) => `mg ${key} T${exptime} c\r\n`,
  touchTellsCas: true,
}

/** memcached takes a lifetime of more than 30 days for a date: this one is in 1970, so the item is gone at once. */
const LONG_PAST = 30 * 24 * 3600 + 1

export const PORTABLE_WORDS: TextWords = {
  cad: (key, version) => `cas ${key} 0 ${LONG_PAST} 0 ${version}\r\n\r\n`,
  deletesByStoring: true,
  deleted: 'STORED\r\n',
  items: GETS_ITEMS,
  touch: (key, exptime) => `touch ${key} ${exptime}\r\n`,
  touchTellsCas: false,
}

/** Those of memcached's own proxy, which passes meta commands on, where all servers keep versions of ours. */
export const OWN_VERSION_WORDS: TextWords = {
  ...PORTABLE_WORDS,
  cad: (key, version) => DIRECT_WORDS.cad(key, version),
  deletesByStoring: DIRECT_WORDS.deletesByStoring,
  deleted: DIRECT_WORDS.deleted,
}
