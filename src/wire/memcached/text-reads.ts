/** One `gets` line of the text protocol: the keys, who asked for them, and what was found. */
import type { Cas, Command, Reply } from '../wire.js'
import { casOf, ProtocolError, refusal, replyOf, type Flight } from './codec.js'

// memcached closes a connection whose line is longer than 2048 bytes; seven of the longest keys fit.
const MOST_KEYS = 7
const WORD = 'VALUE '
// A safe integer has them, and no item is longer.
const MOST_DIGITS = 15

export class Reads {
  /** What the store that these reads follow was answered. */
  storeReply: Reply | undefined
  readonly #store: (Command & { readonly op: 'add' | 'cas' }) | undefined
  readonly #keys: string[]
  #keyCount = 0
  /** What was found, by the index of its key. */
  readonly #found: (Reply | undefined)[]
  /** For each `get` of the flight that is answered here, the index of its key. */
  readonly #gets: number[]
  #getCount = 0
  #next = 0
  /** The CAS of what was stored. */
  #stored: Cas | undefined

  /**
   * @param store the add or cas whose new CAS is looked for; its key is the first.
   * @param most how many keys and `get`s there will be at the most: arrays that grow cost more than all else here.
   */
  constructor(store: (Command & { readonly op: 'add' | 'cas' }) | undefined, most: number) {
    this.#store = store
    this.#keys = new Array<string>(most)
    this.#found = new Array<Reply | undefined>(most)
    this.#gets = new Array<number>(most)
    if (store !== undefined) this.#keys[this.#keyCount++] = store.key
  }

  get isFull(): boolean {
    return this.#keyCount >= MOST_KEYS
  }

  /** A `get` of the flight; a key that is read already is not read twice, and its replies share one value. */
  add(key: string): void {
    let index = 0
    while (index < this.#keyCount && this.#keys[index] !== key) index++
    if (index === this.#keyCount) this.#keys[this.#keyCount++] = key
    this.#gets[this.#getCount++] = index
  }

  line(): string {
    let line = 'gets'
    for (let index = 0; index < this.#keyCount; index++) line += ` ${this.#keys[index] ?? ''}`
    return `${line}\r\n`
  }

  /**
   * Takes `VALUE <key> <flags> <bytes> <cas>`, which is in `text` from `at` to `lineEnd`, and the value behind it.
   *
   * Returns where the value's line end ends; when that is beyond `bytes` nothing is taken.
   */
  takeValue(text: string, at: number, lineEnd: number, bytes: Buffer, asOf: number): number {
    const keyEnd = text.indexOf(' ', at + WORD.length)
    const flagsEnd = text.indexOf(' ', keyEnd + 1)
    const lengthEnd = text.indexOf(' ', flagsEnd + 1)
    const flags = countIn(text, keyEnd + 1, flagsEnd)
    const length = countIn(text, flagsEnd + 1, lengthEnd)
    const isWhole = keyEnd >= 0 && lengthEnd >= 0 && hasDigitsOnly(text, lengthEnd + 1, lineEnd)
    if (!isWhole || flags < 0 || length < 0) throw new ProtocolError('a VALUE line that cannot be read')
    const version = text.slice(lengthEnd + 1, lineEnd)
    const valueAt = lineEnd + 2
    const valueEnd = valueAt + length
    const index = this.#indexOf(text, at + WORD.length, keyEnd)
    if (valueEnd + 2 > bytes.length) return valueEnd + 2
    if (bytes[valueEnd] !== 13 || bytes[valueEnd + 1] !== 10) throw new ProtocolError('a value without its line end')
    if (index === 0 && this.#isOurs(text, bytes, valueAt, valueEnd, flags)) this.#stored = casOf(version, asOf)
    if (index > 0 || this.#readsFirst) {
      // A view of what arrived: whoever keeps a value for long copies it.
      this.#found[index] = replyOf('ok', casOf(version, asOf), bytes.subarray(valueAt, valueEnd), flags)
    }
    this.#next = index + 1
    return valueEnd + 2
  }

  /** Values come in the order of the keys; a key that is passed over was not found. */
  #indexOf(text: string, from: number, to: number): number {
    for (let index = this.#next; index < this.#keyCount; index++) {
      const key = this.#keys[index]
      if (key?.length === to - from && text.startsWith(key, from)) return index
    }
    throw new ProtocolError('a value that was not asked for')
  }

  /** Takes the line that ends the values, and answers the store and the `get`s in their order. */
  finish(line: string, flight: Flight): void {
    const failed = line === 'END' ? undefined : refusal(line)
    if (failed !== undefined && !line.startsWith('SERVER_ERROR ')) {
      throw new ProtocolError(`an answer that ends no values (${line.slice(0, 60)})`)
    }
    if (this.#store !== undefined) flight.answer(this.#answerStore(this.#store))
    for (let at = 0; at < this.#getCount; at++) {
      const found = this.#found[this.#gets[at] ?? 0]
      flight.answer(found ?? failed ?? replyOf('missing', undefined, undefined, 0))
    }
  }

  /** Whether the first key's value is asked for, and not only its CAS. */
  get #readsFirst(): boolean {
    return this.#store === undefined || this.storeReply?.status !== 'ok' || this.#gets.includes(0)
  }

  /** Between a store and its read anybody could have written: the CAS is ours only if all else is. */
  #isOurs(text: string, bytes: Buffer, from: number, to: number, flags: number): boolean {
    const store = this.#store
    if (store === undefined || this.storeReply?.status !== 'ok' || flags !== (store.flags ?? 0)) return false
    const { value } = store
    if (value.length !== to - from) return false
    return typeof value === 'string' ? text.startsWith(value, from) : bytes.compare(value, 0, value.length, from, to) === 0
  }

  #answerStore(store: Command & { readonly op: 'add' | 'cas' }): Reply {
    const reply = this.storeReply
    if (reply === undefined) throw new ProtocolError('values before the answer to a store')
    if (reply.status === 'ok') return this.#stored === undefined ? reply : replyOf('ok', this.#stored, undefined, 0)
    const occupant = this.#found[0]
    if (reply.status !== 'exists' || store.op !== 'add' || occupant === undefined) return reply
    return replyOf('exists', occupant.cas, occupant.value, occupant.flags)
  }
}

function hasDigitsOnly(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (!isDigit(text.charCodeAt(at))) return false
  return to > from
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57

/** The number whose digits are in `text` from `from` to `to`; -1 when they are none, or too many. */
function countIn(text: string, from: number, to: number): number {
  if (to <= from || to - from > MOST_DIGITS) return -1
  let count = 0
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at)
    if (!isDigit(code)) return -1
    count = count * 10 + code - 48
  }
  return count
}
