import { isUtf8 } from 'node:buffer'
import { UndecodableError, UnserializableError } from '../errors.js'
import { hashOf } from '../system/session-hash.js'

/** What the bytes of a record say. */
export interface RecordContent {
  /** The session's data; '' when there is none. */
  readonly text: string
  /** A copy that stays for a while after the session went on under another id. It is never written again. */
  readonly isRetired: boolean
}

const NOTHING: RecordContent = { text: '', isRetired: false }

/** A record begins with it when it is more than its text; a text that begins with it has a head without marks. */
const HEAD = 0
const HEAD_BYTES = 2
const RETIRED = 1

/** How a session's text becomes the bytes of its record, and back. Plain text is its own record, as in PHP. */
export class RecordFormat {
  /** @throws UnserializableError LATCHKEY_UNSERIALIZABLE: half of a surrogate pair. */
  pack(id: string, text: string, { isRetired = false } = {}): Buffer {
    const bytes = bytesOf(id, text)
    if (!isRetired && bytes[0] !== HEAD) return bytes
    return Buffer.concat([Buffer.of(HEAD, isRetired ? RETIRED : 0), bytes])
  }

  /** @throws UndecodableError LATCHKEY_UNDECODABLE: not UTF-8, or marks that this version does not know. */
  unpack(id: string, record: Buffer | undefined): RecordContent {
    if (record === undefined || record.length === 0) return NOTHING
    if (record[0] !== HEAD) return { text: textOf(id, record), isRetired: false }
    const marks = record[1]
    if (marks === undefined || (marks & ~RETIRED) !== 0) throw undecodable(id, 'It was written by a newer version.')
    return { text: textOf(id, record.subarray(HEAD_BYTES)), isRetired: (marks & RETIRED) !== 0 }
  }
}

function textOf(id: string, bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString()
  throw undecodable(id, 'It is not UTF-8 text.')
}

function bytesOf(id: string, text: string): Buffer {
  const bytes = Buffer.from(text)
  // Half of a surrogate pair has no UTF-8 form; writing a substitute would change the data in silence.
  if (bytes.length !== text.length && /\p{Surrogate}/u.test(text)) {
    throw new UnserializableError('The data holds half of a surrogate pair, which UTF-8 cannot express.', {
      session: hashOf(id),
    })
  }
  return bytes
}

const undecodable = (id: string, why: string): UndecodableError =>
  new UndecodableError(`The stored record cannot be read: ${why} It was left as it is.`, { session: hashOf(id) })
