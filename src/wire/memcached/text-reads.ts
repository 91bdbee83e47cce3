/** One `gets` line of the text protocol: the keys, who asked for them, and what was found. */
import type { Cas, Command, Reply } from '../wire.js'
import { casOf, ProtocolError, refusal, replyOf, type Flight } from './codec.js'

// memcached closes a connection whose line is longer than 2048 bytes; seven of the longest keys fit.
const MOST_KEYS = 7

export class Reads {
  /** What the store that these reads follow was answered. */
  storeReply: Reply | undefined
  readonly #store: (Command & { readonly op: 'add' | 'cas' }) | undefined
  readonly #keys: string[]
  readonly #found: (Reply | undefined)[] = []
  /** For each `get` of the flight that is answered here, the index of its key. */
  readonly #gets: number[] = []
  #next = 0
  /** The CAS of what was stored. */
  #stored: Cas | undefined

  /** `store`: the add or cas whose new CAS is looked for; its key is the first. */
  constructor(store: (Command & { readonly op: 'add' | 'cas' }) | undefined) {
    this.#store = store
    this.#keys = store === undefined ? [] : [store.key]
  }

  get isFull(): boolean {
    return this.#keys.length >= MOST_KEYS
  }

  /** A `get` of the flight; a key that is read already is not read twice, and its replies share one value. */
  add(key: string): void {
    const known = this.#keys.indexOf(key)
    this.#gets.push(known >= 0 ? known : this.#keys.push(key) - 1)
  }

  line(): string {
    return this.#keys.length === 1 ? `gets ${this.#keys[0] ?? ''}\r\n` : `gets ${this.#keys.join(' ')}\r\n`
  }

  /**
   * Takes `VALUE <key> <flags> <bytes> <cas>` and the value that starts at `valueAt`.
   *
   * Returns the length of the value; with less than it and its line end in `bytes` nothing is taken.
   */
  takeValue(line: string, bytes: Buffer, valueAt: number, asOf: number): number {
    const keyEnd = line.indexOf(' ', 6)
    const flagsEnd = line.indexOf(' ', keyEnd + 1)
    const lengthEnd = line.indexOf(' ', flagsEnd + 1)
    const key = line.slice(6, keyEnd)
    const flags = Number(line.slice(keyEnd + 1, flagsEnd))
    const length = Number(line.slice(flagsEnd + 1, lengthEnd))
    const version = line.slice(lengthEnd + 1)
    if (keyEnd < 0 || flagsEnd < 0 || lengthEnd < 0 || !isCount(flags) || !isCount(length) || !/^\d+$/.test(version)) {
      throw new ProtocolError('a VALUE line that cannot be read')
    }
    // Values come in the order of the keys; a key that is passed over was not found.
    const index = this.#keys.indexOf(key, this.#next)
    if (index < 0) throw new ProtocolError('a value that was not asked for')
    const end = valueAt + length
    if (end + 2 > bytes.length) return length
    if (bytes[end] !== 13 || bytes[end + 1] !== 10) throw new ProtocolError('a value without its line end')
    if (index === 0 && this.#isOurs(bytes, valueAt, end, flags)) this.#stored = casOf(version, asOf)
    if (index > 0 || this.#readsFirst) {
      // Copied: the chunk holds a whole batch, and would live as long as this one value.
      const value = Buffer.allocUnsafe(length)
      bytes.copy(value, 0, valueAt, end)
      this.#found[index] = replyOf('ok', casOf(version, asOf), value, flags)
    }
    this.#next = index + 1
    return length
  }

  /** Takes the line that ends the values, and answers the store and the `get`s in their order. */
  finish(line: string, flight: Flight): void {
    const failed = line === 'END' ? undefined : refusal(line)
    if (failed !== undefined && !line.startsWith('SERVER_ERROR ')) {
      throw new ProtocolError(`an answer that ends no values (${line.slice(0, 60)})`)
    }
    if (this.#store !== undefined) flight.answer(this.#answerStore(this.#store))
    for (const index of this.#gets) {
      flight.answer(this.#found[index] ?? failed ?? replyOf('missing', undefined, undefined, 0))
    }
  }

  /** Whether the first key's value is asked for, and not only its CAS. */
  get #readsFirst(): boolean {
    return this.#store === undefined || this.storeReply?.status !== 'ok' || this.#gets.includes(0)
  }

  /** Between a store and its read anybody could have written: the CAS is ours only if all else is. */
  #isOurs(bytes: Buffer, from: number, to: number, flags: number): boolean {
    const store = this.#store
    if (store === undefined || this.storeReply?.status !== 'ok' || flags !== (store.flags ?? 0)) return false
    return store.value.length === to - from && bytes.compare(store.value, 0, store.value.length, from, to) === 0
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

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
