/**
 * A copy of a record as one node keeps it: a head, and behind it the record. The head says which of two copies is newer,
 * without a clock: copies are ordered as the locks were under which they were written.
 */
import type { Clock } from '../../system/clock.js'
import { type Reply, type Value, valueBytes } from '../wire.js'

/** The lock under which a copy was written, on one node: the node's incarnation, and the lock's version there. */
export interface Seal {
  readonly incarnation: string
  readonly version: string
}

export interface Head {
  /** How many writes came before, as far as their writer had seen them. */
  readonly count: number
  /** A number of the writer's own: of two writes under one lock the later has the larger one. */
  readonly ordinal: number
  readonly seals: readonly Seal[]
  /** The longest time, in seconds, that any copy of this session was ever given to live. */
  readonly longestSec: number
  /** When the record ends, in seconds since 1970, if that is before the copy does; 0: with the copy. */
  readonly endsAtSec: number
}

/** A copy without its head. */
export interface Copy {
  readonly head: Head
  /** The head as it is stored: with the stamp it tells a copy from every other one. */
  readonly headText: string
  readonly value: Value
  readonly flags: number
}

const MARK = 'copy1 '
/** A place for a copy, in which none is yet. No record is that: those have heads. */
export const PLACE = 'copy0'
const END = '\n'
const ZERO = 48
/** What a head may take of an item at the most: its numbers have 20 digits, and there are up to ten seals. */
export const MOST_HEAD_BYTES = 450

const BEFORE_ALL: Head = { count: 0, ordinal: 0, seals: [], longestSec: 0, endsAtSec: 0 }

/** What two heads have to say of who comes next: all but their locks. */
export type Count = Omit<Head, 'seals'>

export const headText = (head: Head): string => headTextOf(head, head.seals.map(({ incarnation, version }) => sealText(incarnation, version)).join(BETWEEN_SEALS))

/** @param seals as `sealText` makes them, with BETWEEN_SEALS between them. */
export const headTextOf = ({ count, ordinal, longestSec, endsAtSec }: Count, seals: string): string =>
  `${MARK}${count} ${ordinal} ${longestSec} ${endsAtSec} ${seals}${END}`

export const BETWEEN_SEALS = ','
export const sealText = (incarnation: string, version: string): string => `${incarnation}:${version}`

export const withHead = (text: string, value: Value): Value =>
  typeof value === 'string' ? text + value : Buffer.concat([Buffer.from(text, 'latin1'), value])

/** The copy in the reply to a `get`; undefined: there is none. What has no head was stored before there were copies. */
export function copyIn({ status, value, flags }: Reply): Copy | undefined {
  if (status !== 'ok' || value === undefined || isPlace(value)) return undefined
  const head = headIn(value)
  if (head === undefined) return { head: BEFORE_ALL, headText: '', value, flags }
  const { text } = head
  return { head, headText: text, value: typeof value === 'string' ? value.slice(text.length) : value.subarray(text.length), flags }
}

export const isPlace = (value: Value | undefined): boolean => value?.length === PLACE.length && value.toString() === PLACE

/** The head of what is stored; undefined: it has none. */
export function headIn(value: Value): StoredHead | undefined {
  const end = typeof value === 'string' ? value.indexOf(END) : value.indexOf(END.charCodeAt(0))
  if (end < 0) return undefined
  const text = typeof value === 'string' ? value.slice(0, end + 1) : value.toString('latin1', 0, end + 1)
  if (!text.startsWith(MARK)) return undefined
  const head = new StoredHead(text)
  return head.isWhole ? head : undefined
}

/** A head as it stands in the store. Its seals are read when somebody asks: where all copies are the same nobody does. */
class StoredHead implements Head {
  readonly count: number
  readonly ordinal: number
  readonly longestSec: number
  readonly endsAtSec: number
  private readonly sealsAt: number

  constructor(readonly text: string) {
    const ordinalAt = text.indexOf(' ', MARK.length) + 1
    const longestAt = text.indexOf(' ', ordinalAt) + 1
    const endsAt = text.indexOf(' ', longestAt) + 1
    this.sealsAt = text.indexOf(' ', endsAt) + 1
    this.count = numberIn(text, MARK.length, ordinalAt - 1)
    this.ordinal = numberIn(text, ordinalAt, longestAt - 1)
    this.longestSec = numberIn(text, longestAt, endsAt - 1)
    this.endsAtSec = numberIn(text, endsAt, this.sealsAt - 1)
  }

  get isWhole(): boolean {
    const areNumbers = this.count >= 0 && this.ordinal >= 0 && this.longestSec >= 0 && this.endsAtSec >= 0
    return areNumbers && !this.text.includes(' ', this.sealsAt)
  }

  get seals(): readonly Seal[] {
    const sealed = this.text.slice(this.sealsAt, -END.length)
    return sealed === '' ? [] : sealed.split(BETWEEN_SEALS).map(sealIn)
  }
}

/** A safe integer has no more. */
const MOST_DIGITS = 15

/** The number that stands there; NaN: there is none. */
function numberIn(text: string, from: number, to: number): number {
  if (to <= from || to - from > MOST_DIGITS) return NaN
  let number = 0
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - ZERO
    if (!(digit >= 0 && digit <= 9)) return NaN
    number = number * 10 + digit
  }
  return number
}

/** The head of what is stored in the place of `before`, without its locks. */
export function nextCount(before: Count, { ttlSec, value }: { readonly ttlSec: number; readonly value: Value }, ordinal: number, clock: Pick<Clock, 'wallMs'>): Count {
  const longestSec = Math.max(before.longestSec, ttlSec)
  // Who was away keeps its old copy for as long as that was given to live: what takes its place must not go before. In whole seconds
  // as a store counts them: never for longer than it was given.
  const endsAtSec = ttlSec < longestSec && value.length > 0 ? Math.floor(clock.wallMs() / 1000) + ttlSec : 0
  return { count: before.count + 1, ordinal, longestSec, endsAtSec }
}

function sealIn(text: string): Seal {
  const [incarnation = '', version = ''] = text.split(':')
  return { incarnation, version }
}

/**
 * Whether `one` was written after `other`: where both were written under locks of one incarnation of a node, the later lock
 * has the greater version, and two majorities always meet on a node. No clock is asked.
 *
 * Nodes disagree where a lock was taken late on one of them, when its holder had lost it on others. A copy that was acknowledged
 * was the later one on each node of its majority, unless who wrote the other one had read it: so of the two only that one can have been
 * acknowledged which more nodes may have. Where that does not decide either (the same lock, or no node that has lived through both)
 * the counts do.
 */
export function isNewer(one: Head, other: Head): boolean {
  const { before, after } = wordsOn(one, other)
  if ((before === 0) !== (after === 0)) return after > 0
  const more = one.seals.length - before - (other.seals.length - after)
  if (before > 0 && more !== 0) return more > 0
  return one.count === other.count ? one.ordinal > other.ordinal : one.count > other.count
}

/** How many nodes say that it was written before the other one, and how many that it was written after it. */
function wordsOn({ seals }: Head, other: Head): { readonly before: number; readonly after: number } {
  let before = 0
  let after = 0
  for (const { incarnation, version } of seals) {
    const there = other.seals.find((seal) => seal.incarnation === incarnation)
    if (there === undefined || there.version === version) continue
    if (isGreater(version, there.version)) after++
    else before++
  }
  return { before, after }
}

/** Versions are decimal numbers of up to 64 bits. */
const isGreater = (one: string, other: string): boolean => (one.length === other.length ? one > other : one.length > other.length)

/** The newest of the copies; undefined: there are none. */
export function newestOf(copies: readonly Copy[]): Copy | undefined {
  let newest: Copy | undefined
  for (const copy of copies) if (newest === undefined || isNewer(copy.head, newest.head)) newest = copy
  return newest
}

const EMPTY = Buffer.alloc(0)

/** What the copy says stands there: a record that has ended before its copy reads as a destroyed one. */
export function contentOf({ head, value }: Copy, clock: Pick<Clock, 'wallMs'>): Value {
  return head.endsAtSec !== 0 && clock.wallMs() >= head.endsAtSec * 1000 ? EMPTY : value
}

export const isSameCopy = (one: Copy, other: Copy): boolean =>
  one.headText === other.headText && one.flags === other.flags && (one.headText !== '' || valueBytes(one.value).equals(valueBytes(other.value)))
