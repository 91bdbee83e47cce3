import { hostname } from 'node:os'
import { inspect } from 'node:util'
import { InvalidOptionError } from '../errors.js'
import { Tap } from '../observe/witness.js'
import type { Neighbours } from '../neighbours/neighbours.js'
import { PostNeighbours } from '../neighbours/post-neighbours.js'
import { UnixNeighbours } from '../neighbours/unix-neighbours.js'
import type { Random } from '../system/random.js'
import { processWide } from '../system/process-wide.js'
import { hashOf } from '../system/session-hash.js'
import { Alarms } from '../lock/protocol/alarms.js'
import type { Bell } from '../lock/protocol/bell.js'
import { HostBell } from '../lock/bell/host-bell.js'
import { isAdvice, isOfProcesses, type KeyLayout, markKeyOf, mutexLayout } from '../lock/protocol/key-layout.js'
import type { Locker } from '../lock/protocol/handle.js'
import { type LockContext, type LockCounters, type LossReason, newCounters } from '../lock/protocol/lock-context.js'
import { TokenMint } from '../lock/protocol/lock-token.js'
import { NaiveLocker } from '../lock/naive-locker.js'
import { SessionLocker } from '../lock/session-locker.js'
import { MUTEX_DIALECT, MutexRoom } from '../mutex/mutex-room.js'
import { openWireOver, readSavePath } from '../wire/open-wire.js'
import type { OpenOptions } from '../wire/open-options.js'
import type { StoreAddress } from '../wire/scheme.js'
import type { Wire, WireWarning } from '../wire/wire.js'
import type { Dialect, RecordForm } from './dialect/dialect.js'
import { LateEndings } from './late-endings.js'
import type { Settings } from './options.js'
import { type SlowHoldEvent, SlowHolds } from './slow-holds.js'

/** A lock that went away while it was held. `session` is a short keyed hash of the session's id, or of the lock's name. */
export interface LostEvent {
  readonly session: string
  readonly reason: LossReason
}

/** What the stores and sessions of one manager share: settings, wire, lock queues. */
export class SessionEngine {
  readonly layout: KeyLayout
  readonly locker: Locker
  readonly dialect: Dialect
  readonly counters: LockCounters = newCounters()
  readonly tap = new Tap()
  readonly sessionLocker: SessionLocker | undefined
  readonly wire: Wire
  readonly lateEndings: LateEndings
  private readonly slowHolds: SlowHolds
  private closing = false
  private room: MutexRoom | undefined
  onLost: (event: LostEvent) => void = () => undefined
  onSlow: (event: SlowHoldEvent) => void = () => undefined
  onWarning: (warning: WireWarning) => void = () => undefined
  /** Tells this manager's events from those of others in the process. */
  readonly name = `manager-${String(++managers.count)}`

  constructor(readonly settings: Settings) {
    const { clock, maxHoldMs, dialect } = settings
    this.dialect = dialect
    this.wire = settings.wire ?? this.opened()
    this.layout = dialect.layoutFor(this.wire.store)
    if (this.wire.quorum !== undefined && !settings.locking) throw new InvalidOptionError('locking: false cannot be used with replicas: copies are ordered by their locks.')
    this.slowHolds = new SlowHolds((event) => {
      this.onSlow(event)
    })
    const context = this.contextOf({ layout: this.layout, dialect, maxHoldMs })
    this.sessionLocker = settings.locking ? new SessionLocker(context) : undefined
    this.locker = this.sessionLocker ?? new NaiveLocker(context)
    this.lateEndings = new LateEndings(this.locker, clock)
  }

  private opened(): Wire {
    const { settings, dialect } = this
    const options: OpenOptions = {
      clock: settings.clock,
      flightMs: flightMsOf(settings),
      connections: settings.connections,
      listsKey: dialect.listsKey,
      placement: dialect.placement,
      isOfProcesses,
      isAdvice,
      markKey: markKeyOf(dialect.prefix),
      onWarning: (warning) => this.onWarning(warning),
    }
    return settings.client === undefined ? addressOf(settings).open(options) : openWireOver(settings.client, options)
  }

  /** Where named locks are taken: by a locker of their own, made when the first one is asked for. */
  get mutexes(): MutexRoom {
    const { dialect, wire, settings } = this
    const layout = mutexLayout(dialect.prefix, wire.store)
    this.room ??= new MutexRoom(this.contextOf({ layout, dialect: MUTEX_DIALECT, maxHoldMs: Infinity }), settings.label)
    return this.room
  }

  /** Everything here that locks. */
  get lockers(): SessionLocker[] {
    return [this.sessionLocker, this.room?.locker].filter((locker) => locker !== undefined)
  }

  private contextOf(own: Pick<LockContext, 'layout' | 'dialect'> & { readonly maxHoldMs: number }): LockContext {
    const { name, wire, settings, counters, slowHolds, tap } = this
    const { clock, random, leaseSec, waitMs, slowHoldMs, maxWaiters } = settings
    const bell = bellOf(wire, settings)
    return {
      name,
      wire,
      clock,
      random,
      layout: own.layout,
      dialect: own.dialect,
      mint: new TokenMint(clock, random, { host: hostname(), pid: process.pid }, bell),
      limits: {
        leaseSec,
        waitMs,
        maxHoldMs: own.maxHoldMs,
        maxWaiters,
        slowHoldMs: slowHoldMs === 0 ? Infinity : slowHoldMs,
        flightMs: flightMsOf(settings),
      },
      counters,
      alarms: new Alarms(clock),
      bell,
      tap,
      events: {
        lost: (id, reason) => {
          this.onLost({ session: hashOf(id), reason })
        },
        slow: (id, label, heldMs) => {
          slowHolds.note(id, label, heldMs)
        },
      },
    }
  }

  get format(): RecordForm {
    return this.dialect.format
  }

  createSid(): string {
    return this.dialect.createSid(this.settings.random)
  }

  /** A session's text as it is stored now, without a lock; '' when there is none. One flight. */
  async peek(id: string): Promise<string> {
    return this.format.unpack(id, await this.locker.peek(id)).text
  }

  /** A dump of a store or session must not show the credentials of its save path. */
  [inspect.custom](): string {
    return `SessionEngine { prefix: '${this.dialect.prefix}' }`
  }

  /** Records that had expired and were removed; 0 where the store expires by itself (memcached). */
  sweep(): number | Promise<number> {
    return this.wire.sweep()
  }

  get isClosed(): boolean {
    return this.closing
  }

  async close(graceMs: number): Promise<void> {
    this.closing = true
    this.lateEndings.close()
    await Promise.all([this.locker.close(graceMs), this.room?.locker.close(graceMs)])
    await this.wire.close()
  }
}

/** @throws LATCHKEY_INVALID_SAVE_PATH, LATCHKEY_INVALID_OPTION: PHP does not come to this store. */
function addressOf({ savePath, dialect }: Settings): StoreAddress {
  const address = readSavePath(savePath)
  if (dialect.placement === undefined || address.placesKeys === true) return address
  throw new InvalidOptionError(
    'php shares sessions on the servers that PHP uses: name them in savePath, in the order and the words of session.save_path ' +
      '(tcp://10.0.0.1:11211,tcp://10.0.0.2:11211).',
  )
}

/** The manager of a store that no other process can reach has nobody to ring for, and gets no bell. */
function bellOf({ meetingPlace, post }: Wire, { neighbours, bellDirectory, clock, random }: Settings): Bell | undefined {
  const here = neighbours ?? neighboursIn(bellDirectory ?? meetingPlace, random)
  const abroad = post === undefined || bellDirectory === false ? undefined : new PostNeighbours(post, random, clock)
  return here === undefined && abroad === undefined ? undefined : new HostBell({ here, abroad }, clock, hostname())
}

const neighboursIn = (directory: string | false | undefined, random: Random): Neighbours | undefined =>
  directory === undefined || directory === false ? undefined : new UnixNeighbours(directory, random)

const managers = processWide('managers', () => ({ count: 0 }))

/** A call takes at most three flights: its own, a read that resolves it, and its own once more. */
const flightMsOf = (settings: Settings): number => Math.floor(settings.deadlineMs / 3)
