import { parse } from 'secure-json-parse'
import { UndecodableError, UnserializableError } from '../errors.js'
import { hashOf } from '../system/session-hash.js'
import { TOO_DEEP } from '../system/nesting-limit.js'
import { isTextTooDeep, isTooDeep, isTreeTooDeep } from './depth.js'
import { type Loss, lossOf } from './json-loss.js'

/** Turns a session's data into text and back. Both may throw; the manager wraps what they throw. */
export interface Serializer {
  /** Session data as text. What it throws becomes the cause of LATCHKEY_UNSERIALIZABLE. */
  stringify(data: unknown): string
  /** The other way round. What it throws becomes the cause of LATCHKEY_UNDECODABLE. */
  parse(text: string): unknown
}

/** Keys that could reach a prototype: refused in both directions, never dropped in silence. */
const SUSPICIOUS = /"(?:__proto__|constructor)"\s*:/

/**
 * JSON, parsed prototype-safely (secure-json-parse). What JSON cannot keep is an error: cycles, BigInt, functions,
 * symbols, NaN and infinities, Maps and Sets and other objects of which it would keep nothing. Dates become strings,
 * objects of a class plain ones, `undefined` is left out (null in lists). docs/reference/records.md has the whole table.
 */
export const jsonSerializer: Serializer = {
  stringify(data) {
    let text: unknown
    try {
      text = JSON.stringify(data)
    } catch (cause) {
      throw lossError(lossOf(data, { ancestors: new Set(), hasOwnForm: false })) ?? cause
    }
    const look = { hasOwnForm: typeof data === 'object' && data !== null && 'toJSON' in data }
    const loss = lossError(lossOf(data, look))
    if (loss !== undefined) throw loss
    if (typeof text !== 'string') throw new TypeError('JSON has no form for it')
    if (look.hasOwnForm) {
      if (isTextTooDeep(text)) throw new UnwritableValueError(TOO_DEEP)
      if (!/^[[{]/.test(text)) throw new UnwritableValueError('its toJSON() returns no object', '')
    }
    if (SUSPICIOUS.test(text)) parse(text)
    return text
  },
  parse(text) {
    const data: unknown = parse(text)
    if (isTreeTooDeep(data)) throw new TypeError(TOO_DEEP)
    return data
  },
}

/** A serializer of the application's, with the same limits. */
export const limited = (serializer: Serializer): Serializer => ({
  stringify(data) {
    if (isTooDeep(data)) throw new UnwritableValueError(TOO_DEEP)
    const text: unknown = serializer.stringify(data)
    if (typeof text !== 'string') throw new TypeError(`the serializer returned ${typeof text}, not a string`)
    // No bytes are no session.
    if (text === '') throw new TypeError('the serializer returned an empty text')
    const hasOwnForm = typeof data === 'object' && data !== null && 'toJSON' in data
    if (hasOwnForm && !isObject(serializer.parse(text))) throw new UnwritableValueError('its toJSON() returns no object', '')
    return text
  },
  parse(text) {
    const data = serializer.parse(text)
    if (isTooDeep(data)) throw new TypeError(TOO_DEEP)
    return data
  },
})

const isObject = (data: unknown): data is object => typeof data === 'object' && data !== null

/** Where in the data the value is that could not be written down. devalue's errors say it too. */
class UnwritableValueError extends TypeError {
  constructor(
    what: string,
    readonly path?: string,
  ) {
    super(what)
  }
}

const lossError = (loss: Loss | undefined): UnwritableValueError | undefined =>
  loss === undefined ? undefined : new UnwritableValueError(loss.what, loss.path)

/** Before it is anybody's data: what is no object could be stored, and not be read. @throws LATCHKEY_UNSERIALIZABLE */
export function assertObject(id: string, data: unknown): asserts data is object {
  if (isObject(data)) return
  const what = data === null ? 'null' : `a ${typeof data}`
  throw new UnserializableError(`The session's data must be an object, and is ${what}; nothing was stored.`, {
    session: hashOf(id),
    path: '',
  })
}

/** @throws UnserializableError LATCHKEY_UNSERIALIZABLE with the `path` of the value; nothing was sent. */
export function encode(serializer: Serializer, id: string, data: unknown): string {
  assertObject(id, data)
  try {
    return serializer.stringify(data)
  } catch (cause) {
    const path = pathOf(cause)
    const where = path === undefined || path === '' ? '' : ` at ${path.slice(0, 200)}`
    throw new UnserializableError(
      `The session's data cannot be written down${where} (${messageOf(cause)}); nothing was stored. ` +
        'Keep plain data in it, or set a serializer that knows these values.',
      { cause, session: hashOf(id), path },
    )
  }
}

/** @throws UndecodableError LATCHKEY_UNDECODABLE; the record is left as it is. */
export function decode(serializer: Serializer, id: string, text: string): object {
  try {
    const data: unknown = serializer.parse(text)
    if (isObject(data)) return data
    throw new TypeError(`it holds ${data === null ? 'null' : `a ${typeof data}`}, not an object`)
  } catch (error) {
    const cause = unquoted(error)
    throw new UndecodableError(
      `The stored record cannot be read (${messageOf(cause)}). It was left as it is: destroy the session, ` +
        'or look for another application that writes under the same prefix.',
      { cause, session: hashOf(id) },
    )
  }
}

/** `cart.items[3].price`; devalue's paths begin with a point. */
function pathOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('path' in error) || typeof error.path !== 'string') return undefined
  return error.path.replace(/^\./, '')
}

/** JSON.parse's own message quotes the record, which may hold anything, also where it was encrypted. */
function unquoted(error: unknown): unknown {
  if (!(error instanceof SyntaxError) || !/JSON/.test(error.message)) return error
  const [at = ''] = / at position \d+/.exec(error.message) ?? []
  return new SyntaxError(`it is not valid JSON${at}`)
}

function messageOf(error: unknown): string {
  // A serializer's message may quote the data; its first words say enough.
  return error instanceof Error ? error.message.slice(0, 60) : 'unknown reason'
}
