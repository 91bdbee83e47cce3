import { parse } from 'secure-json-parse'
import { UndecodableError, UnserializableError } from '../errors.js'
import { hashOf } from '../system/session-hash.js'

/** Turns a session's data into text and back. Both may throw; the manager wraps what they throw. */
export interface Serializer {
  stringify(data: unknown): string
  parse(text: string): unknown
}

/** Keys that could reach a prototype: refused in both directions, never dropped in silence. */
const SUSPICIOUS = /"(?:__proto__|constructor)"\s*:/

/** JSON, parsed prototype-safely (secure-json-parse). Dates become strings; Maps and functions are not kept. */
export const jsonSerializer: Serializer = {
  stringify(data) {
    const text: unknown = JSON.stringify(data)
    if (typeof text !== 'string') throw new TypeError('JSON has no form for it')
    if (SUSPICIOUS.test(text)) parse(text)
    return text
  },
  parse(text) {
    const data: unknown = parse(text)
    return data
  },
}

/** @throws UnserializableError LATCHKEY_UNSERIALIZABLE; nothing was sent. */
export function encode(serializer: Serializer, id: string, data: unknown): string {
  try {
    const text: unknown = serializer.stringify(data)
    if (typeof text === 'string') return text
    throw new TypeError(`the serializer returned ${typeof text}, not a string`)
  } catch (cause) {
    throw new UnserializableError(
      `The session's data cannot be written down (${messageOf(cause)}); nothing was stored. ` +
        'Keep plain data in it, or set a serializer that knows these values.',
      { cause, session: hashOf(id) },
    )
  }
}

/** @throws UndecodableError LATCHKEY_UNDECODABLE; the record is left as it is. */
export function decode(serializer: Serializer, id: string, text: string): object {
  try {
    const data: unknown = serializer.parse(text)
    if (typeof data === 'object' && data !== null) return data
    throw new TypeError(`it holds ${data === null ? 'null' : `a ${typeof data}`}, not an object`)
  } catch (cause) {
    throw new UndecodableError(
      `The stored record cannot be read (${messageOf(cause)}). It was left as it is: destroy the session, ` +
        'or look for another application that writes under the same prefix.',
      { cause, session: hashOf(id) },
    )
  }
}

function messageOf(error: unknown): string {
  // A parser's message may quote the record; its first words say enough.
  return error instanceof Error ? error.message.slice(0, 60) : 'unknown reason'
}
