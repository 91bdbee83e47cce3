/** What Node writes to a response. */
export const isChunk = (chunk: unknown): boolean => typeof chunk === 'string' || chunk instanceof Uint8Array

export const lengthBytes = (chunk: unknown): number =>
  typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk instanceof Uint8Array ? chunk.byteLength : 0

/**
 * The arguments of a `write` or `end`, a text in another encoding than UTF-8 as its bytes. Node would decode it when it is
 * too late for an error handler, and ends the process at an odd number of hex digits.
 *
 * @throws TypeError ERR_UNKNOWN_ENCODING, as Node.
 */
export function decoded(args: readonly unknown[]): readonly unknown[] {
  const [chunk, encoding, ...rest] = args
  if (typeof chunk !== 'string' || chunk === '' || !Boolean(encoding) || typeof encoding === 'function') return args
  if (encoding === 'utf8') return args
  if (typeof encoding === 'string' && Buffer.isEncoding(encoding)) return [Buffer.from(chunk, encoding), ...rest]
  throw Object.assign(new TypeError(`Unknown encoding: ${String(encoding)}`), { code: 'ERR_UNKNOWN_ENCODING' })
}
