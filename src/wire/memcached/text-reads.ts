/** One `gets` line of the text protocol: the keys, who asked for them, and what was found. */
import type { Cas, Command, Reply } from '../wire.js'
import { ProtocolError, replyOf } from '../socket/codec.js'
import type { Flight } from '../socket/flight.js'
import { areDigits, type Arrived, CR, LF, numberIn, SPACE, valueIn } from '../socket/arrived.js'
import { casOf } from './version.js'

// memcached closes a connection whose line is longer than 2048 bytes; seven of the longest keys fit.
const MOST_KEYS = 7
const WORD = 'VALUE '

/** A command whose answer does not say the CAS, so that the item is read behind it. */
export type Followed = Command & { readonly op: 'add' | 'cas' | 'touch' }

export class Reads {
  /** What the store that these reads follow was answered: a reply, or the text of an error. */
  storeReply: Reply | string | undefined
  readonly #store: Followed | undefined
  readonly #keys: string[]
  #keyCount = 0
  /** What was found, by the index of its key. */
  readonly #found: (Reply | undefined)[]
  /** For each `get` of the flight that is answered here, the index of its key. */
  readonly #gets: number[]
  #getCount = 0
  /** Whether a `get` asks for the first key's value. */
  #getsFirst = false
  #next = 0
  /** The CAS of what was stored. */
  #stored: Cas | undefined

  /**
   * @param store the command whose CAS is looked for; its key is the first.
   * @param most how many keys and `get`s there will be at the most: arrays that grow cost more than all else here.
   */
  constructor(store: Followed | undefined, most: number) {
    this.#store = store
    this.#keys = new Array<string>(most)
    this.#found = new Array<Reply | undefined>(most)
    this.#gets = new Array<number>(most)
    if (store !== undefined) this.#keys[this.#keyCount++] = store.key
  }

  /** Whether its first key is this one. */
  reads(key: string): boolean {
    return this.#keys[0] === key
  }

  get isFull(): boolean {
    return this.#keyCount >= MOST_KEYS
  }

  /** A `get` of the flight; a key that is read already is not read twice, and its replies share one value. */
  add(key: string): void {
    let index = 0
    while (index < this.#keyCount && this.#keys[index] !== key) index++
    if (index === this.#keyCount) this.#keys[this.#keyCount++] = key
    if (index === 0) this.#getsFirst = true
    this.#gets[this.#getCount++] = index
  }

  line(): string {
    let line = 'gets'
    for (let index = 0; index < this.#keyCount; index++) line += ` ${this.#keys[index] ?? ''}`
    return `${line}\r\n`
  }

  /**
   * Takes `VALUE <key> <flags> <bytes> <cas>`, which stands from `at` to `lineEnd`, and the value behind it.
   *
   * Returns where the value's line end ends; when that is beyond what has arrived nothing is taken.
   */
  takeValue(arrived: Arrived, at: number, lineEnd: number, asOf: number): number {
    const { text, bytes } = arrived
    if (text.slice(at, at + WORD.length) !== WORD) throw new ProtocolError('a line that is no value')
    const index = this.#indexOf(text, at + WORD.length)
    const flagsAt = at + WORD.length + (this.#keys[index]?.length ?? 0) + 1
    const flagsEnd = text.indexOf(' ', flagsAt)
    const lengthEnd = text.indexOf(' ', flagsEnd + 1)
    const flags = numberIn(bytes, flagsAt, flagsEnd)
    const valueAt = lineEnd + 2
    const valueEnd = valueAt + numberIn(bytes, flagsEnd + 1, lengthEnd)
    if (!(flags >= 0 && valueEnd >= valueAt) || !areDigits(bytes, lengthEnd + 1, lineEnd)) {
      throw new ProtocolError('a VALUE line that cannot be read')
    }
    if (valueEnd + 2 > bytes.length) return valueEnd + 2
    if (bytes[valueEnd] !== CR || bytes[valueEnd + 1] !== LF) throw new ProtocolError('a value without its line end')
    const version = text.slice(lengthEnd + 1, lineEnd)
    if (index === 0 && this.#isOurs(text, bytes, valueAt, valueEnd, flags) && !this.#isReplaced(version)) this.#stored = casOf(version, asOf)
    if (index > 0 || this.#readsFirst) {
      this.#found[index] = replyOf('ok', casOf(version, asOf), valueIn(arrived, valueAt, valueEnd), flags)
    }
    this.#next = index + 1
    return valueEnd + 2
  }

  /** Values come in the order of the keys; a key that is passed over was not found. */
  #indexOf(text: string, from: number): number {
    for (let index = this.#next; index < this.#keyCount; index++) {
      const key = this.#keys[index] ?? ''
      const end = from + key.length
      // Compared as a slice: startsWith() takes twice as long.
      if (text.charCodeAt(end) === SPACE && text.slice(from, end) === key) return index
    }
    throw new ProtocolError('a value that was not asked for')
  }

  /** Takes the line that ends the values, and answers the store and the `get`s in their order. */
  finish(line: string, flight: Flight): void {
    const isRead = line === 'END'
    if (!isRead && !isError(line)) throw new ProtocolError(`an answer that ends no values (${line.slice(0, 60)})`)
    // The store has its own answer: without the read only its CAS is not learned.
    if (this.#store !== undefined) this.#answerStore(this.#store, flight)
    for (let at = 0; at < this.#getCount; at++) {
      if (!isRead) {
        flight.answerUnclear(line)
        continue
      }
      const found = this.#found[this.#gets[at] ?? 0]
      flight.answer(found ?? replyOf('missing', undefined, undefined, 0))
    }
  }

  /** Whether the first key's value is asked for, and not only its CAS. */
  get #readsFirst(): boolean {
    return this.#store === undefined || !this.#isStored || this.#getsFirst
  }

  get #isStored(): boolean {
    const reply = this.storeReply
    return typeof reply === 'object' && reply.status === 'ok'
  }

  /** Between a store and its read anybody could have written: the CAS is ours only if all else is. */
  #isOurs(text: string, bytes: Buffer, from: number, to: number, flags: number): boolean {
    const store = this.#store
    if (store === undefined || !this.#isStored) return false
    // A touch leaves what is there; whoever sent it knows the version that it must be.
    if (store.op === 'touch') return true
    if (flags !== (store.flags ?? 0)) return false
    const { value } = store
    if (value.length !== to - from) return false
    return typeof value === 'string' ? text.slice(from, to) === value : bytes.compare(value, 0, value.length, from, to) === 0
  }

  /** A proxy that does not keep the order may have read what was replaced; a lock that is kept has the same bytes again. */
  #isReplaced(version: string): boolean {
    const store = this.#store
    return store?.op === 'cas' && store.cas.version === version
  }

  #answerStore(store: Followed, flight: Flight): void {
    const reply = this.storeReply
    if (reply === undefined) throw new ProtocolError('values before the answer to a store')
    if (typeof reply === 'string') flight.answerUnclear(reply)
    else flight.answer(this.#storeReplyWithCas(store, reply))
  }

  #storeReplyWithCas(store: Followed, reply: Reply): Reply {
    if (reply.status === 'ok' && this.#stored !== undefined) return replyOf('ok', this.#stored, undefined, 0)
    // It was gone before it could be read.
    if (reply.status === 'ok' && store.op === 'touch') return replyOf('missing', undefined, undefined, 0)
    const occupant = this.#found[0]
    if (reply.status !== 'exists' || store.op !== 'add' || occupant === undefined) return reply
    return replyOf('exists', occupant.cas, occupant.value, occupant.flags)
  }
}

/** Whether a line is one of the errors that may answer any command (protocol.txt, "Error strings"). */
export const isError = (line: string): boolean => /^(?:ERROR$|CLIENT_ERROR |SERVER_ERROR )/.test(line)
