/**
 * The seam under the lock protocol: flights of commands to the node that owns a session.
 *
 * Everything above speaks commands, replies and time; everything below speaks sockets.
 */
import type { ObservedNode } from '../observe/channels.js'
import { brand } from '../system/brand.js'
import type { Command, Receiver, Reply } from './command.js'
import type { CycleSeat, CycleStart } from './cycle.js'

export * from './command.js'

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

/** What an operator should know of a store, and no single flight can be blamed for. */
export interface WireWarning {
  /**
   * `LATCHKEY_SERVER_LISTS_DIFFER`: another process shares the sessions by another list of servers.
   * `LATCHKEY_TWO_SERVERS`: one address leads now to one server and now to another. `LATCHKEY_FILE_SYSTEM_UNKNOWN`: the
   * directory may be on another machine.
   */
  readonly code: 'LATCHKEY_SERVER_LISTS_DIFFER' | 'LATCHKEY_TWO_SERVERS' | 'LATCHKEY_FILE_SYSTEM_UNKNOWN'
  /** `node` as in `stats`; the message says what is wrong, and what to do. */
  readonly node: string
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

/** What a wire says of its store to people, and what the store's limits are. */
export interface StoreTraits {
  /** What messages call it, and OpenTelemetry's `db.system.name`: `memcached`. */
  readonly name: string
  /** The longest key, in bytes. */
  readonly maxKeyBytes: number
  /** What to change on its side, as the end of a sentence. */
  readonly remedy: {
    /** When a record is too large: `raise the item size of memcached (-I)`. */
    readonly tooLarge: string
    /** When it has no memory left: `look at its memory limit (-m) and its evictions`. */
    readonly outOfMemory: string
  }
}

/** What is said of a store of which the wire says nothing. Its keys are as long as those of every store that we know. */
export const ANY_STORE: StoreTraits = {
  name: 'store',
  maxKeyBytes: 250,
  remedy: { tooLarge: 'let the store take larger ones', outOfMemory: 'look at its memory' },
}

/** A place where records and locks live. Each one in this package is a scheme of save paths, too: see `open-wire.ts`. */
export interface Wire {
  /**
   * Runs `commands` in order, on one connection to the node that owns `route`, in one round trip.
   *
   * Replies come in the order of the commands, one each. Settles within the wire's flight deadline.
   * Keys are checked by the caller; a wire refuses (FlightError 'not-sent') what would break its framing.
   *
   * What can be relied on, and what cannot (a wire may promise more; nothing above it relies on more):
   *
   * - **Each command is atomic.** `add`, `cas` and `cad` look at the item and act on it in one step: of two that name one
   *   version only one finds it, and nobody sees a value that is half written.
   * - **Within a flight the order is kept.** No command is carried out before an earlier one of its flight, so that
   *   whoever sees the second done sees the first done. Each is carried out whatever became of those before it: a `cas`
   *   that answers `exists` does not stop the `cad` behind it.
   * - **A flight is no transaction.** Commands of others may be carried out between two of its own, and nothing is
   *   rolled back: of a flight that was cut off, the first commands may have been carried out and the others not. Who
   *   sends one puts first what must not be missing when the rest is there: the record, and then the lock that it frees.
   * - **Between flights nothing is ordered**, not even between two of one caller: they may go by different connections.
   *   Only a flight that was answered is over. One that failed as 'unknown' may still be carried out, behind any
   *   number of flights that were sent after it.
   * - **Time is in whole seconds** of the store's own clock: an item with a TTL of t seconds is there for at least t - 1
   *   and at most t of them. (memcached's clock skips one now and then.)
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

  /**
   * The first flight of a cycle that meets nobody, and the seat for its second one: `send`, in plain values (cycle.ts).
   * A wire without it has `send` or `flight` alone, and that serves as well. Who wraps a wire wraps all, or leaves it out.
   */
  startCycle?: ((route: string, start: CycleStart) => CycleSeat) | undefined

  /** What the store is called, and its limits. Default: `store`, and keys of 250 bytes. Does not change. */
  readonly store?: StoreTraits
  /** A directory in which processes of one host that share this store may meet; without it they ask the store only. */
  readonly meetingPlace?: string

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
  sweep(): number | Promise<number>

  /** Lets go of every connection; flights under way are rejected. Idempotent. */
  close(): Promise<void>
}
