import { createCipheriv, createDecipheriv, type DecipherGCM } from 'node:crypto'
import { RecordMovedError, RecordTamperedError, RecordTruncatedError, UnknownKeyError } from '../../errors.js'
import { type Random, systemRandom } from '../../system/random.js'
import { hashOf } from '../../system/session-hash.js'
import { isKeyId, type Keyring, type MasterKey } from './keyring.js'

/**
 * A sealed record:
 *
 *     0  1  2  3      3+K    19+K  31+K    35+K         35+K+L      51+K+L
 *     00 mm KK key id salt   IV    L       ciphertext   tag
 *
 * mm marks, KK the length of the key's id, L that of the ciphertext (32 bits, big-endian). Encrypted are the length of
 * the session id (one byte), the session id, and the body. Associated data: all before the ciphertext, and the id.
 */
const KEY_ID_AT = 3
const SALT_BYTES = 16
const IV_BYTES = 12
const LENGTH_BYTES = 4
const TAG_BYTES = 16
const AFTER_KEY_ID = SALT_BYTES + IV_BYTES + LENGTH_BYTES
const CIPHER = 'aes-256-gcm'

/**
 * Random IVs of 96 bits may repeat once about 2^48 of them were drawn, and NIST allows 2^32 under one key. So the AES
 * key is not the secret's but one for a random salt, and each process takes a new salt long before that.
 */
const MOST_RECORDS_PER_SALT = 2 ** 28

/** Encrypts and authenticates the body of a record, bound to its head and to the session's id. */
export class Seal {
  readonly #keys: Keyring
  /** Not the manager's: an IV that comes twice gives the key away. */
  readonly #random: Random
  readonly #mostPerSalt: number
  #salt: Buffer
  #used = 0

  constructor(keys: Keyring, random: Random = systemRandom, mostPerSalt = MOST_RECORDS_PER_SALT) {
    this.#keys = keys
    this.#random = random
    this.#mostPerSalt = mostPerSalt
    this.#salt = this.#freshSalt()
  }

  close(id: string, start: readonly [head: number, marks: number], body: Buffer): Buffer {
    if (++this.#used > this.#mostPerSalt) {
      this.#salt = this.#freshSalt()
      this.#used = 1
    }
    const salt = this.#salt
    // Now, and not ahead of time: what is kept ready comes twice when the process is resumed twice from one snapshot.
    const iv = this.#random.bytes(IV_BYTES)
    const cipher = createCipheriv(CIPHER, this.#keys.first.derived(salt), iv)
    const keyId = this.#keys.first.id
    const length = 1 + id.length + body.length
    const headBytes = KEY_ID_AT + keyId.length + AFTER_KEY_ID
    const record = Buffer.allocUnsafe(headBytes + length + TAG_BYTES)
    record[0] = start[0]
    record[1] = start[1]
    record[2] = keyId.length
    let at = KEY_ID_AT + record.write(keyId, KEY_ID_AT, 'latin1')
    record.set(salt, at)
    record.set(iv, (at += SALT_BYTES))
    record.writeUInt32BE(length, (at += IV_BYTES))

    cipher.setAAD(associated(record, headBytes, id))
    record.set(cipher.update(contentOf(id, body)), headBytes)
    cipher.final()
    record.set(cipher.getAuthTag(), headBytes + length)
    return record
  }

  /**
   * @throws LATCHKEY_RECORD_TRUNCATED, LATCHKEY_UNKNOWN_KEY, LATCHKEY_RECORD_MOVED (sealed for another session id),
   *   LATCHKEY_RECORD_TAMPERED (anything else that was not sealed so with this key).
   */
  open(id: string, record: Buffer): Buffer {
    const { key, headBytes } = this.#headOf(id, record)
    const parts = { key, record, headBytes }
    const decipher = decipherOf(parts, id)
    const content = decipher.update(record.subarray(headBytes, -TAG_BYTES))
    if (isAuthentic(decipher)) return content.subarray(1 + (content[0] ?? 0))
    // The content is not to be believed, but the id in it can be tried: it fits or it does not.
    const owner = content.subarray(1, 1 + (content[0] ?? 0)).toString('latin1')
    if (owner !== id) {
      const other = decipherOf(parts, owner)
      other.update(record.subarray(headBytes, -TAG_BYTES))
      if (isAuthentic(other)) throw moved(id)
    }
    throw tampered(id)
  }

  isByFirstKey(record: Buffer): boolean {
    return keyIdOf(record) === this.#keys.first.id
  }

  #headOf(id: string, record: Buffer): { key: MasterKey; headBytes: number } {
    const keyIdBytes = record[2]
    const headBytes = KEY_ID_AT + (keyIdBytes ?? 0) + AFTER_KEY_ID
    if (keyIdBytes === undefined || record.length < headBytes) throw truncated(id)
    const keyId = keyIdOf(record)
    if (keyId === undefined) throw tampered(id)
    const missing = headBytes + record.readUInt32BE(headBytes - LENGTH_BYTES) + TAG_BYTES - record.length
    if (missing > 0) throw truncated(id)
    if (missing < 0) throw tampered(id)
    const key = this.#keys.get(keyId)
    if (key === undefined) throw unknownKey(id, record)
    return { key, headBytes }
  }

  #freshSalt(): Buffer {
    return Buffer.from(this.#random.bytes(SALT_BYTES))
  }
}

/** Of a sealed record whose key this manager does not have. */
export function unknownKey(id: string, record: Buffer): UnknownKeyError {
  const keyId = keyIdOf(record)
  const which = keyId === undefined ? 'a key whose id cannot be read' : `the key "${keyId}"`
  return new UnknownKeyError(
    `The stored record is encrypted with ${which}, ` +
      'which this manager does not have. It was left as it is: add the key to encryption.keys, behind the first one.',
    { session: hashOf(id), keyId },
  )
}

function keyIdOf(record: Buffer): string | undefined {
  const keyId = record.subarray(KEY_ID_AT, KEY_ID_AT + (record[2] ?? 0)).toString('latin1')
  return isKeyId(keyId) ? keyId : undefined
}

interface Parts {
  readonly key: MasterKey
  readonly record: Buffer
  readonly headBytes: number
}

function decipherOf({ key, record, headBytes }: Parts, id: string): DecipherGCM {
  const ivAt = headBytes - LENGTH_BYTES - IV_BYTES
  const salt = record.subarray(ivAt - SALT_BYTES, ivAt)
  const decipher = createDecipheriv(CIPHER, key.derived(salt), record.subarray(ivAt, ivAt + IV_BYTES))
  decipher.setAAD(associated(record, headBytes, id))
  decipher.setAuthTag(record.subarray(-TAG_BYTES))
  return decipher
}

function isAuthentic(decipher: DecipherGCM): boolean {
  try {
    decipher.final()
    return true
  } catch {
    return false
  }
}

/** Used within one call only, so that a small record makes no buffers that are thrown away at once. */
const scratch = Buffer.allocUnsafeSlow(4096)

/** Ids are visible ASCII: their length is that of their bytes. */
function associated(record: Buffer, headBytes: number, id: string): Buffer {
  record.copy(scratch, 0, 0, headBytes)
  return scratch.subarray(0, headBytes + scratch.write(id, headBytes, 'latin1'))
}

function contentOf(id: string, body: Buffer): Buffer {
  const length = 1 + id.length + body.length
  const content = length <= scratch.length ? scratch.subarray(0, length) : Buffer.allocUnsafe(length)
  content[0] = id.length
  content.write(id, 1, 'latin1')
  content.set(body, 1 + id.length)
  return content
}

const tampered = (id: string): RecordTamperedError =>
  new RecordTamperedError(
    'The stored record was changed by somebody who does not have its key, or is damaged. It was left as it is: ' +
      'destroy the session, and find out who else can write to the server.',
    { session: hashOf(id) },
  )

const moved = (id: string): RecordMovedError =>
  new RecordMovedError(
    'The stored record was encrypted for another session and was moved to this one. It was left as it is: ' +
      'destroy the session, and find out who else can write to the server.',
    { session: hashOf(id) },
  )

export const truncated = (id: string): RecordTruncatedError =>
  new RecordTruncatedError(
    'The stored record ends too early. It was left as it is: destroy the session, and find out what cut it short.',
    { session: hashOf(id) },
  )
