/**
 * What a post carries can be read by whoever may listen to it, and a line may name a session. So the box of a process is
 * named by a hash of its address, and what lies in it is sealed under a key made of the address. That is drawn at random,
 * and stands in the process's lock tokens: who may read the locks may read the lines, and nobody else.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import type { Random } from '../system/random.js'

const CIPHER = 'aes-128-gcm'
const KEY_BYTES = 16
const IV_BYTES = 12
const TAG_BYTES = 16
/** A line has a kilobyte at most, and its sender's address. */
const LONGEST_TEXT = 2048

const hashed = (purpose: string, address: string): Buffer => createHash('sha256').update(`latchkey ${purpose} ${address}`).digest()

/** The box of one process, and its key. */
export class SealedBox {
  readonly name: string
  private readonly key: Buffer

  constructor(readonly address: string) {
    this.name = `latchkey:bell:${hashed('box', address).toString('hex', 0, KEY_BYTES)}`
    this.key = hashed('key', address).subarray(0, KEY_BYTES)
  }

  seal(line: string, random: Random): string {
    const iv = random.bytes(IV_BYTES)
    const cipher = createCipheriv(CIPHER, this.key, iv)
    return Buffer.concat([iv, cipher.update(line, 'latin1'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
  }

  /** The line; undefined where the text was sealed by somebody who does not know the address, or by nobody. */
  open(text: string): string | undefined {
    if (text.length > LONGEST_TEXT) return undefined
    const bytes = Buffer.from(text, 'base64url')
    if (bytes.length < IV_BYTES + TAG_BYTES) return undefined
    const cipher = createDecipheriv(CIPHER, this.key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
    cipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      return cipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES), undefined, 'latin1') + cipher.final('latin1')
    } catch {
      return undefined
    }
  }
}
