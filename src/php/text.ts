/**
 * PHP's strings are bytes. Names must be strings in JavaScript, so a byte that is no UTF-8 becomes one of 128 characters
 * that no valid text has (U+DC80 to U+DCFF), and back; a value that is no UTF-8 is a Buffer.
 */
import { isUtf8 } from 'node:buffer'

const ESCAPES = 0xdc00
/** Not the second half of a pair: that is a character of its own. */
const ESCAPED = /(?<![\ud800-\udbff])([\udc80-\udcff])/

export function nameOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8')
  let name = ''
  for (let at = 0; at < bytes.length;) {
    const size = characterSize(bytes, at)
    name += size === 0 ? String.fromCharCode(ESCAPES + (bytes[at] ?? 0)) : bytes.toString('utf8', at, at + size)
    at += Math.max(size, 1)
  }
  return name
}

/** The bytes of a name; undefined where it has half a character that stands for no byte. */
export function bytesOfName(name: string): Buffer | undefined {
  // Every second part is one escaped byte.
  const parts = name.split(ESCAPED)
  if (!parts.every((part, index) => index % 2 === 1 || isWellFormed(part))) return undefined
  return Buffer.concat(parts.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : Buffer.of(part.charCodeAt(0) - ESCAPES))))
}

export const valueOf = (bytes: Buffer): string | Buffer => (isUtf8(bytes) ? bytes.toString('utf8') : Buffer.copyBytesFrom(bytes))

/** Text with half a surrogate pair has no UTF-8: it would be stored as something else. */
export const isWellFormed = (text: string): boolean => !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text)

/** How many bytes the UTF-8 character at `at` has; 0 where there is none. */
function characterSize(bytes: Buffer, at: number): number {
  for (let size = 1; size <= 4 && at + size <= bytes.length; size++) {
    if (isUtf8(bytes.subarray(at, at + size))) return size
  }
  return 0
}
