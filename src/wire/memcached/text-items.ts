/**
 * How the text protocol asks for an item, and how an item stands in the answer.
 *
 * memcached sends all that it has to say as soon as it has carried out a `get` or `gets`; behind every other command it first reads on.
 * Read by `mg`, a batch is answered in a few large pieces, and not in one for each flight: that takes half of the server's CPU time,
 * and of that of whoever reads them (docs/adr/0022). Proxies pass on `gets` alone.
 */
import { type Arrived, numberIn, standsAt } from '../socket/arrived.js'
import { versionIn } from './version.js'

/** Where an item is in what arrived; its value may not all be there yet. */
export interface ItemPlace {
  readonly flags: number
  readonly version: string
  readonly valueAt: number
  readonly valueEnd: number
}

export interface ItemForm {
  /** One command for one key. Where a server is away, memcached's proxy gives more errors than answers are due to one for several. */
  ask(key: string): string
  /** The item of this key whose line stands from `at` to `lineEnd`; undefined where that is no such line. */
  placeOf(key: string, arrived: Arrived, at: number, lineEnd: number): ItemPlace | undefined
  /** Whether a line says that there is no item of this key. */
  isNone(key: string, line: string): boolean
  /** Whether such a line comes behind an item as well. */
  readonly endsAll: boolean
}

/** Undefined where a number of it is none. */
const placed = (flags: number, version: string | undefined, valueAt: number, valueEnd: number): ItemPlace | undefined =>
  flags >= 0 && valueEnd >= valueAt && version !== undefined ? { flags, version, valueAt, valueEnd } : undefined

export const LINE_END = '\r\n'
const VALUE = 'VALUE '

/** `VALUE <key> <flags> <bytes> <cas>`, and an `END` behind the value, or alone. */
export const GETS_ITEMS: ItemForm = {
  ask: (key) => `gets ${key}\r\n`,
  placeOf(key, arrived, at, lineEnd) {
    const { text, bytes } = arrived
    const keyAt = at + VALUE.length
    const flagsAt = keyAt + key.length + 1
    if (!standsAt(text, at, VALUE) || !standsAt(text, keyAt, key) || text[flagsAt - 1] !== ' ') return undefined
    const flagsEnd = text.indexOf(' ', flagsAt)
    const lengthEnd = text.indexOf(' ', flagsEnd + 1)
    const flags = numberIn(bytes, flagsAt, flagsEnd)
    const valueAt = lineEnd + LINE_END.length
    const valueEnd = valueAt + numberIn(bytes, flagsEnd + 1, lengthEnd)
    const version = versionIn(arrived, lengthEnd + 1, lineEnd)
    return placed(flags, version, valueAt, valueEnd)
  },
  isNone: (_key, line) => line === 'END',
  endsAll: true,
}

/** What stands before and behind the key. */
export const ASK = 'mg '
export const ASKED = ' k f c v\r\n'

const VA = 'VA '
const NONE = 'EN'
export const KEY = ' k'
const FLAGS = ' f'
const VERSION = ' c'

/** `VA <bytes> k<key> f<flags> c<cas>`, and the value; or `EN k<key>`. */
export const MG_ITEMS: ItemForm = {
  ask: (key) => ASK + key + ASKED,
  placeOf(key, arrived, at, lineEnd) {
    const { text, bytes } = arrived
    const lengthAt = at + VA.length
    const lengthEnd = text.indexOf(' ', lengthAt)
    const keyAt = lengthEnd + KEY.length
    const keyEnd = keyAt + key.length
    const flagsAt = keyEnd + FLAGS.length
    const flagsEnd = text.indexOf(' ', flagsAt)
    const versionAt = flagsEnd + VERSION.length
    if (!standsAt(text, at, VA) || !standsAt(text, lengthEnd, KEY) || !standsAt(text, keyAt, key)) return undefined
    if (!standsAt(text, keyEnd, FLAGS) || !standsAt(text, flagsEnd, VERSION)) return undefined
    const flags = numberIn(bytes, flagsAt, flagsEnd)
    const valueAt = lineEnd + LINE_END.length
    const valueEnd = valueAt + numberIn(bytes, lengthAt, lengthEnd)
    // Of an item that somebody has marked as out of date more is said behind that; it is the item that `gets` would give.
    const version = versionIn(arrived, versionAt, lineEnd) ?? versionIn(arrived, versionAt, text.indexOf(' ', versionAt))
    return placed(flags, version, valueAt, valueEnd)
  },
  // The key is said from memcached 1.6.18 on.
  isNone: (key, line) => line === NONE || line === NONE + KEY + key,
  endsAll: false,
}
