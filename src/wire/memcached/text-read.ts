/** One item that is read by the text protocol: who asked for it, and what was found. */
import type { Cas, Command, Reply } from '../wire.js'
import { ProtocolError, wordOf } from '../socket/codec.js'
import { MISSING, replyOf } from '../reply.js'
import type { Flight } from '../socket/flight.js'
import { type Arrived, CR, LF, standsAt, valueIn } from '../socket/arrived.js'
import type { ItemForm } from './text-items.js'
import { isError } from './text-answers.js'
import { casOf } from './version.js'

/** A command whose answer does not say the CAS, so that the item is read behind it. */
export type Followed = Command & { readonly op: 'add' | 'cas' | 'touch' }

export class Read {
  /** What the store that this read follows was answered: a reply, or the text of an error. */
  storeReply: Reply | string | undefined
  /** How many commands of the flight ask for the item itself. */
  gets = 0
  readonly #form: ItemForm
  readonly #store: Followed | undefined
  #found: Reply | undefined
  /** The CAS of what was stored. */
  #stored: Cas | undefined
  #isFound = false

  /** @param store the command whose CAS is looked for. */
  constructor(
    readonly key: string,
    form: ItemForm,
    store?: Followed,
  ) {
    this.#form = form
    this.#store = store
  }

  get command(): string {
    return this.#form.ask(this.key)
  }

  /**
   * Takes the item whose line stands from `at` to `lineEnd`.
   *
   * Returns where the value's line end ends; when that is beyond what has arrived nothing is taken.
   */
  takeItem(arrived: Arrived, at: number, lineEnd: number, asOf: number): number {
    const { bytes } = arrived
    const place = this.#form.placeOf(this.key, arrived, at, lineEnd)
    if (place === undefined || this.#isFound) throw new ProtocolError('a line that is no item that was asked for')
    const { valueAt, valueEnd, version, flags } = place
    if (valueEnd + 2 > bytes.length) return valueEnd + 2
    if (bytes[valueEnd] !== CR || bytes[valueEnd + 1] !== LF) throw new ProtocolError('a value without its line end')
    this.#isFound = true
    if (this.#isOurs(arrived, valueAt, valueEnd, flags) && !this.#isReplaced(version)) this.#stored = casOf(version, asOf)
    if (!this.#isStored || this.gets > 0) this.#found = replyOf('ok', casOf(version, asOf), valueIn(arrived, valueAt, valueEnd), flags)
    return valueEnd + 2
  }

  /** Takes the line that comes in place of an item, or ends it, and answers. */
  takeLine(line: string, flight: Flight): void {
    if (this.#form.isNone(this.key, line)) this.finish(flight)
    else if (isError(line)) this.#fail(line, flight)
    else throw new ProtocolError(`an answer that ends no item (${wordOf(line)})`)
  }

  /** Answers the store and the `get`s in their order. */
  finish(flight: Flight): void {
    if (this.#store !== undefined) this.#answerStore(this.#store, flight)
    for (let count = 0; count < this.gets; count++) flight.answer(this.#found ?? MISSING)
  }

  /** The store has its own answer: without the read only its CAS is not learned. */
  #fail(error: string, flight: Flight): void {
    if (this.#store !== undefined) this.#answerStore(this.#store, flight)
    for (let count = 0; count < this.gets; count++) flight.answerUnclear(error)
  }

  get #isStored(): boolean {
    const reply = this.storeReply
    return typeof reply === 'object' && reply.status === 'ok'
  }

  /** Between a store and its read anybody could have written: the CAS is ours only if all else is. */
  #isOurs({ text, bytes }: Arrived, from: number, to: number, flags: number): boolean {
    const store = this.#store
    if (store === undefined || !this.#isStored) return false
    // A touch leaves what is there; whoever sent it knows the version that it must be.
    if (store.op === 'touch') return true
    if (flags !== (store.flags ?? 0)) return false
    const { value } = store
    if (value.length !== to - from) return false
    return typeof value === 'string' ? standsAt(text, from, value) : bytes.compare(value, 0, value.length, from, to) === 0
  }

  /** A proxy that does not keep the order may have read what was replaced; a lock that is kept has the same bytes again. */
  #isReplaced(version: string): boolean {
    return this.#store?.op === 'cas' && this.#store.cas.version === version
  }

  #answerStore(store: Followed, flight: Flight): void {
    const reply = this.storeReply
    if (reply === undefined) throw new ProtocolError('an item before the answer to a store')
    if (typeof reply === 'string') flight.answerUnclear(reply)
    else flight.answer(this.#storeReplyWithCas(store, reply))
  }

  #storeReplyWithCas(store: Followed, reply: Reply): Reply {
    if (reply.status === 'ok' && this.#stored !== undefined) return replyOf('ok', this.#stored, undefined, 0)
    // It was gone before it could be read.
    if (reply.status === 'ok' && store.op === 'touch') return MISSING
    const occupant = this.#found
    if (reply.status !== 'exists' || store.op !== 'add' || occupant === undefined) return reply
    return replyOf('exists', occupant.cas, occupant.value, occupant.flags)
  }
}
