/** Where a command works: the servers, and the sessions on them. */
import { createHash } from 'node:crypto'
import { isAdvice, isOfProcesses, type KeyLayout, markKeyOf, mutexLayout, SuffixLayout } from '../lock/protocol/key-layout.js'
import type { EncryptionOptions } from '../session/records/keyring.js'
import type { RecordForm } from '../session/dialect/dialect.js'
import { phpDialect } from '../session/dialect/php-dialect.js'
import { checkedPhp, type PhpOptions } from '../session/dialect/php-options.js'
import { SessionManager } from '../session/session-manager.js'
import { type Clock, systemClock } from '../system/clock.js'
import type { OpenOptions } from '../wire/open-options.js'
import type { OperatedStore } from '../wire/operated-store.js'
import type { StoreAddress } from '../wire/scheme.js'
import type { Wire } from '../wire/wire.js'
import { UsageError } from './usage-error.js'

export interface PlaceOptions {
  /** How records are decoded. */
  readonly format: RecordForm
  readonly address: StoreAddress
  readonly prefix: string
  /** The sessions are PHP's: its keys, its format, its places; `prefix` and `format` do not count. */
  readonly php?: PhpOptions | undefined
  readonly deadlineMs: number
  readonly signal: AbortSignal
  readonly wallMs: () => number
  /** For a command that locks sessions: the keys of their records, and how long it waits for one. */
  readonly locking?: { readonly encryption?: EncryptionOptions; readonly waitMs: number }
  /** For the doctor: the configuration of the proxy before the servers. */
  readonly proxyConfiguration?: string | undefined
  /** Whether a store that is not there is made. Default false. */
  readonly mayMake?: boolean
}

export class Place implements AsyncDisposable {
  readonly format: RecordForm
  readonly store: OperatedStore
  readonly wire: Wire
  readonly layout: KeyLayout
  /** Of the locks that applications take by a name. */
  readonly mutexLayout: KeyLayout
  readonly manager: SessionManager
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly deadlineMs: number
  /** For wires to the store, or to a node of it. */
  readonly opening: OpenOptions

  /** @throws UsageError; LATCHKEY_INVALID_OPTION: the prefix. Connects to nothing yet. */
  constructor({ format, address, prefix, deadlineMs, signal, wallMs, locking, php, mayMake = false, proxyConfiguration }: PlaceOptions) {
    const dialect = php && phpDialect(checkedPhp(php))
    this.format = dialect?.format ?? format
    this.signal = signal
    this.deadlineMs = deadlineMs
    const clock = { ...systemClock, wallMs }
    this.clock = clock
    const store = address.operate?.({ clock, signal, silenceMs: deadlineMs, placement: dialect?.placement, proxyConfiguration })
    if (store === undefined) throw new UsageError('This store keeps sessions inside one process; no tool can look into it.')
    this.store = store
    // A call takes three flights at the most.
    const keys = { isOfProcesses, isAdvice, markKey: markKeyOf(prefix) }
    this.opening = { clock, flightMs: Math.floor(deadlineMs / 3), connections: 1, ...keys, mustExist: !mayMake, placement: dialect?.placement }
    this.wire = address.open(this.opening)
    this.layout = dialect?.layoutFor(this.wire.store) ?? new SuffixLayout(prefix, this.wire.store)
    this.mutexLayout = mutexLayout(this.layout.prefix, this.wire.store)
    this.manager = new SessionManager({ wire: this.wire, clock, deadlineMs, ...(php === undefined ? { prefix } : { php }), ...locking })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.manager.close({ graceMs: 0 })
  }
}

/**
 * A session for the eyes of people: the same in every run, so that two lists can be compared. Without a key: an id has
 * 160 random bits, and what has none is no secret either.
 */
export const nameOf = (id: string): string => createHash('sha256').update(id).digest('hex').slice(0, 12)
