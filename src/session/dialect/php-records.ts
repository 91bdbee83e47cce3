import { UndecodableError, UnserializableError } from '../../errors.js'
import { decodePhpSession, encodePhpSession, type PhpHandler } from '../../php/session-handlers.js'
import { type Value, valueBytes } from '../../wire/wire.js'
import type { RecordContent } from '../records/record-content.js'
import type { Serializer } from '../serializer.js'
import type { RecordForm } from './dialect.js'

/**
 * The text of a session in which nothing is stored yet. PHP makes such a session by writing a record of no bytes, and
 * everything above takes a text of no characters for no session. None of PHP's handlers writes this for anything else.
 */
const NO_VARIABLES = 'a:0:{}'

/** PHP's record is bytes: a text has one character for each of them. Nothing is added, marked or left out. */
export const phpRecords: RecordForm = {
  pack(_id, text): Value {
    return text === NO_VARIABLES ? '' : text
  },
  unpack(_id, stored): RecordContent {
    const text = stored === undefined ? '' : stored.length === 0 ? NO_VARIABLES : valueBytes(stored).toString('latin1')
    return { text, isRetired: false, isOutdated: false }
  },
}

/** PHP's own format, byte for byte: `latchkey/php`. */
export const phpSerializer = (handler: PhpHandler): Serializer => ({
  stringify(data) {
    if (typeof data !== 'object' || data === null) throw new UnserializableError('A session is an object.', { path: '' })
    const text = encodePhpSession(data, handler).toString('latin1')
    return text === '' ? NO_VARIABLES : text
  },
  parse(text) {
    if (text === '') throw new UndecodableError('There is no session.')
    return decodePhpSession(Buffer.from(text === NO_VARIABLES ? '' : text, 'latin1'), handler)
  },
})
