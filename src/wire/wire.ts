/**
 * The seam under the lock protocol: flights of commands to the node that owns a session.
 *
 * Everything above speaks commands, replies and time; everything below speaks sockets.
 */
import type { ObservedNode } from '../observe/channels.js'
import { brand } from '../system/brand.js'
import type { Post } from '../neighbours/post.js'
import type { Command, Receiver, Reply } from './command.js'
import type { ListStage, ReplicaNodes } from './replica-nodes.js'
import type { CycleSeat, CycleStart } from './cycle.js'

export * from './command.js'

/**
 * A flight that got no replies.
 *
 * `outcome` 'not-sent': nothing happened. No byte left this process, or the server refused all that would have changed
 * something, and said so (`answer`). 'unknown': the flight may have been carried
 * out, in part or as a whole, or may still be carried out seconds later. `untrusted` (always 'not-sent'): a CAS in the
 * flight is older than every connection at hand; read again and use the fresh CAS. `answer`: the server, or a proxy,
 * answered with this error. With 'unknown' it does not say what was carried out; the connection still works. `isFinal`
 * (always 'unknown'): it counts only with copies elsewhere, and what the server has says nothing of them.
 */
export class FlightError extends Error {
  override readonly name = 'FlightError'
  constructor(
    readonly outcome: 'not-sent' | 'unknown',
    message: string,
    options: { readonly cause?: unknown; readonly untrusted?: boolean; readonly answer?: string; readonly isFinal?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.untrusted = options.untrusted === true
    this.answer = options.answer
    this.isFinal = options.isFinal === true
  }
  readonly untrusted: boolean
  readonly answer: string | undefined
  readonly isFinal: boolean
}

brand({ FlightError })

/**
 * A store that cannot keep a lock, whatever is sent to it. The message says why, and what to change. This error is the
 * cause of a FlightError 'not-sent'; to wait or to try again would change nothing.
 */
export class UnsupportedStoreError extends Error {
  override readonly name = 'UnsupportedStoreError'
}

/** The UnsupportedStoreError among the causes of a failure; undefined if there is none. */
export function unsupportedIn(failure: unknown): UnsupportedStoreError | undefined {
  for (let cause = failure; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof UnsupportedStoreError) return cause
  }
  return undefined
}

/** Something wrong with a store that an operator should know, and that no single flight can report. */
export interface WireWarning {
  /**
   * `LATCHKEY_SERVER_LISTS_DIFFER`: another process uses the same servers by another list. `LATCHKEY_TWO_SERVERS`: one
   * address leads sometimes to one server and sometimes to another. `LATCHKEY_FILE_SYSTEM_UNKNOWN`: the directory may be
   * on another machine. `LATCHKEY_MEMORY_FORGETS`: sessions are kept in one process's memory in production.
   */
  readonly code: 'LATCHKEY_SERVER_LISTS_DIFFER' | 'LATCHKEY_TWO_SERVERS' | 'LATCHKEY_FILE_SYSTEM_UNKNOWN' | 'LATCHKEY_MEMORY_FORGETS'
  /** The name of the node, as in `stats`. The message says what is wrong, and what to do. */
  readonly node: string
  readonly message: string
}

/** Counts of one node since its manager was made. */
export interface NodeStats {
  readonly flights: number
  readonly commands: number
  /** Flights without replies: never sent, or not answered in time. */
  readonly failed: number
  /** Writes to a socket, without handshakes. */
  readonly batches: number
  readonly connectionsOpened: number
  /** Connections that are open now, including idle ones. */
  readonly connections: number
}

/** Asks one node whether it answers. */
export interface Probe {
  /** The name of the node, as in `stats`, without credentials. */
  readonly name: string
  /** One flight that changes nothing. Rejects as `flight` does. */
  ask(): Promise<unknown>
  /** Whether it lacks copies that it should have, by its last answer. */
  isEmptied?(): boolean
  /** Whether what it does not have says nothing, by its last answer: it has been emptied, or has not been used yet. */
  isIgnorant?(): boolean
  /** How far the list of nodes is changed there, by its last answer; undefined: it is not being changed, or this node leaves it. */
  stage?(): ListStage | undefined
}

/** The name and the limits of a store, and advice for people about it. */
export interface StoreTraits {
  /** The name of the store in messages, and in OpenTelemetry's `db.system.name`: `memcached`. */
  readonly name: string
  /** The longest key, in bytes. */
  readonly maxKeyBytes: number
  /** Absent where the wire chooses the server, by the route. */
  readonly keyMarks?: KeyMarks
  /** What to change at the store, as the end of a sentence. */
  readonly remedy: {
    /** When a record is too large: `raise the item size of memcached (-I)`. */
    readonly tooLarge: string
    /** When the store has no memory left: `look at its memory limit (-m) and its evictions`. */
    readonly outOfMemory: string
    /** When it does not answer, as a sentence. Default: to check that the server runs. */
    readonly unavailable?: string
  }
}

/**
 * How the keys of a session are written where a proxy chooses the server of each key, so that all of them are on one: the
 * proxy looks only at the part of the key that stands between two marks, or before one.
 */
export interface KeyMarks {
  /** Stand around the id in each key. */
  readonly open: string
  readonly close: string
  /** Stands behind the record's key in keys that are made by appending to it. */
  readonly stop: string
  /** What an id must not have, or the proxy would look at another part. */
  readonly refusedInId: RegExp
  readonly refusedInPrefix: RegExp
}

/** The traits of a store of which the wire says nothing. Every store that we know takes keys of 250 bytes. */
export const ANY_STORE: StoreTraits = {
  name: 'store',
  maxKeyBytes: 250,
  remedy: { tooLarge: 'let the store take larger ones', outOfMemory: 'look at its memory' },
}

/** How many nodes keep each session, and how many of them decide. */
export interface Quorum {
  readonly replicas: number
  readonly majority: number
}

/** A place where records and locks live. Each wire in this package has a scheme of save paths: see `open-wire.ts`. */
export interface Wire {
  /**
   * Runs `commands` in order, on one connection to the node that owns `route`, in one round trip.
   *
   * Replies come in the order of the commands, one each. The promise settles within the wire's flight deadline.
   * The caller checks the keys; a wire refuses (FlightError 'not-sent') a key that would break its framing.
   *
   * This is what can be relied on, and what cannot (a wire may promise more, but nothing above it relies on more):
   *
   * - **Each command is atomic.** `add`, `cas` and `cad` check the item and act on it in one step: of two commands that
   *   name one version only one finds it, and nobody sees a value that is half written.
   * - **Within a flight the order is kept.** No command is carried out before an earlier command of its flight, so that
   *   anyone who sees the second done sees the first done. Each command is carried out whatever the commands before it
   *   have answered: a `cas` that answers `exists` does not stop the `cad` behind it.
   * - **A flight is not a transaction.** Commands of others may be carried out between two of its own, and nothing is
   *   rolled back: if a flight is cut off, only its first commands may have been carried out. So the sender puts first
   *   what must not be missing when the rest is there: first the record, and then the lock that it frees.
   * - **Between flights there is no order**, not even between two of one caller: they may use different connections.
   *   Only a flight that was answered is over. A flight that failed as 'unknown' may still be carried out, behind any
   *   number of flights that were sent after it.
   * - **Time is counted in whole seconds** of the store's own clock: an item with a TTL of t seconds lives for at least
   *   t - 1 and at most t of them. (memcached's clock skips a second now and then.)
   *
   * @throws {FlightError} and nothing else.
   */
  flight(route: string, commands: readonly Command[]): Promise<Reply[]>

  /**
   * Sends a flight like `flight`, but tells `receiver` the replies as soon as the last has come, without a promise.
   * `landed` must not throw: it is called while a connection is read, and in no request's asynchronous context.
   *
   * A wire may leave this out and have `flight` alone. A wrapper of a wire must wrap both, or leave this out.
   */
  send?: ((route: string, commands: readonly Command[], receiver: Receiver) => void) | undefined

  /**
   * Sends the first flight of a cycle that meets nobody, in plain values (cycle.ts), and returns the seat for the second.
   * A wire may leave this out and have `send` or `flight` alone. A wrapper of a wire must wrap all of them, or leave this
   * out.
   */
  startCycle?: ((route: string, start: CycleStart) => CycleSeat) | undefined

  /** The name of the store, and its limits. Must not change. Default: `store`, and keys of 250 bytes. */
  readonly store?: StoreTraits
  /** A directory where processes of one host that share this store can meet. Without it they only ask the store. */
  readonly meetingPlace?: string
  /** How processes of several hosts that share this store tell each other something. Without it they only ask the store. */
  readonly post?: Post

  /**
   * How many nodes keep each session, and how many of them decide. What a majority has not acknowledged is neither stored
   * nor refused for certain, whatever stands on one node. A wire that keeps one copy leaves this out.
   */
  readonly quorum?: Quorum
  /** These nodes, each by itself. There where there is a `quorum`. */
  readonly replicaNodes?: ReplicaNodes

  /** The node of `route`, for events. Sends nothing. A wire whose store is in this process leaves this out. */
  nodeOf?(route: string): ObservedNode

  /** How each node is asked whether it answers, for health checks. A wire that leaves this out is asked by `flight`, as one. */
  probes?(): readonly Probe[]

  /** The counts of each node so far, by its name. A wire that counts nothing leaves this out. */
  stats?(): Readonly<Record<string, NodeStats>>

  /** The largest value that the node of `route` stores under `key`, in bytes, as far as the wire knows it by now. */
  maxValueBytes(route: string, key: string): number

  /**
   * Lists every key of every node that begins with `prefix` and is there from the beginning of the walk to its end, in
   * no order. A key that is written or goes in the meantime may be listed or not, and a key may come twice. For
   * operators, as the walk goes through everything that a node keeps. A wire that cannot list leaves this out.
   *
   * @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: a node cannot list its keys.
   * @throws ServerRefusedError LATCHKEY_SERVER_REFUSED: a node is busy with other lists.
   * @throws {FlightError} a node does not answer.
   */
  keys?(prefix: string): AsyncIterable<string>

  /** Removes expired records where the store does not do so itself; returns how many. One pass, no flight. */
  sweep(): number | Promise<number>

  /** Closes every connection; flights under way are rejected. May be called again. */
  close(): Promise<void>
}
