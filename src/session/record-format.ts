import { isUtf8 } from 'node:buffer'
import {
  RecordInflatesError,
  RecordNotEncryptedError,
  RecordTooLargeError,
  UndecodableError,
  UnserializableError,
} from '../errors.js'
import { hashOf } from '../system/session-hash.js'
import { type Value, valueBytes } from '../wire/wire.js'
import { Compression } from './records/compression.js'
import type { Keyring } from './records/keyring.js'
import type { RecordContent } from './records/record-content.js'
import { RecentRecords } from './records/recent-records.js'
import { Seal, truncated, unknownKey } from './records/seal.js'

const NOTHING: RecordContent = { text: '', isRetired: false, isOutdated: false }

/** The first byte of a record that has a head. A text that begins with the same byte gets a head without marks, to be told from it. */
const HEAD = 0
const HEAD_BYTES = 2
const RETIRED = 1
const COMPRESSED = 2
const ENCRYPTED = 4
const KNOWN = RETIRED | COMPRESSED | ENCRYPTED

/**
 * How a session's text becomes the bytes of its record, and back. Plain text is its own record, as in PHP.
 * The bytes are described in docs/reference/records.md.
 */
export class RecordFormat {
  private readonly seal: Seal | undefined
  private readonly compression: Compression
  private readonly acceptPlain: boolean
  private readonly recent = new RecentRecords()

  constructor(options: { readonly keys?: Keyring | undefined; readonly compression?: Compression } = {}) {
    const { keys, compression = Compression.of(undefined) } = options
    this.seal = keys === undefined ? undefined : new Seal(keys)
    this.acceptPlain = keys === undefined || keys.acceptPlain
    this.compression = compression
  }

  /**
   * @throws LATCHKEY_UNSERIALIZABLE: half of a surrogate pair. LATCHKEY_RECORD_TOO_LARGE: it is to be compressed, and
   *   could not be read again, being over `compression.maxBytes`.
   */
  pack(id: string, text: string, { isRetired = false } = {}): Value {
    // A record without bytes is no session, whether or not records are encrypted.
    if (text === '' && !isRetired) return ''
    if (!isRetired && this.isItsOwnRecord(text)) return text
    const bytes = bytesOf(id, text)
    const smaller = this.compression.wants(bytes.length) ? this.compressed(id, bytes) : undefined
    const body = smaller ?? bytes
    const marks = (isRetired ? RETIRED : 0) | (smaller === undefined ? 0 : COMPRESSED)
    if (this.seal !== undefined) {
      const record = this.seal.close(id, [HEAD, marks | ENCRYPTED], body)
      this.recent.remember(id, record, { text, isRetired, isOutdated: false })
      return record
    }
    if (marks === 0 && bytes[0] !== HEAD) return bytes
    return Buffer.concat([Buffer.of(HEAD, marks), body])
  }

  /**
   * @throws LATCHKEY_UNDECODABLE: not UTF-8, or marks that this version does not know; LATCHKEY_RECORD_NOT_ENCRYPTED,
   *   LATCHKEY_RECORD_INFLATES; LATCHKEY_UNKNOWN_KEY, LATCHKEY_RECORD_TRUNCATED, LATCHKEY_RECORD_MOVED,
   *   LATCHKEY_RECORD_TAMPERED.
   */
  unpack(id: string, stored: Value | undefined): RecordContent {
    if (stored === undefined || stored.length === 0) return NOTHING
    // A wire hands over a string only where every byte is ASCII.
    if (typeof stored === 'string' && this.seal === undefined && stored.charCodeAt(0) !== HEAD) {
      return { text: stored, isRetired: false, isOutdated: false }
    }
    const record = valueBytes(stored)
    if (record[0] !== HEAD) {
      return { text: textOf(id, this.plain(id, record)), isRetired: false, isOutdated: this.seal !== undefined }
    }
    const known = this.recent.recall(id, record)
    if (known !== undefined) return known
    const marks = record[1]
    if (marks === undefined) throw truncated(id)
    if ((marks & ~KNOWN) !== 0) throw undecodable(id, 'It was written by a newer version.')
    const body = (marks & ENCRYPTED) === 0 ? this.plain(id, record).subarray(HEAD_BYTES) : this.opened(id, record)
    const bytes = (marks & COMPRESSED) === 0 ? body : this.inflated(id, body)
    const content = {
      text: textOf(id, bytes),
      isRetired: (marks & RETIRED) !== 0,
      isOutdated: this.seal !== undefined && ((marks & ENCRYPTED) === 0 || !this.seal.isByFirstKey(record)),
    }
    if ((marks & ENCRYPTED) !== 0) this.recent.remember(id, record, content)
    return content
  }

  /** Whether the text is ASCII without a head, which is stored as it is. */
  private isItsOwnRecord(text: string): boolean {
    const isPlain = this.seal === undefined && text.charCodeAt(0) !== HEAD && !this.compression.wants(text.length)
    return isPlain && Buffer.byteLength(text) === text.length
  }

  private plain(id: string, record: Buffer): Buffer {
    if (this.acceptPlain) return record
    throw new RecordNotEncryptedError(
      'The stored record is not encrypted, and this manager reads none that is not. It was left as it is: give ' +
        'encryption.acceptPlain: true until the records from before encryption have expired.',
      { session: hashOf(id) },
    )
  }

  private opened(id: string, record: Buffer): Buffer {
    if (this.seal === undefined) throw unknownKey(id, record)
    return this.seal.open(id, record)
  }

  private compressed(id: string, bytes: Buffer): Buffer | undefined {
    const sizeBytes = bytes.length
    const { maxBytes } = this.compression
    if (sizeBytes > maxBytes) {
      throw new RecordTooLargeError(
        `The session has ${String(sizeBytes)} bytes, more than a compressed record may expand to ` +
          `(${String(maxBytes)}). Nothing was stored: keep less in it, or raise compression.maxBytes.`,
        { session: hashOf(id), sizeBytes, limitBytes: maxBytes },
      )
    }
    const smaller = this.compression.deflate(bytes)
    return smaller.length + HEAD_BYTES < sizeBytes ? smaller : undefined
  }

  private inflated(id: string, body: Buffer): Buffer {
    const bytes = this.compression.inflate(body)
    if (typeof bytes !== 'string') return bytes
    if (bytes === 'cut') throw truncated(id)
    if (bytes === 'garbage') throw undecodable(id, 'It does not decompress.')
    const limitBytes = this.compression.maxBytes
    throw new RecordInflatesError(
      `The stored record has ${String(body.length)} bytes and expands to more than ${String(limitBytes)}. It was left ` +
        'as it is: destroy the session, or raise compression.maxBytes if you know who wrote it.',
      { session: hashOf(id), limitBytes },
    )
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
