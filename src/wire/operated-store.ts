/** A store as its operators see it: what the command-line tool and its doctor ask, whatever the store is. */
import type { Clock } from '../system/clock.js'
import type { OpenOptions } from './open-options.js'
import type { Placement } from './placement.js'
import type { Wire } from './wire.js'

export interface OperateOptions {
  readonly clock: Clock
  /** How long a node may stay silent when it is asked something, in milliseconds. */
  readonly silenceMs: number
  /** Ends every question under way; they reject with its reason, or with a FlightError. */
  readonly signal: AbortSignal
  /** The configuration file of the proxy that the save path names, where there is one: the doctor looks through it. */
  readonly proxyConfiguration?: string | undefined
  /** Where another product's clients keep each key. Default: on the node that owns the session's route. */
  readonly placement?: Placement | undefined
}

/** Each question goes over a connection of its own, and nothing is connected to before it is asked. */
export interface OperatedStore {
  /** At least one; in the order of the save path. */
  readonly nodes: readonly OperatedNode[]
  /** The node that keeps a session. */
  nodeOf(route: string): OperatedNode
  /**
   * A configuration for a proxy before these servers; undefined where none is known for this proxy and this purpose. A store
   * that no proxy stands before leaves this out. @throws NotSupportedError: not for such servers.
   */
  proxyConfiguration?(proxy: string, purpose: string): string | undefined
}

/** Seconds that a record is given where no node can tell how long it has left. */
export const UNKNOWN_TTL_SEC = 1440

/** One server of a store. */
export interface OperatedNode {
  /** Its address, without credentials. */
  readonly name: string

  /** A wire to this node alone, whoever owns the route. */
  open(options: OpenOptions): Wire

  /**
   * Its keys that begin with `prefix`, in no order.
   *
   * @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: it cannot list them.
   * @throws ServerRefusedError LATCHKEY_SERVER_REFUSED: it is busy with other lists.
   * @throws FlightError: it was not reached, or lost on the way.
   */
  keys(prefix: string): Promise<readonly string[]>

  /** Seconds that an item has left; undefined where there is none, or where the node cannot tell. */
  ttlSec(key: string): Promise<number | undefined>

  /** For `latchkey stats`. Errors as of `keys`. */
  figures(): Promise<Figures>

  /** For `latchkey doctor`: what it says of itself, and what is wrong with it. Rejects only when the signal aborts. */
  examine(): Promise<Examination>

  /**
   * What is wrong with how others use it, as far as they have left word of that under `listsKey`, which is read through
   * `wire`. @throws FlightError
   */
  examineUse(wire: Wire, listsKey: string): Promise<readonly Finding[]>

  /** What to look at when it was not reached (`unreachable`), or turned us away (`credentials-refused`). */
  notReached(error: unknown): Finding
}

/** What a node tells of itself, to programs and to people. */
interface Account {
  /** Becomes JSON; its fields are documented in docs/reference/cli.md. */
  readonly data: Readonly<Record<string, unknown>>
  /** The end of a line that begins with its name: `memcached 1.6.18, up for 3 h`. */
  readonly about: string
}

export interface Figures extends Account {
  /** A name and its figures each. */
  readonly rows: readonly (readonly [string, string])[]
}

export interface Examination extends Account {
  readonly findings: readonly Finding[]
  /** Whether it was reached and told something; if not, why not is among the findings. */
  readonly hasAnswered: boolean
}

/** Something that the doctor has to say about a node. */
export interface Finding {
  /** Stable; docs/reference/cli.md has a row for each. */
  readonly code: string
  /** `problem`: sessions are lost, refused or in danger. `advice`: would be better. `note`: worth knowing. */
  readonly severity: 'problem' | 'advice' | 'note'
  readonly message: string
  /** What to change. */
  readonly advice: string
}

/** Nothing can be asked of a node of which the doctor finds this. */
export const isUnreached = ({ code }: Finding): boolean => code === 'unreachable' || code === 'credentials-refused'
