/**
 * How an item is kept under its key: `~`, its version, its flags in hexadecimal (nothing for 0), `:`, and the value.
 *
 * A version is drawn anew for every write, so that none comes twice: not after a restart, not after a failover, and not
 * on a replica that has fallen behind. A value without such a head was stored by others (connect-redis). It counts as
 * well, and its version is a digest of it.
 */
import { createHash } from 'node:crypto'
import type { Random } from '../../system/random.js'
import type { Arrived } from '../socket/arrived.js'
import { valueIn } from '../socket/arrived.js'
import { replyOf } from '../reply.js'
import type { Reply, Value } from '../wire.js'

const MARK = '~'
const MARK_CODE = 126
const COLON = ':'
const VERSION_LENGTH = 11
/** The mark and the version. */
export const HEAD_LENGTH = 1 + VERSION_LENGTH
const MOST_FLAG_DIGITS = 8

const FOREIGN = '#'
/** The form of the versions that this wire hands out. */
export const VERSION = /^(?:[\w-]{11}|#[0-9a-f]{40})$/

/** What a script compares: the beginning of the stored value, or the digest of one that others have stored. */
export const headOf = (version: string): string => (version.startsWith(FOREIGN) ? version : MARK + version)

/** What stands before the value. */
export const prefixOf = (version: string, flags = 0): string =>
  flags === 0 ? `${MARK}${version}${COLON}` : `${MARK}${version}${flags.toString(16)}${COLON}`

const PREFIX = /^~([\w-]{11})([0-9a-f]{0,8}):/

/** What is stored, from `from` to `to`. */
export interface Item {
  readonly version: string
  readonly flags: number
  readonly value: Value
}

export function itemIn(arrived: Arrived, from: number, to: number): Item {
  const { bytes, text } = arrived
  if (bytes[from] === MARK_CODE) {
    const head = text.slice(from, Math.min(to, from + HEAD_LENGTH + MOST_FLAG_DIGITS + 1))
    const [prefix, version, digits] = PREFIX.exec(head) ?? []
    if (prefix !== undefined && version !== undefined) {
      const flags = digits === undefined || digits === '' ? 0 : parseInt(digits, 16)
      return { version, flags, value: valueIn(arrived, from + prefix.length, to) }
    }
  }
  const version = FOREIGN + createHash('sha1').update(bytes.subarray(from, to)).digest('hex')
  return { version, flags: 0, value: valueIn(arrived, from, to) }
}

/** A version never comes twice, so it has no date. */
export const readReply = ({ version, flags, value }: Item): Reply => replyOf('ok', { version, asOf: 0 }, value, flags)

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const DRAWN_BYTES = 9
const COUNTED_BITS = 18
const MOST_OF_A_DRAW = 1000

/**
 * Gives out versions, for the writes of one batch: 48 random bits, and a count that begins at 18 random ones. They are
 * drawn in the turn of the event loop in which they are used: what a process keeps in its memory repeats itself when it
 * is resumed twice from one snapshot.
 */
export class Versions {
  readonly #random: Pick<Random, 'bytes'>
  #prefix = ''
  #next = 0
  #left = 0

  constructor(random: Pick<Random, 'bytes'>) {
    this.#random = random
  }

  /** Begins a batch. */
  begin(): void {
    this.#left = 0
  }

  next(): string {
    if (this.#left === 0) this.#draw()
    this.#left -= 1
    const count = (this.#next = (this.#next + 1) % (1 << COUNTED_BITS))
    return this.#prefix + (DIGITS[count >> 12] ?? '') + (DIGITS[(count >> 6) & 63] ?? '') + (DIGITS[count & 63] ?? '')
  }

  #draw(): void {
    const drawn = this.#random.bytes(DRAWN_BYTES)
    const bytes = Buffer.from(drawn.buffer, drawn.byteOffset, DRAWN_BYTES)
    this.#prefix = bytes.toString('base64url', 0, 6)
    this.#next = bytes.readUIntBE(6, 3) % (1 << COUNTED_BITS)
    this.#left = MOST_OF_A_DRAW
  }
}
