/** Commands, their replies, and the receiver of a flight. */

/**
 * An item's version, as one node handed it out. The version is opaque: only the wire compares versions (`cas`, `cad`),
 * and nothing above it looks into one; `areSameVersions` compares two.
 *
 * `asOf` is for wires whose store may hand out the same version twice, as a restarted memcached does; other wires write
 * 0. It dates the version, by the wire's own count of connections, to the moment at which the read was *sent*. A wire
 * sends a CAS only on a connection that was opened before `asOf`; on a younger one another item could have the same
 * version.
 */
export interface Cas {
  readonly version: string
  readonly asOf: number
}

/**
 * Whether two readings found one version: a hint for whoever waits, and no proof, because a store may hand a version out
 * twice.
 */
export const areSameVersions = (one: Cas, other: Cas): boolean => one.version === other.version

/**
 * A value: bytes, or text, which is cheaper where the code has it anyway. A text that is sent has Latin-1 characters,
 * one byte each. A text in a reply has only ASCII characters, so that it means the same in every encoding.
 */
export type Value = Buffer | string

/** An item to be stored. */
interface Item {
  readonly key: string
  readonly value: Value
  /** Whole seconds from now, at least 1. A wire converts what its server would read as a date (over 30 days). */
  readonly ttlSec: number
  /** 32 bits of the caller's, kept beside the value. Default 0. */
  readonly flags?: number
}

/**
 * One command of a flight.
 *
 * - `get`: ok with value, flags and CAS; or missing.
 * - `add`: stores only where nothing is: ok with the new item's CAS; or exists (with the value, flags and CAS of the
 *   item that is there, where they cost nothing).
 * - `set`: stores whatever is there: ok, tooLarge or outOfMemory. A refused `set` may have deleted the old item, so
 *   it is used only for records that may be lost (tombstones, the naive locker).
 * - `cas`: replaces an item of exactly this version: ok (with the new CAS if `wantCas`), exists (another version)
 *   or missing; tooLarge and outOfMemory leave the old item as it was.
 * - `touch`: sets a new TTL and leaves data and CAS as they are: ok with the item's CAS, or missing.
 * - `delete`: ok or missing.
 * - `cad`: compare-and-delete: ok, exists (another version, and nothing happened) or missing.
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
 * The result of one command, for certain. There is no status for an error: when the server answers any command of a
 * flight with an error, the whole flight fails (`FlightError.answer`). Otherwise a read that was refused could be taken
 * for one that found nothing, and a write on which a proxy timed out for one that was not carried out.
 */
export type Status = 'ok' | 'missing' | 'exists' | 'tooLarge' | 'outOfMemory'

export const valueBytes = (value: Value): Buffer => (typeof value === 'string' ? Buffer.from(value, 'latin1') : value)

export const areSameBytes = (one: Value, other: Value): boolean =>
  typeof one === 'string' && typeof other === 'string' ? one === other : valueBytes(one).equals(valueBytes(other))

/** The server's answer to one command. `tooLarge` and `outOfMemory` answer stores only. */
export interface Reply {
  readonly status: Status
  /** A text only where all of it is ASCII, because callers read it as UTF-8. */
  readonly value: Value | undefined
  readonly flags: number
  readonly cas: Cas | undefined
}

/**
 * Is told how a flight ended: one of the two is called, once, and not
 * before the call that sent the flight has returned.
 */
export interface Receiver {
  /** Called with a reply for each command, in the order of the commands. */
  landed(replies: Reply[]): void
  /** Called with the error that `flight` would have thrown. */
  failed(error: unknown): void
}

/** The replies of a flight, for whoever would rather have a promise than be told. @param send sends it. */
export const promised = (send: (receiver: Receiver) => void): Promise<Reply[]> =>
  new Promise((landed, failed) => {
    send({ landed, failed })
  })

/**
 * Tells the receiver in a microtask. It may send another flight, and the caller may just be going through the queues in
 * which this flight stood.
 */
export function failLater(receiver: Receiver, error: unknown): void {
  queueMicrotask(() => {
    receiver.failed(error)
  })
}
