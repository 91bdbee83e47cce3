/** What a flight says and is answered: commands, replies, and who is told. */

/**
 * An item's version, as one node handed it out. Opaque: versions are compared by the wire alone (`cas`, `cad`), and
 * nothing above it looks inside one or compares two of them.
 *
 * `asOf` is for wires whose store may hand out the same version twice; others write 0. It dates the version by the wire's own count of connections (the moment its read was *sent*), because a restarted
 * server hands out the same numbers again: a wire sends a CAS only on a connection that was opened before `asOf`.
 */
export interface Cas {
  readonly version: string
  readonly asOf: number
}

/**
 * Bytes; or text, cheaper where it is at hand anyway: of Latin-1 characters, a byte each, in what is sent, and of ASCII
 * alone in a reply, so that it says the same in every encoding.
 */
export type Value = Buffer | string

/** What a stored item carries besides its key. `flags` are 32 bits of the caller's, kept beside the value. */
interface Item {
  readonly key: string
  readonly value: Value
  /** Whole seconds, relative, at least 1; a wire converts what its server would read as a date (over 30 days). */
  readonly ttlSec: number
  /** Default 0. */
  readonly flags?: number
}

/**
 * One command of a flight.
 *
 * - `get`: ok with value, flags and CAS; or missing.
 * - `add`: ok with the new item's CAS; or exists (value, flags and CAS of the occupant where they come for free).
 * - `set`: unconditional; ok, tooLarge, outOfMemory. A refused `set` may have deleted the old item: only for records
 *   that may be lost (tombstones, the naive handler).
 * - `cas`: replaces an item of exactly that version: ok (with the new CAS when `wantCas`), exists (another version)
 *   or missing; tooLarge and outOfMemory leave the old item as it was.
 * - `touch`: a new TTL, data and CAS left alone: ok with the item's CAS, or missing.
 * - `delete`: ok or missing.
 * - `cad`: compare-and-delete: ok, exists (another version: nothing happened) or missing.
 */
export type Command =
  | { readonly op: 'get'; readonly key: string }
  | ({ readonly op: 'add' } & Item)
  | ({ readonly op: 'set' } & Item)
  | ({ readonly op: 'cas'; readonly cas: Cas; readonly wantCas?: boolean } & Item)
  | { readonly op: 'touch'; readonly key: string; readonly ttlSec: number }
  | { readonly op: 'delete'; readonly key: string }
  | { readonly op: 'cad'; readonly key: string; readonly cas: Cas }

/**
 * What became of one command, for certain. There is no status for an error: a flight in which the server answered any
 * command with one fails as a whole (`FlightError.answer`), so that nobody can take a read that was refused for one that
 * found nothing, or a write that a proxy timed out on for one that was not carried out.
 */
export type Status = 'ok' | 'missing' | 'exists' | 'tooLarge' | 'outOfMemory'

export const valueBytes = (value: Value): Buffer => (typeof value === 'string' ? Buffer.from(value, 'latin1') : value)

export const areSameBytes = (one: Value, other: Value): boolean =>
  typeof one === 'string' && typeof other === 'string' ? one === other : valueBytes(one).equals(valueBytes(other))

/** The server's answer to one command. `tooLarge` and `outOfMemory` answer stores only. */
export interface Reply {
  readonly status: Status
  /** As text only where it is all ASCII: it is taken for UTF-8 as it is. */
  readonly value: Value | undefined
  readonly flags: number
  readonly cas: Cas | undefined
}

/** Who is told how a flight ended: by one of the two, once, and not before the call that sent it has returned. */
export interface Receiver {
  /** A reply for each command, in their order. */
  landed(replies: Reply[]): void
  /** What `flight` would have thrown. */
  failed(error: unknown): void
}

/** Not at once: who is told may send another flight, and the queues that this one stood in may be being looked through. */
export function failLater(receiver: Receiver, error: unknown): void {
  queueMicrotask(() => {
    receiver.failed(error)
  })
}
