/** Reads RESP2, in which Redis answers: https://redis.io/docs/latest/develop/reference/protocol-spec/ */
import { type Arrived, CR, LF } from '../socket/arrived.js'
import { ProtocolError, wordOf } from '../socket/codec.js'

/** An error that Redis answered: `READONLY You can't write against a read only replica.` */
export interface ErrorReply {
  readonly error: string
}

/** Whether it is an error. */
export const isError = (reply: object | string | number | null): reply is ErrorReply =>
  typeof reply === 'object' && reply !== null && 'error' in reply

/** A bulk string is left where it arrived. */
export class Bulk {
  constructor(
    readonly arrived: Arrived,
    readonly from: number,
    readonly to: number,
  ) {}

  toString(): string {
    return this.arrived.bytes.toString('utf8', this.from, this.to)
  }
}

/** A reply that does not lean on what arrived. */
export type PlainReply = string | number | null | ErrorReply | readonly PlainReply[]

export type RespReply = string | number | null | Bulk | ErrorReply | readonly RespReply[]

const PLUS = 43
const MINUS = 45
const COLON = 58
const DOLLAR = 36
const STAR = 42
const LONGEST_LINE_BYTES = 64 * 1024
const MOST_ELEMENTS = 1_000_000
const DEEPEST = 8

/** Reads one reply after the other. What is not all there is left alone. */
export class RespReader {
  readonly #arrived: Arrived
  /** Where the next reply begins. */
  at = 0
  /** Where the reply that was not all there ends at the earliest. */
  wantedEnd = 0

  constructor(arrived: Arrived) {
    this.#arrived = arrived
  }

  /** The next reply; undefined where it is not all there. @throws ProtocolError: it is none. */
  next(): RespReply | undefined {
    const start = this.at
    const reply = this.#read(0)
    if (reply === undefined) this.at = start
    return reply
  }

  #read(depth: number): RespReply | undefined {
    const { bytes, text } = this.#arrived
    const from = this.at
    const lineFeed = text.indexOf('\n', from)
    if (lineFeed < 0) {
      if (bytes.length - from > LONGEST_LINE_BYTES) throw new ProtocolError('a line without an end')
      return this.#want(bytes.length + 1)
    }
    if (bytes[lineFeed - 1] !== CR || lineFeed - from < 2) throw noReply(text, from)
    const line = text.slice(from + 1, lineFeed - 1)
    this.at = lineFeed + 1
    switch (bytes[from]) {
      case PLUS:
        return line
      case MINUS:
        return { error: line }
      case COLON:
        return numberOf(line)
      case DOLLAR: {
        const length = numberOf(line)
        if (length === -1) return null
        const end = this.at + length
        if (length < 0 || length > 1e9) throw new ProtocolError('a length that is none')
        if (end + 2 > bytes.length) return this.#want(end + 2)
        if (bytes[end] !== CR || bytes[end + 1] !== LF) throw new ProtocolError('a string without its end')
        const bulk = new Bulk(this.#arrived, this.at, end)
        this.at = end + 2
        return bulk
      }
      case STAR:
        return this.#list(numberOf(line), depth)
      default:
        throw noReply(text, from)
    }
  }

  #list(count: number, depth: number): RespReply | undefined {
    if (count === -1) return null
    if (count < 0 || count > MOST_ELEMENTS || depth === DEEPEST) throw new ProtocolError('a list that is none')
    const list: RespReply[] = []
    while (list.length < count) {
      const element = this.#read(depth + 1)
      if (element === undefined) return undefined
      list.push(element)
    }
    return list
  }

  #want(end: number): undefined {
    this.wantedEnd = end
  }
}

/** A copy: the bytes are overwritten by what arrives next. */
export function plain(reply: RespReply): PlainReply {
  if (isList(reply)) return reply.map(plain)
  return reply instanceof Bulk ? String(reply) : reply
}

/** Array.isArray does not know read-only arrays. */
export const isList = <T>(reply: T | readonly T[]): reply is readonly T[] => Array.isArray(reply)

const noReply = (text: string, from: number): ProtocolError =>
  new ProtocolError(`this is no reply of Redis (${wordOf(text.slice(from, from + 60))})`)

function numberOf(line: string): number {
  if (!/^-?\d{1,15}$/.test(line)) throw new ProtocolError('a number that is none')
  return Number(line)
}

/** A command as Redis reads it: a list of strings of Latin-1 characters. */
export function commandOf(...words: readonly (string | number)[]): string {
  let text = `*${words.length}\r\n`
  for (const word of words) {
    const said = String(word)
    text += `$${said.length}\r\n${said}\r\n`
  }
  return text
}
