/**
 * The seam under the lock protocol: flights of memcached commands to the node that owns a session.
 *
 * Everything above speaks commands, replies and time; everything below speaks sockets.
 */
import type { ObservedNode } from '../observe/channels.js'
import { brand } from '../system/brand.js'

/**
 * An item's version, as one node handed it out. Opaque: only the wire that made it looks inside.
 *
 * `asOf` dates it by the wire's own count of connections (the moment its read was *sent*), because a restarted
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

/** What a stored item carries besides its key. `flags` are memcached's 32 client bits. */
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

/**
 * A flight that brought no replies.
 *
 * `outcome` 'not-sent': no byte left this process, nothing happened. 'unknown': it may have been carried out, in part
 * or whole, or still be carried out seconds later. `untrusted` (always 'not-sent'): a CAS in it is older than the only
 * connection at hand; read again and use the fresh CAS. `answer` (always 'unknown'): the server, or a proxy before it,
 * answered with this error, which says nothing certain of what was carried out; the connection is as good as ever.
 */
export class FlightError extends Error {
  override readonly name = 'FlightError'
  constructor(
    readonly outcome: 'not-sent' | 'unknown',
    message: string,
    options: { readonly cause?: unknown; readonly untrusted?: boolean; readonly answer?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.untrusted = options.untrusted === true
    this.answer = options.answer
  }
  readonly untrusted: boolean
  readonly answer: string | undefined
}

brand({ FlightError })

/**
 * A store that cannot keep a lock, whatever is sent to it; the message says why, and what to change. It is the cause of
 * a FlightError 'not-sent': waiting or trying again changes nothing.
 */
export class UnsupportedStoreError extends Error {
  override readonly name = 'UnsupportedStoreError'
}

/** The UnsupportedStoreError among the causes of a failure, if there is one. */
export function unsupportedIn(failure: unknown): UnsupportedStoreError | undefined {
  for (let cause = failure; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof UnsupportedStoreError) return cause
  }
  return undefined
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

/** What an operator should know of a store, and no single flight can be blamed for. */
export interface WireWarning {
  /**
   * `LATCHKEY_SERVER_LISTS_DIFFER`: another process shares the sessions by another list of servers.
   * `LATCHKEY_TWO_SERVERS`: one address leads now to one server and now to another.
   */
  readonly code: 'LATCHKEY_SERVER_LISTS_DIFFER' | 'LATCHKEY_TWO_SERVERS'
  /** As in `stats`. */
  readonly node: string
  /** What is wrong, and what to do. */
  readonly message: string
}

/** What a node has done since its manager was made. Plain numbers. */
export interface NodeStats {
  readonly flights: number
  readonly commands: number
  /** Flights without replies: never sent, or not answered in time. */
  readonly failed: number
  /** Writes to a socket, handshakes apart. */
  readonly batches: number
  readonly connectionsOpened: number
  /** Open now, idle ones included. */
  readonly connections: number
}

/** A place where records and locks live. Implementations: `memory`, `memcached`. */
export interface Wire {
  /**
   * Runs `commands` in order, on one connection to the node that owns `route`, in one round trip.
   *
   * Replies come in the order of the commands, one each. Settles within the wire's flight deadline.
   * Keys are checked by the caller; a wire refuses (FlightError 'not-sent') what would break its framing.
   *
   * @throws {FlightError} and nothing else.
   */
  flight(route: string, commands: readonly Command[]): Promise<Reply[]>

  /**
   * As `flight`, but told to `receiver`, with the last reply and without the detour of a promise. `landed` must not
   * throw: it runs in the middle of reading from a connection, and in the asynchronous context of nobody in particular.
   *
   * A wire without it has `flight` alone, and that serves as well. Who wraps a wire wraps both, or leaves this out.
   */
  send?: ((route: string, commands: readonly Command[], receiver: Receiver) => void) | undefined

  /** The node of `route`, for whoever watches. A wire without it is in this process. Sends nothing. */
  nodeOf?(route: string): ObservedNode

  /** What each node has done so far, by its name. A wire without it counts nothing. */
  stats?(): Readonly<Record<string, NodeStats>>

  /** The largest value that the node of `route` stores under `key`, in bytes, as far as it is known by now. */
  maxValueBytes(route: string, key: string): number

  /**
   * Every key that begins with `prefix` and was there all the while, of every node, in no order; one that is written
   * or goes meanwhile may be there or not, and one may come twice. For operators: it walks through everything that a
   * node keeps. A wire without it cannot list.
   *
   * @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: a node cannot list its keys.
   * @throws ServerRefusedError LATCHKEY_SERVER_REFUSED: a node is busy with other lists.
   * @throws {FlightError} a node does not answer.
   */
  keys?(prefix: string): AsyncIterable<string>

  /** Removes what has expired where the store does not do so by itself; how many records went. One pass, no flight. */
  sweep(): number

  /** Lets go of every connection; flights under way are rejected. Idempotent. */
  close(): Promise<void>
}
