/** PHP's values as JSON can show them. */

/** In place of an object that stands above already. */
export const AGAIN = '(the same as above)'

/** What is no UTF-8 text. */
export class Bytes {
  readonly count: number

  constructor(private readonly bytes: Uint8Array) {
    this.count = bytes.length
  }

  toJSON(): string {
    return `base64:${Buffer.from(this.bytes).toString('base64')}`
  }
}

/**
 * A copy in which each object stands once, where it is met first: with references one session can name a value in so many
 * ways that all of them written out would fill any memory, or lead back to itself.
 */
export function phpView(value: unknown, seen = new Set<object>()): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return new Bytes(value)
  if (seen.has(value)) return AGAIN
  seen.add(value)
  if (Array.isArray(value)) return value.map((part) => phpView(part, seen))
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, phpView(part, seen)]))
}
